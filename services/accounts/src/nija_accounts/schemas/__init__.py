"""Requests and answers, field for field as the API reference has them."""
