"""The ways of edges from box to box: which collections' borders it crosses, and where.

A collection's topics are ports on its border. What crosses without one gets a silent port there, one per source, or one
cable for all when there are many: each collection can then be laid out by itself.
"""

from collections.abc import Iterable
from typing import NamedTuple, TypeAlias

from ezmsg.ledger.projections.drawing.union import COLLECTION, IN, Union

CABLE_OVER = 6
"""Sources that cross one side of a border by themselves; more of them share a cable."""

ROOT = -1
"""The place of what is in no collection."""

FROM_BORDER, TO_BORDER = -2, -3
"""The two sides of the border of the level itself, seen from inside."""

Key: TypeAlias = tuple[int, str]
"""A port of a box: (DECLARED, topic), (SILENT, source topic) or CABLE."""

DECLARED, SILENT = 0, 1
CABLE: Key = (2, "")


class End(NamedTuple):
    """The end of a link in a level: ``node`` is the place of a box, FROM_BORDER or TO_BORDER."""

    node: int
    key: Key


Links: TypeAlias = dict[tuple[End, End], list[int]]
"""The links of a level, each with the places of the edges that run there."""


class Borders:
    """The links of each level, by the place of its collection.

    Cost: O(edges * depth). An edge between two boxes of one level is one link; any other is one in each level on its
    way out of collections and into others.
    """

    def __init__(self, union: Union) -> None:
        self.union = union
        self.levels: dict[int, Links] = {ROOT: {}}
        self._sources: dict[tuple[int, int], set[str]] = {}
        self._chains: dict[int, list[int]] = {ROOT: [ROOT]}
        self._starts: dict[str, tuple[int, End]] = {}
        self._goals: dict[str, tuple[int, End]] = {}
        self._routed = 0
        self.extend()

    def extend(self) -> list[tuple[int, tuple[End, End], int]]:
        """Route the edges that came since; returns their links: level, both ends, and the place of the edge.

        What crosses a border already goes on crossing it there.
        """
        ways = [self._way(place) for place in range(self._routed, len(self.union.edges))]
        for way in ways:
            for level, side, source in way[2]:
                self._sources.setdefault((level, side), set()).add(source)
        found = [
            (level, link, place) for place, way in enumerate(ways, self._routed) for level, link in self._links(way)
        ]
        for level, link, place in found:
            self.levels.setdefault(level, {}).setdefault(link, []).append(place)
        self._routed = len(self.union.edges)
        return found

    def _chain(self, level: int) -> list[int]:
        """A level and all that it is in."""
        found = self._chains.get(level)
        if found is None:
            found = self._chains[level] = [level, *self._chain(self.union.boxes[level].parent)]
        return found

    def _start(self, topic: str) -> tuple[int, End]:
        port = self.union.ports[topic]
        box = self.union.boxes[port.box]
        if box.kind == COLLECTION and port.side == IN:
            return port.box, End(FROM_BORDER, (DECLARED, topic))
        return box.parent, End(port.box, (DECLARED, topic))

    def _goal(self, topic: str) -> tuple[int, End]:
        port = self.union.ports[topic]
        box = self.union.boxes[port.box]
        if box.kind == COLLECTION and port.side != IN:
            return port.box, End(TO_BORDER, (DECLARED, topic))
        return box.parent, End(port.box, (DECLARED, topic))

    def _way(self, place: int) -> tuple[tuple[int, End], tuple[int, End], list[tuple[int, int, str]]]:
        """The two ends of an edge, and the silent crossings between: (collection, side, source), outward ones first."""
        source, target = self.union.edges[place]
        start, goal = self._starts.get(source), self._goals.get(target)
        if start is None:
            start = self._starts[source] = self._start(source)
        if goal is None:
            goal = self._goals[target] = self._goal(target)
        if start[0] == goal[0]:
            return start, goal, []
        out, into = self._chain(start[0]), self._chain(goal[0])
        shared = 1
        while shared < min(len(out), len(into)) and out[-shared - 1] == into[-shared - 1]:
            shared += 1
        crossings = [(level, TO_BORDER, source) for level in out[: len(out) - shared]]
        crossings += [(level, FROM_BORDER, source) for level in reversed(into[: len(into) - shared])]
        return start, goal, crossings

    def _links(
        self, way: tuple[tuple[int, End], tuple[int, End], list[tuple[int, int, str]]]
    ) -> Iterable[tuple[int, tuple[End, End]]]:
        (level, here), (_, goal), crossings = way
        for box, side, source in crossings:
            key = CABLE if len(self._sources[box, side]) > CABLE_OVER else (SILENT, source)
            if side == TO_BORDER:
                yield level, (here, End(TO_BORDER, key))
                level, here = self.union.boxes[box].parent, End(box, key)
            else:
                yield level, (here, End(box, key))
                level, here = box, End(FROM_BORDER, key)
        yield level, (here, goal)
