"""`nija backtest`: a strategy over candles of the past, its figures, and a report of them."""
