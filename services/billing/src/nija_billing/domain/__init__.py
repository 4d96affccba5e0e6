"""What is true and allowed about plans and subscriptions. No I/O, no clock."""
