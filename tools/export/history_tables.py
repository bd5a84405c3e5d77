"""Arrow tables of a whole history, from which pandas, polars and DuckDB are one line each.

The idea: columns are made of columns, and not of rows: lives come straight out of those that lifetimes are kept in.
"""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from ezmsg.ledger.extras import needed
from ezmsg.ledger.projections.lifetimes.spans import OPEN
from ezmsg.ledger.projections.questions.timeline import Timeline
from ezmsg.ledger.tools.exits import MissingExtra
from ezmsg.ledger.tools.export.rows import event_columns
from ezmsg.ledger.tools.export.tables import EXTRA, event_batches, schema_of

if TYPE_CHECKING:
    from pyarrow import Table

LIFE: dict[str, type] = {"born": int, "died": int, "began": int, "ended": int}
"""The columns that say from when to when."""

EDGES = {"from_topic": str, "to_topic": str, "owner": int, "label": str, **LIFE}
SESSIONS = {"session": int, "uuid": str, "label": str, "peer": str, "run": int, **LIFE}
SETTINGS = {"component": str, "value": str, **LIFE}


class Tables(NamedTuple):
    """The tables of a history: all events, and sessions, holds on edges and settings, a row for each life of one.

    A life goes from event ``born`` (a seq) to the one before ``died`` (null: it lasts); ``began`` and ``ended`` are
    their times, timestamps in ns, UTC. Of a run that was lost ``ended`` is when it was last known to be alive.
    """

    events: "Table"
    sessions: "Table"
    edges: "Table"
    settings: "Table"


def to_arrow(timeline: Timeline) -> Tables:
    """The history of a ledger as pyarrow tables: see ``Tables``. Raises MissingExtra without pyarrow.

    ``owner`` of an edge is the id of a session, null for ezmsg's persistent owner; ``label`` names the session.
    ``value`` of a setting is JSON text, in the form of the ledger. Cost: O(events), all of them in memory.

        >>> from ezmsg.ledger import Ledger, events
        >>> from ezmsg.ledger.projections import Timeline
        >>> ledger = Ledger.memory()
        >>> _ = ledger.append([events.EdgeConnected(from_topic="A", to_topic="B", owner=None)])
        >>> to_arrow(Timeline(ledger)).edges.select(["from_topic", "to_topic", "born", "died"]).to_pylist()
        [{'from_topic': 'A', 'to_topic': 'B', 'born': 1, 'died': None}]
    """
    pyarrow = needed("pyarrow", EXTRA, "An Arrow table", MissingExtra)
    sessions, edges, settings = lives_of(timeline)
    batches = event_batches(timeline.ledger.read())
    events = pyarrow.Table.from_batches(batches, schema_of(pyarrow, event_columns()))
    return Tables(events, sessions, edges, settings)


class Lives(NamedTuple):
    """The tables of lives alone: see ``Tables``."""

    sessions: "Table"
    edges: "Table"
    settings: "Table"


def lives_of(timeline: Timeline) -> Lives:
    """The lives of sessions, of holds on edges and of settings: see ``to_arrow``.

    Raises MissingExtra. Cost: that of the lifetimes, and 2 us for each life.
    """
    pyarrow = needed("pyarrow", EXTRA, "An Arrow table", MissingExtra)
    lived = _lived(timeline)

    def table(columns: dict[str, type], found: "Columns") -> "Table":
        names, born, died = found
        schema = schema_of(pyarrow, columns)
        arrays = chain(names, lived(born, died))
        return pyarrow.Table.from_arrays(
            [pyarrow.array(values, field.type) for values, field in zip(arrays, schema, strict=True)], schema=schema
        )

    return Lives(
        table(SESSIONS, _sessions(timeline)),
        table(EDGES, _edges(timeline)),
        table(SETTINGS, _settings(timeline)),
    )


Column = Sequence[Any]
Columns = tuple[Sequence[Column], Sequence[int], Sequence[int]]
"""The columns of a table before those of LIFE, and the seqs at which each life begins and ends."""


def _lived(timeline: Timeline) -> Callable[[Sequence[int], Sequence[int]], list[Column]]:
    """Turns the seqs at which lives begin and end into the columns LIFE."""
    lifetimes = timeline.lifetimes
    seqs, times = lifetimes.column("time.seq")[:], lifetimes.column("time.ns")[:]

    def time_of(seq: int) -> int:
        place = bisect_right(seqs, seq)
        return times[place - 1] if place else 0

    lost = {
        run.end + 1: max(run.ended or 0, time_of(run.end))
        for run in timeline.landmarks.runs
        if run.ending == "lost" and run.end is not None
    }

    def lived(born: Sequence[int], died: Sequence[int]) -> list[Column]:
        ends = [None if seq == OPEN else seq for seq in died]
        ended = [None if seq is None else lost.get(seq) or time_of(seq) for seq in ends]
        return [born, ends, list(map(time_of, born)), ended]

    return lived


def _sessions(timeline: Timeline) -> Columns:
    marks = timeline.landmarks.sessions
    lives: dict[int, list[int]] = {}
    for fact in timeline.lifetimes.facts("session"):  # a session that gets its label later is two facts
        first, last = lives.get(fact.name, (fact.born, fact.died))
        lives[fact.name] = [min(first, fact.born), max(last, fact.died)]
    found = [marks[key] for key in lives]
    names = [list(lives), *([getattr(mark, name) for mark in found] for name in ("uuid", "label", "peer", "run"))]
    return names, [born for born, _ in lives.values()], [died for _, died in lives.values()]


def _edges(timeline: Timeline) -> Columns:
    marks, lifetimes = timeline.landmarks.sessions, timeline.lifetimes
    born, died, places, held = (lifetimes.column(f"hold.{name}")[:] for name in ("born", "died", "edge", "owner"))
    edges = lifetimes.edges()
    labels = {owner: None if owner not in marks else marks[owner].label for owner in set(held)}
    sources, targets = ([edges[place][side] for place in places] for side in (0, 1))
    return [sources, targets, [owner or None for owner in held], [labels[owner] for owner in held]], born, died


def _settings(timeline: Timeline) -> Columns:
    facts = timeline.lifetimes.facts("setting")
    values = [msgspec.json.encode(fact.value[0]).decode("utf-8") for fact in facts]
    return [[fact.name for fact in facts], values], [fact.born for fact in facts], [fact.died for fact in facts]
