"""Configuration: the settings, their layers, and errors that name file, line and field."""
