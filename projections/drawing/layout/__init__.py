"""The place of everything: nested collections laid out in layers, the innermost first, and how they grow afterwards."""
