"""Standing questions: whether a predicate holds, event by event, while a ledger grows."""
