"""What can be proved about a ledger, or saved of it, afterwards."""
