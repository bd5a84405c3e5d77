"""The graph server: speaks ezmsg's protocol to unmodified ezmsg programs, and records all that it decides."""
