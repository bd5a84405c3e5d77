"""What of a drawing is there: at a moment, or in a difference between two."""

from collections.abc import Mapping

import msgspec

SAME, CAME, WENT, HELD = "", "+", "-", "~"
"""Marks: there and unchanged, new, gone, held by others than before."""


class Mask(msgspec.Struct, frozen=True):
    """Marks by the places of boxes and edges; what has none is not there. ``notes`` say more of edges."""

    boxes: Mapping[int, str]
    edges: Mapping[int, str]
    notes: Mapping[int, str] = {}
