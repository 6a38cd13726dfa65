"""Frozen values only: no I/O, no clock."""
