"""Questions about settings: which were in force, and who asked for a change."""
