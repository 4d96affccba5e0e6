"""NIJA's sockets and mail."""
