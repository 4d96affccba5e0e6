"""What happens, step by step: read, decide, collect into the unit of work."""
