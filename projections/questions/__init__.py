"""What people ask of a history, and how it is answered."""
