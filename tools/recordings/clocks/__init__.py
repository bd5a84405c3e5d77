"""The times of a recording and of a ledger, and the mapping from one to the other."""
