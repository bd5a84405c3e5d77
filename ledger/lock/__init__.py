"""The one writer of a ledger: the lock beside it, its holder, and what the last writer could not write."""
