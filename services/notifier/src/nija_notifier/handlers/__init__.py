"""What happens, step by step: to the read model, to live sockets, to mails."""
