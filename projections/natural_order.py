"""Names in the order in which people count: BANK2 before BANK10."""

import re
from functools import lru_cache
from typing import Any

_DIGITS = re.compile(r"([0-9]{1,18})")


@lru_cache(65536)
def natural(text: str) -> tuple[Any, ...]:
    """A key that sorts as people count. The same for no two texts. Cost: O(text), 2 us for a short one.

    >>> sorted(["U10", "U2", "U1", "U100"], key=natural)
    ['U1', 'U2', 'U10', 'U100']
    """
    pieces = _DIGITS.split(text)
    return tuple((0, int(piece), "") if place % 2 else (1, 0, piece) for place, piece in enumerate(pieces)), text


def natural_edge(edge: tuple[str, str]) -> tuple[Any, ...]:
    """A key that sorts edges, as pairs of topics, by their first topic and then by their second.

    >>> sorted([("A10", "B"), ("A2", "B10"), ("A2", "B9")], key=natural_edge)
    [('A2', 'B9'), ('A2', 'B10'), ('A10', 'B')]
    """
    return natural(edge[0]), natural(edge[1])
