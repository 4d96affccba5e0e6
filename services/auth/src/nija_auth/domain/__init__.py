"""What is true and allowed about people, sessions and passwords. Pure."""
