"""What happens, step by step: reads through the store, decides in the domain, collects in a unit of work."""
