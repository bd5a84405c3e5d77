"""The growing end of the lifetimes: events that are folded here add rows to the columns.

The idea: the state is folded once, and what it keeps is told to those who write columns: its edges are ``HeldEdges``,
its tables tell a journal of each record that comes and goes (``ObservedState``). Every few thousand events the rows
that are open are noted, and the state is kept as a checkpoint: a question about any seq starts at the note before it,
and is answered in the time that a few thousand events take, however many there are.
"""

from collections.abc import Sequence
from typing import Any

from ezmsg.ledger.projections.graph import checkpoint
from ezmsg.ledger.projections.graph.state import GraphState
from ezmsg.ledger.projections.lifetimes.column import Column
from ezmsg.ledger.projections.lifetimes.fact_journal import FactJournal, ObservedState
from ezmsg.ledger.projections.lifetimes.held_edges import HeldEdges
from ezmsg.ledger.projections.lifetimes.landmarks import Landmarks, turns
from ezmsg.ledger.projections.lifetimes.session_lives import SessionLives

NOTE_EVERY = 2**12
"""Events between two notes of what is open. A query looks at one note and at the rows born since: both of one size
for the four thousand edges of a large graph."""

CHECK_EVERY = 2**15
"""Events between two checkpoints: to fold half of as many takes a few times what reading one of a large graph does."""

CHECK_BYTES = 64
"""Bytes of checkpoints per event, at most in the long run: a third of what an event takes in the ledger."""


class Builder:
    """The tables that are needed to go on, beside the columns, topics and landmarks that are added to.

    ``state``, whose edges are ``edges``, and ``journal``. Where ``before`` is given, it is the state at the end of the
    columns, and ``rows`` are those of its holds; it is used up.
    """

    def __init__(
        self,
        columns: dict[str, Column],
        topics: list[str],
        landmarks: Landmarks,
        lives: SessionLives,
        journal: FactJournal | None = None,
        before: GraphState | None = None,
        rows: Sequence[int] = (),
    ) -> None:
        self._columns = columns
        self._landmarks = landmarks
        self.lives = lives
        self.journal = journal or FactJournal(columns)
        self.edges = HeldEdges(columns, topics)
        self.state = ObservedState(self.journal, self.edges)
        if before is not None:
            self.edges.go_on(before.ownership, rows)
            for life in lives.open:
                self.edges.held_before(life.id, life.edges_max)
            self.state.load(before)
        self.note_after = NOTE_EVERY
        self.check_after = CHECK_EVERY

    def begin(self, state: GraphState) -> None:
        """Begin with ``state`` instead of nothing; it is used up. Cost: O(state)."""
        self.journal.seq = state.seq
        columns = self._columns
        columns["time.seq"].append(state.seq)
        columns["time.ns"].append(state.time)
        self.lives.begin(state)
        self.edges.begin(state.ownership, state.seq)
        self._landmarks.begin(state)
        self.state.load(state, tell=True)
        self.journal.settle()
        self.note(force=True)

    def take(self, events: Sequence[Any]) -> None:
        """Add events, in order. Raises as the fold does; after that the builder is of no further use."""
        for begin in range(0, len(events), NOTE_EVERY):
            piece = events[begin : begin + NOTE_EVERY] if len(events) > NOTE_EVERY else events
            self.state.apply_batch(piece)
            self.edges.settle()
            self.journal.settle()
            self._take(piece)
            self.note()

    def _take(self, events: Sequence[Any]) -> None:
        others = self.state.passed
        self._columns["session.lives"].frombytes(self.lives.take(others, self.edges.ended))
        self.edges.ended.clear()
        turn_firsts, turn_lasts = turns(events)
        self._landmarks.take(events, others, turn_lasts)
        growing = self._columns["time.seq"], self._columns["time.ns"]
        seqs, times = (column.grow() for column in growing)
        for event in turn_firsts:
            if not times or event.time != times[-1]:
                seqs.append(event.seq)
                times.append(event.time)
        for column in growing:
            column.settle()
        others.clear()

    def note(self, force: bool = False) -> None:
        """Note what is open, and the state, when enough has come since the last time; with ``force``, if anything
        has."""
        seq = self.state.seq
        columns = self._columns
        seqs, holds = columns["note.seq"], columns["note.hold"]
        since = seq - (seqs[-1] if seqs else 0)
        if since >= self.note_after or (force and since):
            before = len(holds)
            holds.extend(self.edges.rows())
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
