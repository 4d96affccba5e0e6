"""`nija optimize`: parameters searched over candles of the past, and how much of what was found is luck."""
