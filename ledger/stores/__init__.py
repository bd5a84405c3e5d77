"""The kinds of ledger that ``Ledger.open`` gives: a file, a folder of segments, memory, one to read, one elsewhere."""
