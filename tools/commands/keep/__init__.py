"""Commands that check, prove, mend and tend a ledger."""
