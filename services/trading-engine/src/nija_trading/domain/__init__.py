"""Trading's rules: pure values and functions. No I/O, no waiting, no clock, no randomness."""
