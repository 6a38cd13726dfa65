"""Which class each group belongs in, and why (pure)."""
