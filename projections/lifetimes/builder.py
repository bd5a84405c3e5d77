"""The growing end of the lifetimes: events that are folded here add rows to the columns.

The idea: a hold on an edge is a row at the end of five columns. It is born by five appends and ends by one write, of
its seq into ``hold.died`` at its row; nothing is ever moved. It names the hold before it on its edge, so that all of an
edge's are found from the last one on. Beside the columns stands only what is needed to go on:
the place of each edge by its topics, and for each owner the rows of its open holds by the place of their edge. All
other facts are written down by the fold itself, whose tables tell a journal what comes and goes (``ObservedState``).
Every few thousand events the rows that are open are noted, and the state is kept as a checkpoint: a question about any
seq starts at the note before it, and is answered in the time that a few thousand events take, however many there are.
"""

from array import array
from collections.abc import Sequence
from itertools import chain
from typing import Any

from ezmsg.ledger import events as ev
from ezmsg.ledger.projections.graph import checkpoint
from ezmsg.ledger.projections.graph.state import GraphState
from ezmsg.ledger.projections.lifetimes.column import Column
from ezmsg.ledger.projections.lifetimes.columns import PERSISTENT
from ezmsg.ledger.projections.lifetimes.fact_journal import FactJournal, ObservedState
from ezmsg.ledger.projections.lifetimes.landmarks import Landmarks, turns
from ezmsg.ledger.projections.lifetimes.spans import OPEN
from ezmsg.ledger.projections.projection import contradiction

NOTE_EVERY = 2**12
"""Events between two notes of what is open. A query looks at one note and at the rows born since: both of one size
for the four thousand edges of a large graph."""

CHECK_EVERY = 2**15
"""Events between two checkpoints: to fold half of as many takes a few times what reading one of a large graph does."""

CHECK_BYTES = 64
"""Bytes of checkpoints per event, at most in the long run: a third of what an event takes in the ledger."""


class Builder:
    """The tables that are needed to go on, beside the columns, topics and landmarks that are added to.

    ``state`` and ``journal``; the place of each edge by its topics (``edges``), and of each topic (``places``); the
    rows of each owner's open holds, by the place of their edge (``held``); and the last hold of each edge (``last``).
    """

    def __init__(
        self, columns: dict[str, Column], topics: list[str], landmarks: Landmarks, journal: FactJournal | None = None
    ) -> None:
        self._columns = columns
        self._topics = topics
        self._landmarks = landmarks
        self.journal = journal or FactJournal(columns)
        self.state = ObservedState(self.journal)
        self.edges: dict[str, dict[str, int]] = {}
        self.held: dict[int, dict[int, int]] = {PERSISTENT: {}}
        self.places = {topic: place for place, topic in enumerate(topics)}
        self.last = array("I", columns["edge.last"])
        self.note_after = NOTE_EVERY
        self.check_after = CHECK_EVERY

    def begin(self, state: GraphState) -> None:
        """Begin with ``state`` instead of nothing; it is used up. Cost: O(state)."""
        self.journal.seq = state.seq
        self.state.load(state, tell=True)
        self.held.update((session, {}) for session in state.sessions)
        columns = self._columns
        columns["time.seq"].append(state.seq)
        columns["time.ns"].append(state.time)
        for edge, owners in state.ownership.edges():
            for owner in sorted(owner or PERSISTENT for owner in owners):
                place = self.edges.get(edge[0], {}).get(edge[1])
                if place is None:
                    place = self._new_edge(*edge)
                self.held[owner][place] = len(columns["hold.born"])
                for name, value in (("born", state.seq), ("died", OPEN), ("edge", place), ("owner", owner)):
                    columns[f"hold.{name}"].append(value)
                columns["hold.before"].append(self.last[place])
                self.last[place] = len(columns["hold.born"])
        self._landmarks.begin(state)
        self.note(force=True)

    def take(self, events: Sequence[Any]) -> None:
        """Add events, in order. Raises as the fold does; after that the builder is of no further use."""
        for begin in range(0, len(events), NOTE_EVERY):
            piece = events[begin : begin + NOTE_EVERY] if len(events) > NOTE_EVERY else events
            self.state.apply_batch(piece)
            self._take(piece)
            self.note()

    def _take(self, events: Sequence[Any]) -> None:
        columns, edges, held, last = self._columns, self.edges, self.held, self.last
        died = columns["hold.died"]
        ends, first = died.grow(), died.fixed
        row = len(died)
        growing = [columns[f"hold.{name}"] for name in ("born", "edge", "owner", "before")]
        born_now, places, owners, before = (column.grow().append for column in growing)
        others = []
        connected, disconnected = ev.EdgeConnected, ev.EdgeDisconnected
        ends.extend(array("q", (OPEN,)) * list(map(type, events)).count(ev.EdgeConnected))  # at once: that is faster
        try:
            for event in events:
                cls = type(event)
                if cls is connected:
                    try:  # most have been before
                        place = edges[event.from_topic][event.to_topic]
                    except KeyError:
                        place = self._new_edge(event.from_topic, event.to_topic)
                    owner = event.owner or PERSISTENT
                    held[owner][place] = row
                    row += 1
                    born_now(event.seq)
                    places(place)
                    owners(owner)
                    before(last[place])
                    last[place] = row
                elif cls is disconnected:
                    ended = held[event.owner or PERSISTENT].pop(edges[event.from_topic][event.to_topic])
                    if ended >= first:
                        ends[ended - first] = event.seq
                    else:
                        died[ended] = event.seq
                else:
                    others.append(event)
                    if cls is ev.SessionOpened:
                        held[event.seq] = {}
                    elif cls in _RELEASES:
                        self._release(event, cls, held, died)
        except KeyError as error:
            raise contradiction(event.seq, error) from error
        turn_firsts, turn_lasts = turns(events)
        self._landmarks.take(events, others, turn_lasts)
        growing += [columns["time.seq"], columns["time.ns"]]
        seqs, times = (column.grow() for column in growing[-2:])
        for event in turn_firsts:
            if not times or event.time != times[-1]:
                seqs.append(event.seq)
                times.append(event.time)
        for column in (died, *growing):
            column.settle()

    def _new_edge(self, from_topic: str, to_topic: str) -> int:
        place = len(self._columns["edge.to"])
        self._columns["edge.from"].append(self._place_of(from_topic))
        target = self._place_of(to_topic)
        self._columns["edge.to"].append(target)
        self.last.append(0)
        own = self._topics[target]  # one text for all edges that lead there: it stays in the processor's cache
        self.edges.setdefault(from_topic, {})[own] = place
        return place

    def _place_of(self, topic: str) -> int:
        place = self.places.get(topic)
        if place is None:
            place = self.places[topic] = len(self._topics)
            self._topics.append(topic)
        return place

    @staticmethod
    def _release(event: Any, cls: type, held: dict[int, dict[int, int]], died: Column) -> None:
        if cls is ev.SessionCleared or cls is ev.SessionClosed:
            owners = [event.session]
        elif cls is ev.GraphCleared:
            owners = [PERSISTENT]
        else:
            owners = [owner for owner in held if owner != PERSISTENT]
        for owner in owners:
            for row in held[owner].values():
                died[row] = event.seq
            held[owner] = {}
            if cls not in (ev.SessionCleared, ev.GraphCleared):
                del held[owner]

    def note(self, force: bool = False) -> None:
        """Note what is open, and the state, when enough has come since the last time; with ``force``, if anything
        has."""
        seq = self.state.seq
        columns = self._columns
        seqs, holds = columns["note.seq"], columns["note.hold"]
        since = seq - (seqs[-1] if seqs else 0)
        if since >= self.note_after or (force and since):
            before = len(holds)
            holds.extend(sorted(chain.from_iterable(rows.values() for rows in self.held.values())))
            seqs.append(seq)
            columns["note.end"].append(len(holds))
            self.note_after = max(NOTE_EVERY, len(holds) - before)
        checked = columns["check.seq"]
        since = seq - (checked[-1] if checked else 0)
        if since >= self.check_after or (force and since):
            kept = checkpoint.encode(self.state)
            columns["checkpoints"].frombytes(kept)
            checked.append(seq)
            columns["check.end"].append(len(columns["checkpoints"]))
            self.check_after = max(CHECK_EVERY, len(kept) // CHECK_BYTES)


_RELEASES = frozenset({ev.SessionCleared, ev.SessionClosed, ev.GraphCleared, ev.ServerStopped, ev.ServerLost})
