"""What the person is doing: input, windows, sound, and the sessions that they belong to."""
