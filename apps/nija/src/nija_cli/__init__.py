"""The `nija` command: starts the platform or a part of it, and looks after it."""
