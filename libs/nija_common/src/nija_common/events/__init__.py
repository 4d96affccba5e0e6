"""What services tell each other: the topics, the event classes by area, and how they travel."""
