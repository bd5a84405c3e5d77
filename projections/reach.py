"""From which topics to which others edges lead: at a moment, and over a whole history."""

from collections import deque
from collections.abc import Iterable

from ezmsg.ledger.projections.lifetimes import Lifetimes
from ezmsg.ledger.projections.ownership import EdgeKey
from ezmsg.ledger.projections.spans import OPEN, Spans


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
    return shortest(out, start, "")[1]


def path_spans(lifetimes: Lifetimes, a: str, b: str) -> Spans:
    """When edges led from ``a`` to ``b``.

    Only edges that can lie on such a path are looked at, in the order in which they came and went. While a path stands,
    only its own edges matter; while there is none, only an edge that leaves what ``a`` reaches. Cost: O(edges that ever
    were), and one search for each change that matters.
    """
    ever = lifetimes.edges()
    ahead, behind = reached(neighbours(ever), a), reached(neighbours(ever, back=True), b)
    changes: list[tuple[int, bool, EdgeKey]] = []
    for edge in ever:
        if edge[0] in ahead and edge[1] in behind:
            for born, died in lifetimes.edge_spans(edge):
                changes += (born, True, edge), (died, False, edge)
    changes.sort(key=lambda change: change[0])
    return _sweep(changes, a, b)


def _sweep(changes: list[tuple[int, bool, EdgeKey]], a: str, b: str) -> Spans:
    out: dict[str, set[str]] = {}
    path: set[EdgeKey] = set()
    reach: set[str] = {a}
    spans: Spans = []
    place = 0
    while place < len(changes) and changes[place][0] < OPEN:
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
            found, reach = shortest(out, a, b)
            if bool(found) != bool(path):
                if found:
                    spans.append((seq, OPEN))
                else:
                    spans[-1] = (spans[-1][0], seq)
            path = set(found)
    return spans
