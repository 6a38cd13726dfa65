"""Kernel readers → one sample a tick."""
