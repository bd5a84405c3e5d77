"""The graph after an event, and everything that is made of one state."""
