"""Recording beside a graph server that is not ours: looks at it, the streams of its changes, and what follows."""
