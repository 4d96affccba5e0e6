"""The storage port, the unit of work, and the adapters: MongoDB, and the embedded platform's SQLite file."""
