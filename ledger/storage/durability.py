"""Durability: what an append is worth when it is acknowledged."""

from typing import Literal, TypeAlias

Durability: TypeAlias = Literal["commit", "interval", "none"]
"""When an append is acknowledged: on the disk, given to the system (and synced within 50 ms), given to the system."""
