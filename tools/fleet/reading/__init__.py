"""A shipped ledger out of a stream: checked, read as any other ledger, fetched as a file, or asked with all others."""
