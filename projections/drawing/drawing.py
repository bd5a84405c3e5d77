"""A drawing of all that ever lived, which can grow: where each box, each port and each line is, in pixels."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ezmsg.ledger.projections.drawing.document import VERSION, Document, PlacedBox, PlacedPort
from ezmsg.ledger.projections.drawing.layout.borders import DECLARED, ROOT
from ezmsg.ledger.projections.drawing.layout.growth import grow
from ezmsg.ledger.projections.drawing.layout.layout import TITLE, Layout
from ezmsg.ledger.projections.drawing.segments import joined
from ezmsg.ledger.projections.drawing.union import COLLECTION, IN, OUT, Union


class Drawing:
    """A union, laid out. The same union, and the same births since in the same order, give the same drawing.

    ``seq``: the event up to which the union is; ``generation``: how often all was drawn anew. Cost: 0.2 s
    for 600 units and 1,300 edges, 10 ms for 60. See docs/debugger/DRAWING.md.

    >>> from ezmsg.ledger.projections.drawing.union import Union
    >>> drawing = Drawing(Union((), [("A/OUT", "B/IN")]))
    >>> [(segment.points, segment.edges) for segment in drawing.document().segments]
    [([102, 48, 132, 48], [0])]
    """

    def __init__(self, union: Union, seq: int = 0) -> None:
        self.seq = seq
        self.generation = 1
        self._layout = Layout(union)

    @property
    def union(self) -> Union:
        """The boxes and edges that are drawn."""
        return self._layout.union

    @property
    def simplified(self) -> bool:
        """Whether some level has too many edges to be laid out: its boxes stand in a grid, its lines are straight."""
        return any(inside.level.is_simple for inside in self._layout.insides.values())

    def grow(self, components: Iterable[Mapping[str, Any]] = (), edges: Sequence[tuple[str, str]] = ()) -> bool:
        """Take in what one event brought into being: components that it registered, edges that never were before.

        No two boxes change sides, and edges alone move none. All is drawn afresh only when a registration shows that
        boxes had been taken for something else: then True is returned. Cost: O(size of the levels that change).
        """
        components = [component for component in components if not self.union.knows(component)]
        if components:
            union = Union([*self.union.components.values(), *components], [*self.union.edges, *edges])
            if not self.union.agrees(union, [str(component.get("address")) for component in components]):
                self._layout = Layout(union)
                self.generation += 1
                return True
        grow(self._layout, components, edges)
        return False

    def document(self) -> Document:
        """The drawing with all places counted from its upper left corner. Cost: O(size)."""
        layout = self._layout
        boxes: list[PlacedBox] = []
        corners: dict[int, tuple[int, int]] = {ROOT: (0, 0)}
        for place, box in enumerate(self.union.boxes):
            around = layout.insides[box.parent]
            number = around.level.boxes[place]
            left, top = corners[box.parent]
            x, y = left + around.node_x(number), top + around.level.nodes[number].y
            size = layout.sizes[place]
            if box.kind == COLLECTION:
                corners[place] = (x, y + TITLE)
            ports = [self._port(place, topic, x, y) for topic in box.ports]
            boxes.append(PlacedBox(box.address, box.kind, box.parent, x, y, size.w, size.h, ports, box.type, box.name))
        lines: list[tuple[list[int], list[int]]] = []
        for place, inside in layout.insides.items():
            left, top = corners[place]
            for points, edges in inside.lines():
                points[::2] = [x + left for x in points[::2]]
                points[1::2] = [y + top for y in points[1::2]]
                lines.append((points, edges))
        root = layout.insides[ROOT]
        return Document(
            version=VERSION,
            seq=self.seq,
            generation=self.generation,
            width=root.w,
            height=root.h,
            simplified=self.simplified,
            boxes=boxes,
            edges=list(self.union.edges),
            segments=joined(lines),
        )

    def _port(self, place: int, topic: str, x: int, y: int) -> PlacedPort:
        port = self.union.ports[topic]
        is_right = port.side == OUT
        left, right = self._layout.ports[place]
        height = (right if is_right else left)[DECLARED, topic]
        return PlacedPort(
            topic, port.side or IN, x + (self._layout.sizes[place].w if is_right else 0), y + height, port.name
        )
