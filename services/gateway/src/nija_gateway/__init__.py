"""NIJA's gateway: admission, limits and a streaming relay to the services."""
