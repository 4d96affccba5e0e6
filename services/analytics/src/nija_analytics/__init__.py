"""NIJA's statistics and audit log."""
