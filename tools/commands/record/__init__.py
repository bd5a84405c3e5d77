"""Commands that record, and that ask a recorder."""
