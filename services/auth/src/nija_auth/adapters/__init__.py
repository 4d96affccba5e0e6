"""How auth talks to argon2."""
