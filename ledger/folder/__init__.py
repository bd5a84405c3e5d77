"""A ledger that is a folder: its segments, its reader, its rotation."""
