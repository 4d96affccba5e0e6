"""How HTTP reaches a service: the app factory, the envelope, identity, health."""
