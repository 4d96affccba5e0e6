"""Candles, timeframes and the timeline of steps."""
