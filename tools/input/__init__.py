"""The meaning of a command line: its parameters, ledgers, addresses, sizes."""
