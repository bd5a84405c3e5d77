"""Attacks on the log's promises that anybody can run: on a simulated disk, and on their own."""
