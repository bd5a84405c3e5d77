"""The demonstration: a real ezmsg system is recorded, one of its sessions is killed, and its history is walked through."""
