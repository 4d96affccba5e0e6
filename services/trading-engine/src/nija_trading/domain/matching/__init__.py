"""The one matching core of paper broker and backtester: books, orders, fills, positions."""
