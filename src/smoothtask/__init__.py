"""SmoothTask keeps a Linux machine responsive at 100 % CPU."""
