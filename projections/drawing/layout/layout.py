"""A union laid out: the inside of each collection, innermost first, because those around need to know their sizes."""

from ezmsg.ledger.projections.drawing.layout.borders import DECLARED, FROM_BORDER, ROOT, TO_BORDER, Borders, Key
from ezmsg.ledger.projections.drawing.layout.inside import Inside, laid_out
from ezmsg.ledger.projections.drawing.layout.level import ENTRY, EXIT, level_of
from ezmsg.ledger.projections.drawing.sizes import Size, border_width, size_of, title_width
from ezmsg.ledger.projections.drawing.union import COLLECTION, IN, Union

TITLE, PAD, MARGIN = 24, 14, 16
"""Pixels: the height of a collection's name, the space within its border, and that around the drawing."""

Sides = tuple[dict[Key, int], dict[Key, int]]
"""The heights of a box's ports, in pixels from its upper edge: of those at its left, and of those at its right."""


class Layout:
    """The insides of all collections (and of ROOT), the size of each box and the heights of its ports, by its place."""

    def __init__(self, union: Union) -> None:
        self.union = union
        self.borders = Borders(union)
        self.children = union.children()
        self.insides: dict[int, Inside] = {}
        self.sizes: dict[int, Size] = {}
        self.ports: dict[int, Sides] = {}
        for place in range(len(union.boxes) - 1, -1, -1):
            self.measure(place)
        self.insides[ROOT] = self._inside(ROOT, MARGIN, 0)

    def measure(self, place: int) -> None:
        """Give a box its size; a collection's inside, of which all have theirs, is laid out for that."""
        box = self.union.boxes[place]
        if box.kind != COLLECTION:
            self.resized(place, size_of(self.union, place))
            return
        self.insides[place] = self._inside(place, PAD, title_width(box.name))
        self.fit(place)

    def fit(self, place: int) -> None:
        """Make a collection as large as its inside, with ports where that has them."""
        inside = self.insides[place]
        sides: Sides = ({}, {})
        for node in inside.level.nodes:
            if node.kind in (ENTRY, EXIT):
                sides[node.kind == EXIT][node.key] = TITLE + node.y + node.h // 2
        self.sizes[place] = Size(inside.w, TITLE + inside.h, {})
        self.ports[place] = sides

    def resized(self, place: int, size: Size) -> None:
        """Note the size of a box that is not a collection: lines may come and leave at each of its ports."""
        heights = {(DECLARED, topic): y for topic, y in size.rows.items()}
        self.sizes[place] = size
        self.ports[place] = (heights, heights)

    def declared(self, place: int) -> dict[tuple[int, Key], int]:
        """The ports that a collection has by itself: side and key, and the width that its name needs."""
        out = {}
        for topic in self.union.boxes[place].ports:
            port = self.union.ports[topic]
            out[FROM_BORDER if port.side == IN else TO_BORDER, (DECLARED, topic)] = border_width(port.name)
        return out

    def _inside(self, place: int, pad: int, title: int) -> Inside:
        links = self.borders.levels.get(place, {})
        boxes = [(box, self.sizes[box].w, self.sizes[box].h, *self.ports[box]) for box in self.children.get(place, ())]
        borders = {} if place == ROOT else self.declared(place)
        for link in links:
            for end in link:
                if end.node < 0:
                    borders.setdefault((end.node, end.key), pad)
        return laid_out(level_of(boxes, [(*end, width) for end, width in borders.items()], links), pad, title)
