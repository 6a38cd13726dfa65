"""Names, patterns and behaviour → what an application is."""
