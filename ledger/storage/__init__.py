"""The bytes of one ledger file: how they are laid out, written, synced, locked, read and checked."""
