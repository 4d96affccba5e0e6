"""Contracts and plumbing that every NIJA service stands on."""
