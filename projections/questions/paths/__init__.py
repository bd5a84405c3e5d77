"""Ways through the graph: what reaches what, at a moment and over time."""
