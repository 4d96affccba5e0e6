"""NIJA's plans and subscriptions."""
