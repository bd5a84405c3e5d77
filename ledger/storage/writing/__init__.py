"""Adding to a ledger file: events get their place, are written and synced; a torn file is recovered."""
