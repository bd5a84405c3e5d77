"""The demonstration: a real ezmsg system is recorded, a session of it is killed, its history is walked through."""
