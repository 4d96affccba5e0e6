"""What happens in auth, step by step."""
