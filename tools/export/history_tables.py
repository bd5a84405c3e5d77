"""Arrow tables of a whole history, from which pandas, polars and DuckDB are one line each."""

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from ezmsg.ledger.extras import needed
from ezmsg.ledger.projections.lifetimes.spans import OPEN
from ezmsg.ledger.projections.questions.timeline import Timeline
from ezmsg.ledger.tools.exits import MissingExtra
from ezmsg.ledger.tools.export.rows import Row, event_columns, event_row
from ezmsg.ledger.tools.export.tables import EXTRA, schema_of, table_of

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

    def table(columns: dict[str, type], rows: Iterable[Row]) -> "Table":
        return table_of(pyarrow, schema_of(pyarrow, columns), rows)

    lived = _lived(timeline)
    events = (event_row(event) for batch in timeline.ledger.read() for event in batch)
    return Tables(
        table(event_columns(), events),
        table(SESSIONS, _sessions(timeline, lived)),
        table(EDGES, _edges(timeline, lived)),
        table(SETTINGS, _settings(timeline, lived)),
    )


Lived = Callable[[int, int], Row]


def _lived(timeline: Timeline) -> Lived:
    """Turns the seqs at which a life begins and ends into the columns LIFE."""
    time = timeline.lifetimes.time_of
    lost = {
        run.end + 1: max(run.ended or 0, time(run.end))
        for run in timeline.landmarks.runs
        if run.ending == "lost" and run.end is not None
    }

    def lived(born: int, died: int) -> Row:
        lasts = died == OPEN
        ended = None if lasts else lost.get(died) or time(died)
        return {"born": born, "died": None if lasts else died, "began": time(born), "ended": ended}

    return lived


def _sessions(timeline: Timeline, lived: Lived) -> Iterator[Row]:
    marks = timeline.landmarks.sessions
    lives: dict[int, list[int]] = {}
    for fact in timeline.lifetimes.facts("session"):  # a session that gets its label later is two facts
        first, last = lives.get(fact.name, (fact.born, fact.died))
        lives[fact.name] = [min(first, fact.born), max(last, fact.died)]
    for key, (born, died) in lives.items():
        mark = marks[key]
        named = {"session": key, "uuid": mark.uuid, "label": mark.label, "peer": mark.peer, "run": mark.run}
        yield {**named, **lived(born, died)}


def _edges(timeline: Timeline, lived: Lived) -> Iterator[Row]:
    marks = timeline.landmarks.sessions
    for edge in timeline.lifetimes.edges():
        for hold in timeline.lifetimes.holds_on(edge):
            mark = None if hold.owner is None else marks.get(hold.owner)
            ends = {"from_topic": edge[0], "to_topic": edge[1]}
            owner = {"owner": hold.owner, "label": None if mark is None else mark.label}
            yield {**ends, **owner, **lived(hold.born, hold.died)}


def _settings(timeline: Timeline, lived: Lived) -> Iterator[Row]:
    for fact in timeline.lifetimes.facts("setting"):
        shown = msgspec.json.encode(fact.value[0]).decode("utf-8")
        yield {"component": fact.name, "value": shown, **lived(fact.born, fact.died)}
