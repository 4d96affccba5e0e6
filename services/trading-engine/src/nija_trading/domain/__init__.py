"""What is true, allowed and computed in trading: no I/O, no clock, no randomness."""
