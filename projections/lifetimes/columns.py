"""The columns that lifetimes are kept in: docs/INDEX_FORMAT.md says what each of them holds.

A hold (of an owner on an edge) is a row of four columns, any other fact a row of four others.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

from ezmsg.ledger.projections.graph.ownership import EdgeKey, Owner
from ezmsg.ledger.projections.lifetimes.column import Column
from ezmsg.ledger.projections.lifetimes.spans import Spans, union

GROWING = {
    "hold.born": "q",
    "hold.died": "q",
    "hold.edge": "I",
    "hold.owner": "q",
    "hold.before": "i",
    "edge.from": "I",
    "edge.to": "I",
    "note.seq": "q",
    "note.end": "Q",
    "note.hold": "I",
    "time.seq": "q",
    "time.ns": "q",
    "check.seq": "q",
    "check.end": "Q",
    "checkpoints": "B",
    "fact.key": "I",
    "fact.value": "I",
    "fact.born": "q",
    "fact.died": "q",
    "value.end": "Q",
    "values": "B",
    "topics": "B",
    "keys": "B",
    "session.lives": "B",
    "stack.time": "q",
    "stack.seq": "q",
}
"""The columns that grow at their ends, with their type codes. Rows of some change later, when something ends."""

WHOLE = {"edge.last": "I", "key.last": "I", "landmarks": "B", "session.open": "B"}
"""The columns that are stored as a whole each time."""

CODES = GROWING | WHOLE

FACTS = ("fact.key", "fact.value", "fact.born", "fact.died")

PERSISTENT = 0
"""The owner column's value for holds of the persistent owner: no id is 0."""


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
    """A fact other than a hold, from event ``born`` until event ``died``. ``value`` is what the journal notes of it."""

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


def empty() -> dict[str, Column]:
    """Columns without a row."""
    return {name: Column(code) for name, code in CODES.items()}
