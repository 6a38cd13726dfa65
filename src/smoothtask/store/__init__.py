"""The snapshot log: tables, recording, retention, export."""
