"""`nija data`: candle files, fetched from exchanges, listed and checked."""
