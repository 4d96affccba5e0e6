"""NIJA's accounts of people: registration, sessions, tokens, roles."""
