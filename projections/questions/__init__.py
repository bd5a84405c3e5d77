"""Questions that people ask of a history, and their answers."""
