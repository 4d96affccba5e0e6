"""How HTTP reaches trading-engine."""
