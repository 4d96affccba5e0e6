"""How notifier talks to the outside: letters written from templates, a folder, an SMTP server."""
