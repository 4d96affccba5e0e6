"""APEX V7.2: indicators, signals, sizing, guarding, protections, the decision at a close."""
