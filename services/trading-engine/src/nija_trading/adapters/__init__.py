"""How trading talks to files, brokers and exchanges."""
