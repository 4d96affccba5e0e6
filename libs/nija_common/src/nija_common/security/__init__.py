"""Tokens (auth signs, everyone verifies) and sealing of secrets at rest."""
