"""The only writer: plan, ledger, apply, restore."""
