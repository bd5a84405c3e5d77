"""Measurements of ezmsg-ledger beside its peers: ``python -m benchmarks`` from the repository's root.

Every figure is a median, and every ratio is one of pairs that ran in turn, in the same run.
"""
