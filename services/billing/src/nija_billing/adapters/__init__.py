"""Vendors: who takes payments. Nothing else here imports one."""
