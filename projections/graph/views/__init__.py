"""A graph state as others want it: ezmsg's snapshot and feeds, a digest, a difference, a flat map of facts."""
