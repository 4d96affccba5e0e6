"""The edge: raw ASGI, no framework on the relay path."""
