"""From which topics to which others edges lead: at a moment, and over a whole history."""

from collections import deque
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from ezmsg.ledger.projections.lifetimes import Lifetimes
from ezmsg.ledger.projections.ownership import EdgeKey
from ezmsg.ledger.projections.spans import OPEN, Spans, union


def neighbours(edges: Iterable[EdgeKey], back: bool = False) -> dict[str, set[str]]:
    """Successors by topic; ``back``: predecessors."""
    out: dict[str, set[str]] = {}
    for from_topic, to_topic in edges:
        if back:
            from_topic, to_topic = to_topic, from_topic
        out.setdefault(from_topic, set()).add(to_topic)
    return out


def shortest(out: dict[str, set[str]], a: str, b: str) -> tuple[list[EdgeKey], set[str]]:
    """The edges of a shortest path from ``a`` to ``b``, none if there is none; and what was reached. Cost: O(edges)."""
    came: dict[str, str] = {}
    waiting = deque([a])
    while waiting:
        topic = waiting.popleft()
        for following in sorted(out.get(topic, ())):
            if following in came:
                continue
            came[following] = topic
            if following == b:
                return _back(came, a, b), {a, *came}
            waiting.append(following)
    return [], {a, *came}


def _back(came: dict[str, str], a: str, b: str) -> list[EdgeKey]:
    path = [(came[b], b)]
    while path[-1][0] != a:
        topic = path[-1][0]
        path.append((came[topic], topic))
    return path[::-1]


def reached(out: dict[str, set[str]], start: str) -> set[str]:
    """Every topic to which a path leads, ``start`` too. Cost: O(edges)."""
    found, waiting = {start}, [start]
    while waiting:
        new = out.get(waiting.pop(), set()) - found
        found |= new
        waiting += new
    return found


class Stretch(NamedTuple):
    """A path from event ``born`` until event ``died``; ``way``: the edges of the last one that it took."""

    born: int
    died: int
    way: list[EdgeKey]


def path_spans(lifetimes: Lifetimes, a: str, b: str) -> Spans:
    """When edges led from ``a`` to ``b``. Cost: that of ``Ways.stretches``."""
    return [(each.born, each.died) for each in Ways(lifetimes).stretches(a, b)]


class Ways:
    """Every edge that ever was, and the ``links``, which are as edges are. Cost: O(edges that ever were)."""

    def __init__(self, lifetimes: Lifetimes, links: Mapping[EdgeKey, Spans] | None = None) -> None:
        self._lifetimes = lifetimes
        self._links = links or {}
        self._ever = [*lifetimes.edges(), *(link for link in self._links if lifetimes.place_of(link) is None)]
        self._onward, self._back = neighbours(self._ever), neighbours(self._ever, back=True)

    def upstream(self, topic: str) -> set[str]:
        """Every topic from which a path to this one could ever have been put together, itself too. Cost: O(edges)."""
        return reached(self._back, topic)

    def sources(self) -> set[str]:
        """The topics that edges leave, and none ever led to."""
        return self._onward.keys() - self._back.keys()

    def stretches(self, a: str, b: str, until: int = OPEN - 1) -> list[Stretch]:
        """When edges led from ``a`` to ``b``, up to event ``until``, and how.

        Only edges that can lie on such a path are looked at, in the order in which they came and went. While a path
        stands, only its own edges matter; while there is none, only an edge that leaves what ``a`` reaches. Cost:
        O(edges between the two), and one search for each change that matters.
        """
        ahead, behind = reached(self._onward, a), self.upstream(b)
        changes: list[tuple[int, bool, EdgeKey]] = []
        between = ahead & behind
        for edge in ((here, there) for here in between for there in self._onward.get(here, set()) & behind):
            spans = self._lifetimes.edge_spans(edge)
            for born, died in union((*spans, *self._links[edge])) if edge in self._links else spans:
                changes += (born, True, edge), (died, False, edge)
        changes.sort(key=lambda change: change[0])
        return _sweep(changes, a, b, until)


def _sweep(changes: list[tuple[int, bool, EdgeKey]], a: str, b: str, until: int) -> list[Stretch]:
    out: dict[str, set[str]] = {}
    path: list[EdgeKey] = []
    reach: set[str] = {a}
    found: list[Stretch] = []
    place = 0
    while place < len(changes) and changes[place][0] <= until:
        seq, look = changes[place][0], False
        while place < len(changes) and changes[place][0] == seq:
            _, came, edge = changes[place]
            if came:
                out.setdefault(edge[0], set()).add(edge[1])
                look = look or (not path and edge[0] in reach)
            else:
                out[edge[0]].discard(edge[1])
                look = look or edge in path
            place += 1
        if look:
            now, reach = shortest(out, a, b)
            if now and path:
                found[-1] = found[-1]._replace(way=now)
            elif now:
                found.append(Stretch(seq, OPEN, now))
            elif path:
                found[-1] = found[-1]._replace(died=seq)
            path = now
    return found
