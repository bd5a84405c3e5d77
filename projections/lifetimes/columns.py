"""The columns that lifetimes are kept in: those that grow, and those that follow from them.

A hold (of an owner on an edge) is a row of four columns, any other fact a row of four others.
"""

from array import array
from collections.abc import Callable, Iterable
from itertools import accumulate
from typing import Any, NamedTuple, TypeAlias

from ezmsg.ledger.projections.graph.ownership import EdgeKey, Owner
from ezmsg.ledger.projections.lifetimes.spans import Spans, union

Column: TypeAlias = Any
"""An ``array`` while it grows, a ``memoryview`` of the index file when it was read from there: ints by place."""

GROWING = {
    "hold.born": "q",
    "hold.died": "q",
    "hold.edge": "I",
    "hold.owner": "q",
    "edge.from": "I",
    "edge.to": "I",
    "note.seq": "q",
    "note.end": "Q",
    "note.hold": "I",
    "time.seq": "q",
    "time.ns": "q",
    "check.seq": "q",
    "check.end": "Q",
}
DERIVED = {"edge.holds": "I", "edge.end": "I", "span.end": "I", "span.seq": "q", "key.edge": "Q", "key.place": "I"}
FACTS = {"fact.key": "I", "fact.value": "I", "fact.born": "q", "fact.died": "q"}
OTHERS = ("checkpoints", "topics", "keys", "values", "value.end")
PERSISTENT = 0
"""What the owner column has for holds of the persistent owner: no id is 0."""


class Hold(NamedTuple):
    """An owner's hold on an edge, from event ``born`` until event ``died`` (OPEN: it lasts)."""

    edge: EdgeKey
    owner: Owner
    born: int
    died: int

    def stands(self, seq: int) -> bool:
        """Whether the owner holds the edge after event ``seq``."""
        return self.born <= seq < self.died


class Fact(NamedTuple):
    """Any fact but a hold, from event ``born`` until event ``died``. ``value`` is what the journal notes of it."""

    kind: str
    name: Any
    value: Any
    born: int
    died: int

    def stands(self, seq: int) -> bool:
        """Whether the fact is so after event ``seq``."""
        return self.born <= seq < self.died


def stretches(lives: Iterable[Hold | Fact]) -> Spans:
    """The stretches in which any of ``lives`` stands. Cost: O(n log n)."""
    return union((life.born, life.died) for life in lives)


def part(ends: Column, place: int) -> slice:
    """The items of ``place`` in a column in which those of each place follow the ones before, and end at ``ends``."""
    return slice(ends[place - 1] if place else 0, ends[place])


def derive(column: Callable[[str], Column]) -> dict[str, Column]:
    """The columns that follow from the others: the holds and the stretches of each edge, and the edges in order.

    Cost: O(holds + edges).
    """
    columns: dict[str, Column] = {}
    edges = column("hold.edge")
    starts = [0] * (len(column("edge.to")) + 1)
    for place in edges:
        starts[place + 1] += 1
    starts = list(accumulate(starts))
    columns["edge.end"] = array("I", starts[1:])
    rows = array("I", bytes(4 * len(edges)))
    free = starts[:]
    for row, place in enumerate(edges):
        rows[free[place]] = row
        free[place] += 1
    columns["edge.holds"] = rows
    columns["span.seq"], columns["span.end"] = _derive_spans(column, rows, columns["edge.end"])
    keys = [a << 32 | b for a, b in zip(column("edge.from"), column("edge.to"), strict=True)]
    order = sorted(range(len(keys)), key=keys.__getitem__)
    columns["key.edge"] = array("Q", [keys[place] for place in order])
    columns["key.place"] = array("I", order)
    return columns


def _derive_spans(column: Callable[[str], Column], rows: Column, ends: Column) -> tuple[Column, Column]:
    born, died = column("hold.born"), column("hold.died")
    births, deaths = list(map(born.__getitem__, rows)), list(map(died.__getitem__, rows))
    seqs, stops = array("q"), array("I")
    begin = 0
    for end in ends:
        alive_until = -1
        for place in range(begin, end):  # by birth: a hold that begins before the others ended goes on with them
            if births[place] > alive_until:
                if alive_until >= 0:
                    seqs.append(alive_until)
                seqs.append(births[place])
                alive_until = deaths[place]
            elif deaths[place] > alive_until:
                alive_until = deaths[place]
        seqs.append(alive_until)
        stops.append(len(seqs))
        begin = end
    return seqs, stops
