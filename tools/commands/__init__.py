"""The commands: a file of its name for each, grouped as the help is."""
