"""`nija doctor`: what is configured, what can be reached, what lags, and what to do about it. Changes nothing."""
