"""What is true and allowed about settings, and what positions and trades come to. No I/O, no clock."""
