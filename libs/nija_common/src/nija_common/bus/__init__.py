"""The bus port and its adapters: Apache Kafka, and the log in the embedded platform's SQLite file."""
