"""Backtests: one account over candles, at once instead of step by step, with the trades the platform would make."""
