"""Learning from recorded snapshots."""
