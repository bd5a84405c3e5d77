"""The drawing of all time: everything that ever lived is laid out once, and every moment is a mask over it."""
