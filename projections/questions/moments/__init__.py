"""Names that people give a moment, and which seq is meant."""
