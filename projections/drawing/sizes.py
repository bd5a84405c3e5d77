"""The sizes of boxes: from the widths of their texts, which are known without a font at hand."""

import unicodedata
from functools import lru_cache

import msgspec

from ezmsg.ledger.projections.drawing.union import IN, OUT, RELAY, TOPIC, Union

NAME_PX, PORT_PX = 12, 10
"""Sizes of type: names of boxes (semibold), and those of ports."""

ROW, HEAD, FOOT, PAD = 17, 24, 5, 10
"""Pixels: the height of a port's row, that of a box's name, the space below the last row and beside texts."""

WIDTH_MIN, PILL = 72, 24
"""Pixels: no unit is narrower; the height of what has no rows: relays, and topics that belong to nothing."""

BETWEEN = 14
"""Pixels between the names of an input and an output in one row."""

SHOWN_MAX = 36
"""Characters of a name that are drawn: of a longer one the end, which tells more than the beginning."""

SPARE = 1.1
"""Fonts differ: the widest of the usual ones is measured, and a tenth is added."""

_REGULAR = (
    318,
    401,
    460,
    838,
    636,
    950,
    780,
    275,
    390,
    390,
    500,
    838,
    318,
    361,
    318,
    337,
    636,
    636,
    636,
    636,
    636,
    636,
    636,
    636,
    636,
    636,
    337,
    337,
    838,
    838,
    838,
    556,
    1015,
    684,
    686,
    722,
    770,
    667,
    611,
    778,
    752,
    295,
    500,
    667,
    557,
    863,
    748,
    787,
    667,
    787,
    722,
    667,
    611,
    732,
    684,
    989,
    685,
    667,
    685,
    390,
    337,
    390,
    838,
    556,
    500,
    613,
    635,
    550,
    635,
    615,
    352,
    635,
    634,
    278,
    278,
    579,
    278,
    974,
    634,
    612,
    635,
    635,
    411,
    521,
    392,
    634,
    592,
    818,
    592,
    592,
    525,
    636,
    337,
    636,
    838,
)
_BOLD = (
    348,
    456,
    521,
    838,
    696,
    1002,
    872,
    306,
    457,
    457,
    523,
    838,
    380,
    415,
    380,
    365,
    696,
    696,
    696,
    696,
    696,
    696,
    696,
    696,
    696,
    696,
    400,
    400,
    838,
    838,
    838,
    611,
    1000,
    774,
    762,
    734,
    830,
    683,
    683,
    821,
    837,
    372,
    556,
    775,
    637,
    995,
    837,
    850,
    733,
    850,
    770,
    720,
    682,
    812,
    774,
    1103,
    771,
    724,
    725,
    457,
    365,
    457,
    838,
    556,
    500,
    675,
    716,
    593,
    716,
    678,
    435,
    716,
    712,
    343,
    343,
    665,
    343,
    1042,
    712,
    687,
    716,
    716,
    493,
    595,
    478,
    712,
    652,
    924,
    645,
    652,
    582,
    712,
    365,
    712,
    838,
)

_BOLDEST = tuple(map(max, _BOLD, _REGULAR))
"""A bold @ is narrower than another one in some fonts: the bound counts the wider of the two."""

_WIDE, _OTHER = 1000, 950


@lru_cache(65536)
def width(text: str, size: float, bold: bool = False) -> int:
    """An upper bound for the width of a text in pixels, whatever sans-serif font the system has. Cost: O(length)."""
    table = _BOLDEST if bold else _REGULAR
    total = 0
    for character in text:
        code = ord(character)
        if 32 <= code < 127:
            total += table[code - 32]
        elif not unicodedata.combining(character):
            total += _WIDE if unicodedata.east_asian_width(character) in "WF" else _OTHER
    return int(total * size * SPARE / 1000) + 1


def shown(text: str) -> str:
    """A name as it is drawn: whole, or its end."""
    return text if len(text) <= SHOWN_MAX else "\N{HORIZONTAL ELLIPSIS}" + text[1 - SHOWN_MAX :]


class Size(msgspec.Struct):
    """Width and height in pixels, and the height within the box at which each port is, by topic."""

    w: int
    h: int
    rows: dict[str, int]


def size_of(union: Union, place: int) -> Size:
    """The size of a box that is not a collection. Inputs are at its left, outputs at its right, in shared rows."""
    box = union.boxes[place]
    name = width(shown(box.name), NAME_PX, True)
    if box.kind in (RELAY, TOPIC):
        return Size(name + 2 * PAD + 6, PILL, dict.fromkeys(box.ports, PILL // 2))
    left: list[str] = []
    right: list[str] = []
    through: list[str] = []
    for topic in box.ports:
        side = union.ports[topic].side
        (left if side == IN else right if side == OUT else through).append(topic)
    rows: dict[str, int] = {}
    widest = name + 2 * PAD
    both = max(len(left), len(right))
    for number in range(both):
        texts = 0
        for topics in (left, right):
            if number < len(topics):
                rows[topics[number]] = HEAD + ROW * number + ROW // 2
                texts += width(shown(union.ports[topics[number]].name), PORT_PX) + PAD
        widest = max(widest, texts + (BETWEEN if number < min(len(left), len(right)) else PAD))
    for number, topic in enumerate(through):
        rows[topic] = HEAD + ROW * (both + number) + ROW // 2
        widest = max(widest, width(shown(union.ports[topic].name), PORT_PX) + 2 * PAD)
    height = HEAD + ROW * (both + len(through)) + FOOT
    return Size(max(WIDTH_MIN, widest), height, rows)


def with_port(size: Size, kind: str, topic: str, name: str) -> Size:
    """The size of a box that gets one more port: a row below all others."""
    if kind in (RELAY, TOPIC):
        return Size(size.w, size.h, {**size.rows, topic: PILL // 2})
    y = size.h - FOOT + ROW // 2
    return Size(max(size.w, width(shown(name), PORT_PX) + 2 * PAD), size.h + ROW, {**size.rows, topic: y})


def border_width(name: str) -> int:
    """The room that the name of a port on a collection's border takes inside of it."""
    return width(shown(name), PORT_PX) + PAD


def title_width(name: str) -> int:
    """The room that a collection's name needs."""
    return width(shown(name), NAME_PX, True) + 2 * PAD
