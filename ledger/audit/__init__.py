"""Proofs and repairs: receipts for what a ledger held, and a copy of what is sound in a damaged one."""
