"""One file for each command, of the command's name, grouped as the help is."""
