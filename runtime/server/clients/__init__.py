"""The clients of a graph server, one file for each kind."""
