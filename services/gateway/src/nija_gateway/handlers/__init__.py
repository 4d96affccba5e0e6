"""What happens to events the gateway follows."""
