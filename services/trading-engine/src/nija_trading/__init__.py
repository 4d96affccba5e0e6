"""NIJA's trading engine: bots, orders, positions, kill switches, paper broker."""
