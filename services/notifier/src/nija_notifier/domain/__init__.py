"""What is true of sockets, live positions and mails: pure values and memory, no I/O, no clock."""
