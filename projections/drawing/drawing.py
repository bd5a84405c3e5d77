"""A drawing: where each box, each port and each line of a union is, in pixels."""

from collections.abc import Iterable

import msgspec

from ezmsg.ledger.projections.drawing.borders import DECLARED, FROM_BORDER, ROOT, TO_BORDER, Borders, Key
from ezmsg.ledger.projections.drawing.inside import Inside, laid_out
from ezmsg.ledger.projections.drawing.level import ENTRY, EXIT, level_of
from ezmsg.ledger.projections.drawing.sizes import Size, border_width, shown, size_of, title_width
from ezmsg.ledger.projections.drawing.union import COLLECTION, IN, OUT, Union

TITLE, PAD, MARGIN = 24, 14, 16
"""Pixels: the height of a collection's name, the space within its border, and that around the drawing."""

VERSION = 1
"""Of the wire form: it changes when whoever reads it has to."""


class PlacedPort(msgspec.Struct, array_like=True):
    """A port, and where lines meet it. Those of side ``both`` come in at the left edge of its box, and leave at the
    right one."""

    topic: str
    side: str
    x: int
    y: int
    name: str


class PlacedBox(msgspec.Struct, array_like=True):
    """A box. ``parent`` is the place of the collection around it, -1 for none; those around come first."""

    address: str
    kind: str
    parent: int
    x: int
    y: int
    w: int
    h: int
    ports: list[PlacedPort]
    type: str
    name: str


class Segment(msgspec.Struct, array_like=True):
    """A line with right angles, [x, y, x, y, ...], from source to target, and the places of the edges that it is of."""

    points: list[int]
    edges: list[int]


class Document(msgspec.Struct):
    """A drawing as it is sent: see docs/DRAWING.md."""

    version: int
    width: int
    height: int
    simplified: bool
    boxes: list[PlacedBox]
    edges: list[tuple[str, str]]
    segments: list[Segment]


class Drawing:
    """All of a union, laid out. The same union always gives the same drawing.

    Cost: 0.1 to 0.2 s for 600 units and 1,200 edges, 10 ms for 60. See docs/DRAWING.md.
    """

    def __init__(self, union: Union) -> None:
        self.union = union
        self.borders = Borders(union)
        self.insides: dict[int, Inside] = {}
        self.sizes: dict[int, Size] = {}
        self._ports: dict[int, tuple[dict[Key, int], dict[Key, int]]] = {}
        self._children = union.children()
        for place in range(len(union.boxes) - 1, -1, -1):  # those inside first: those around need to know their sizes
            if union.boxes[place].kind == COLLECTION:
                self._collection(place)
            else:
                self._plain(place)
        self._level(ROOT, MARGIN, 0)

    @property
    def simplified(self) -> bool:
        """Whether some level has too many edges to be laid out: its boxes stand in a grid, its lines are straight."""
        return any(inside.level.is_simple for inside in self.insides.values())

    def _plain(self, place: int) -> None:
        size = self.sizes[place] = size_of(self.union, place)
        heights = {(DECLARED, topic): y for topic, y in size.rows.items()}
        self._ports[place] = (heights, heights)

    def _collection(self, place: int) -> None:
        box = self.union.boxes[place]
        inside = self._level(place, PAD, title_width(shown(box.name)))
        sides: tuple[dict[Key, int], dict[Key, int]] = ({}, {})
        for node in inside.level.nodes:
            if node.kind in (ENTRY, EXIT):
                sides[node.kind == EXIT][node.key] = TITLE + node.y + node.h // 2
        self._ports[place] = sides
        self.sizes[place] = Size(inside.w, TITLE + inside.h, {})

    def _level(self, place: int, pad: int, title: int) -> Inside:
        links = self.borders.levels.get(place, {})
        boxes = [(box, self.sizes[box].w, self.sizes[box].h, *self._ports[box]) for box in self._children[place]]
        borders: dict[tuple[int, Key], int] = {}
        if place != ROOT:
            for topic in self.union.boxes[place].ports:
                port = self.union.ports[topic]
                side = FROM_BORDER if port.side == IN else TO_BORDER
                borders[side, (DECLARED, topic)] = border_width(port.name)
            for link in links:
                for end in link:
                    if end.node < 0:
                        borders.setdefault((end.node, end.key), pad)
        level = level_of(boxes, [(*end, width) for end, width in borders.items()], links)
        inside = self.insides[place] = laid_out(level, pad, title)
        return inside

    def document(self) -> Document:
        """The drawing with all places counted from its upper left corner. Cost: O(size)."""
        boxes: list[PlacedBox] = []
        corners: dict[int, tuple[int, int]] = {ROOT: (0, 0)}
        lines: list[tuple[list[int], list[int]]] = []
        for place, box in enumerate(self.union.boxes):
            around = self.insides[box.parent]
            number = around.level.boxes[place]
            left, top = corners[box.parent]
            x, y = left + around.node_x(number), top + around.level.nodes[number].y
            size = self.sizes[place]
            if box.kind == COLLECTION:
                corners[place] = (x, y + TITLE)
            ports = [self._port(place, topic, x, y) for topic in box.ports]
            boxes.append(PlacedBox(box.address, box.kind, box.parent, x, y, size.w, size.h, ports, box.type, box.name))
        for place, inside in self.insides.items():
            left, top = corners[place]
            for points, edges in inside.lines():
                points[::2] = [x + left for x in points[::2]]
                points[1::2] = [y + top for y in points[1::2]]
                lines.append((points, edges))
        root = self.insides[ROOT]
        segments = joined(lines)
        return Document(VERSION, root.w, root.h, self.simplified, boxes, list(self.union.edges), segments)

    def _port(self, place: int, topic: str, x: int, y: int) -> PlacedPort:
        port = self.union.ports[topic]
        is_right = port.side == OUT
        left, right = self._ports[place]
        height = (right if is_right else left)[DECLARED, topic]
        return PlacedPort(topic, port.side or IN, x + (self.sizes[place].w if is_right else 0), y + height, port.name)


def joined(lines: Iterable[tuple[list[int], list[int]]]) -> list[Segment]:
    """Lines as segments: those of the same edges that lead on from one another are one. Cost: O(size)."""
    found = [(points, tuple(sorted(edges))) for points, edges in lines]
    starts: dict[tuple[int, int, tuple[int, ...]], int] = {}
    for number, (points, edges) in enumerate(found):
        starts[points[0], points[1], edges] = number
    following = [starts.get((points[-2], points[-1], edges)) for points, edges in found]
    led_to = {number for number in following if number is not None}
    segments = []
    for number in range(len(found)):
        if number in led_to:
            continue
        points, edges = found[number]
        way, after = list(points), following[number]
        while after is not None:
            way += found[after][0][2:]
            after = following[after]
        segments.append(Segment(_straightened(way), list(edges)))
    return segments


def _straightened(points: list[int]) -> list[int]:
    """Without the points that lie on the way between the ones before and behind."""
    out = points[:2]
    for place in range(2, len(points), 2):
        x, y = points[place], points[place + 1]
        if len(out) >= 4:
            (x0, y0), (x1, y1) = out[-4:-2], out[-2:]
            if (x0 == x1 == x and (y0 <= y1 <= y or y0 >= y1 >= y)) or (
                y0 == y1 == y and (x0 <= x1 <= x or x0 >= x1 >= x)
            ):
                out[-2:] = [x, y]
                continue
        if (x, y) != (out[-2], out[-1]):
            out += [x, y]
    return out
