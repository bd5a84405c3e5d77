"""Baselines: a graph by names alone, kept as a file, and compared with the graph of another day."""
