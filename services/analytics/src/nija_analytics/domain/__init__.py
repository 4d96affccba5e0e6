"""What numbers mean: statistics, and the aggregates they are computed from. No I/O, no clock."""
