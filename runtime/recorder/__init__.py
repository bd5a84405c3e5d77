"""A recorder as a process of its own, and how it is asked."""
