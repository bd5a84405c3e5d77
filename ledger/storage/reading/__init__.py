"""Finding the way in a ledger file and reading it: whole commits, and damage that is told from a torn tail."""
