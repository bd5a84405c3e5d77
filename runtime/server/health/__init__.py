"""The health of a server, as it tells it: its pulse, its vitals, its metrics."""
