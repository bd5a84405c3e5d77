"""How people name a moment, and which seq is meant."""
