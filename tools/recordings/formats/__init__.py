"""The formats of data files: how each is read as a recording, and how a ledger is written in it."""
