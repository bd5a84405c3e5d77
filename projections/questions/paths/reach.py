"""The topics that are joined by edges: at a moment, and over a whole history."""

from collections import deque
from collections.abc import Collection, Iterable, Mapping
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple

from ezmsg.ledger.projections.graph.ownership import EdgeKey
from ezmsg.ledger.projections.lifetimes.lifetimes import Lifetimes
from ezmsg.ledger.projections.lifetimes.spans import OPEN, Spans, union


def neighbours(edges: Iterable[EdgeKey], back: bool = False) -> dict[str, set[str]]:
    """Successors by topic; with ``back``, predecessors."""
    out: dict[str, set[str]] = {}
    for from_topic, to_topic in edges:
        if back:
            from_topic, to_topic = to_topic, from_topic
        out.setdefault(from_topic, set()).add(to_topic)
    return out


def shortest(out: dict[str, set[str]], a: str, b: str) -> tuple[list[EdgeKey], set[str]]:
    """The edges of a shortest path from ``a`` to ``b`` (none without a path), and what was reached. Cost: O(edges)."""
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
    """A connection from event ``born`` until event ``died``. ``way``: the edges of a shortest path at its end."""

    born: int
    died: int
    way: list[EdgeKey]


def path_spans(lifetimes: Lifetimes, a: str, b: str) -> Spans:
    """The stretches in which edges led from ``a`` to ``b``. Cost: that of ``Ways.stretches``."""
    return [(each.born, each.died) for each in Ways(lifetimes).stretches(a, b)]


class Ways:
    """Every edge that ever was, and the ``links``, which count as edges. Cost: O(edges that ever were)."""

    def __init__(self, lifetimes: Lifetimes, links: Mapping[EdgeKey, Spans] | None = None) -> None:
        self._lifetimes = lifetimes
        self._links = links or {}
        ever = [*lifetimes.edges(), *self._links]
        self._onward = neighbours(ever)
        self._back = neighbours(ever, back=True)

    def upstream(self, topic: str) -> set[str]:
        """Every topic from which edges of whatever time lead to this one, itself too. Cost: O(edges)."""
        return reached(self._back, topic)

    def sources(self) -> set[str]:
        """The topics that edges leave, and none ever led to."""
        return self._onward.keys() - self._back.keys()

    def stretches(self, a: str, b: str, until: int = OPEN - 1) -> list[Stretch]:
        """The stretches in which edges led from ``a`` to ``b``, up to event ``until``, each with its last path.

        Only edges that can lie on such a path are looked at, in the order in which they came and went. Cost: O(edges
        that ever were, and their changes), and one search for each that takes a path away or completes one.
        """
        return _sweep(self._changes(reached(self._onward, a), self.upstream(b), until), a, b)

    def last_into(self, b: str, wanted: Collection[str], until: int = OPEN - 1) -> dict[str, Stretch]:
        """The last stretch up to event ``until`` in which edges led to ``b``, from each of ``wanted`` that ever did.

        A ``way`` is told of those that ended. Cost: O(edges that ever were), and what a Basin takes.
        """
        beyond = self.upstream(b)
        basin = Basin(b, wanted)
        found: dict[str, Stretch] = {}
        for seq, changes in groupby(self._changes(beyond, beyond, until), key=itemgetter(0)):
            joined, left = basin.change([(came, edge) for _, came, edge in changes])
            for topic in joined:
                found[topic] = Stretch(seq, OPEN, [])
            for topic, way in left.items():
                found[topic] = found[topic]._replace(died=seq, way=way)
        return found

    def _changes(self, ahead: set[str], beyond: set[str], until: int) -> list[tuple[int, bool, EdgeKey]]:
        """The comings and goings of edges from ``ahead`` to ``beyond``, up to event ``until``, in order."""
        changes: list[tuple[int, bool, EdgeKey]] = []
        links = self._links
        edges = self._lifetimes.edges()
        places = [place for place, edge in enumerate(edges) if edge[0] in ahead and edge[1] in beyond]
        pieces = [(edges[place], spans) for place, spans in zip(places, self._lifetimes.spans_of(places), strict=True)]
        pieces = [(edge, union((*spans, *links[edge])) if edge in links else spans) for edge, spans in pieces]
        pieces += [
            (edge, spans)
            for edge, spans in links.items()
            if edge[0] in ahead and edge[1] in beyond and self._lifetimes.place_of(edge) is None
        ]
        for edge, spans in pieces:
            for born, died in spans:
                changes += (born, True, edge), (died, False, edge)
        return sorted((change for change in changes if change[0] <= until), key=itemgetter(0))


class Basin:
    """The topics from which a path leads to one topic, while edges come and go; of those ``wanted``, changes are told.

    The idea: each of these topics but the one knows the next on a way to it, so that they form a tree. Only two kinds
    of changes matter: an edge of the tree that goes, which cuts off all topics above it, and an edge into the tree that
    comes, over which others join. Such a change costs O(edges of what is cut off, or joins), any other O(1).
    """

    def __init__(self, topic: str, wanted: Collection[str]) -> None:
        self._topic = topic
        self._wanted = wanted
        self._next: dict[str, str] = {topic: topic}
        self._before: dict[str, set[str]] = {}
        self._out: dict[str, set[str]] = {}
        self._into: dict[str, set[str]] = {}

    def change(self, changes: list[tuple[bool, EdgeKey]]) -> tuple[list[str], dict[str, list[EdgeKey]]]:
        """Edges that came (True) or went at once: the wanted topics from which a path leads now that did not; and those
        from which none does any more, each with the last one that did."""
        for came, (here, there) in changes:
            if came:
                self._out.setdefault(here, set()).add(there)
                self._into.setdefault(there, set()).add(here)
            else:
                self._out[here].discard(there)
                self._into[there].discard(here)
        gone = (edge for came, edge in changes if not came)
        lost = self._cut_off([here for here, there in gone if here != self._topic and self._next.get(here) == there])
        joined = self._join([*lost, *(here for came, (here, _) in changes if came)])
        wanted = self._wanted
        left = {here: self._way(here, lost) for here in lost if here in wanted and here not in self._next}
        return [here for here in joined if here in wanted and here not in lost], left

    def _cut_off(self, waiting: list[str]) -> dict[str, str]:
        """Take these topics, and all whose way leads over them, out of the tree; each with the next on that way."""
        lost: dict[str, str] = {}
        while waiting:
            here = waiting.pop()
            if here in lost:  # its own edge went, and one further on
                continue
            there = lost[here] = self._next.pop(here)
            self._before[there].discard(here)
            waiting += sorted(self._before.get(here, ()))
        return lost

    def _join(self, waiting: list[str]) -> list[str]:
        """Take those of these topics into the tree from which an edge leads there, and all that lead to them."""
        joined = []
        while waiting:
            here = waiting.pop()
            if here in self._next:
                continue
            there = min((each for each in self._out.get(here, ()) if each in self._next), default=None)
            if there is None:
                continue
            self._next[here] = there
            self._before.setdefault(there, set()).add(here)
            joined.append(here)
            waiting += sorted(self._into.get(here, ()))
        return joined

    def _way(self, here: str, lost: dict[str, str]) -> list[EdgeKey]:
        way = []
        while here != self._topic:
            there = lost[here] if here in lost else self._next[here]
            way.append((here, there))
            here = there
        return way


def _sweep(changes: Iterable[tuple[int, bool, EdgeKey]], a: str, b: str) -> list[Stretch]:
    """The stretches in which edges led from ``a`` to ``b``.

    The idea: while a path stands, it is looked for anew only when an edge of it goes. While there is none, ``reach``
    holds all that ``a`` may lead to: it grows by what a new edge adds, and keeps what has gone, so that it may hold too
    much and never too little. Only when it comes to ``b`` is there a search, after which it is exact.
    """
    out: dict[str, set[str]] = {}
    path: set[EdgeKey] = set()
    reach: set[str] = {a}
    found: list[Stretch] = []
    for seq, together in groupby(changes, key=itemgetter(0)):
        group = [(came, edge) for _, came, edge in together]
        _apply(out, group)
        if path:
            look = any(not came and edge in path for came, edge in group)
        else:
            look = any([_reaches(out, reach, edge, b) for came, edge in group if came])  # a list: all of them grow it
        if not look:
            continue
        now, reached_now = shortest(out, a, b)
        if now and not path:
            found.append(Stretch(seq, OPEN, []))
        elif path and not now:
            _apply(out, [(not came, edge) for came, edge in group])
            found[-1] = Stretch(found[-1].born, seq, shortest(out, a, b)[0])
            _apply(out, group)
        path, reach = set(now), reached_now
    if path:
        found[-1] = found[-1]._replace(way=shortest(out, a, b)[0])
    return found


def _apply(out: dict[str, set[str]], group: Iterable[tuple[bool, EdgeKey]]) -> None:
    for came, (here, there) in group:
        if came:
            out.setdefault(here, set()).add(there)
        else:
            out[here].discard(there)


def _reaches(out: dict[str, set[str]], reach: set[str], edge: EdgeKey, b: str) -> bool:
    """Whether ``reach`` comes to ``b`` by an edge that came; it grows by all else that the edge leads to."""
    here, there = edge
    if here not in reach:
        return False
    if there == b:
        return True
    if there in reach:
        return False
    reach.add(there)
    waiting = [there]
    while waiting:
        following = out.get(waiting.pop(), ())
        if b in following:
            return True
        new = set(following) - reach
        reach |= new
        waiting += new
    return False
