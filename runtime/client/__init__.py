"""A graph server, seen from a client of it: commands, looks at the whole, and the streams of changes."""
