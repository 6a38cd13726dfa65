"""SmoothTask keeps a Linux machine responsive at 100 % CPU."""

__version__ = "0.1.0"
