"""NIJA's settings, and read models of balance, positions and history."""
