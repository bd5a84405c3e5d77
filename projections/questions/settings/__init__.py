"""What is asked about settings: which were in force, and who asked for the change."""
