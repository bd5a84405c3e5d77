"""What a server tells about itself: its pulse, its vitals, its metrics."""
