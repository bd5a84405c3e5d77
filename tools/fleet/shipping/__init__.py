"""A ledger on its way to a stream, with receipts of its rig: what is read, what is sent, and what is gone on with."""
