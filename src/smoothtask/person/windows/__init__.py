"""The windows of a session, and which one is in focus, by whatever its display server offers."""
