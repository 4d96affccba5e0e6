"""The nija command."""
