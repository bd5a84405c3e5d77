"""Trials of the ledger's promises in a folder of the user's own, with real files, processes and kills."""
