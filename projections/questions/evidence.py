"""Evidence for answers: lifetimes beside the events at their ends, which the ledger has."""

from bisect import bisect_left
from collections.abc import Iterable
from operator import attrgetter
from typing import Any

from msgspec.structs import replace

from ezmsg.ledger.events import MetadataRegistered, SettingsUpdated, SettingsValue
from ezmsg.ledger.projections.graph.records import Registration
from ezmsg.ledger.projections.lifetimes.archive import Archive
from ezmsg.ledger.projections.lifetimes.clock_readings import Elapsed
from ezmsg.ledger.projections.lifetimes.columns import Fact, Hold
from ezmsg.ledger.projections.lifetimes.spans import OPEN, Spans
from ezmsg.ledger.projections.questions import causes
from ezmsg.ledger.projections.questions.answers import Cause, Life, Span
from ezmsg.ledger.projections.questions.subjects import Subject, Subjects

CAUSED = 100
"""Spans of one answer whose causes are told: a person reads no more, and each may need a piece of the ledger."""

HAVING_PARTS = ("session", "endpoint")
"""Kinds of subjects to which other facts belong: see ``Evidence.raw``."""

_seq_of = attrgetter("seq")


class Evidence:
    """A ledger's lifetimes up to ``head``, and its events, as of one look; ``at`` gives the state after an event."""

    def __init__(self, archive: Archive) -> None:
        self.ledger = archive.ledger
        self.lifetimes = archive.lifetimes()
        self.subjects = Subjects(self.lifetimes)
        self.at = archive.state_at
        self.head = self.lifetimes.seq
        self._batch: list[Any] = []
        self._events: dict[int, Any] = {}
        self._lost: dict[int, int] | None = None

    # --- events ------------------------------------------------------------------------------------------------------

    @property
    def begin(self) -> int:
        """The first seq that is known: 1, or that of the state which dropped segments have left."""
        return max(1, self.ledger.first - 1)

    def event(self, seq: int) -> Any:
        """Event ``seq``. Cost: a piece of the ledger is decoded, unless the one before was in the same piece."""
        known = self._events.get(seq)
        if known is not None:
            return known
        batch = self._batch
        if not batch or not batch[0].seq <= seq <= batch[-1].seq:
            batch = self._batch = next(iter(self.ledger.read(seq - 1)))
        return batch[bisect_left(batch, seq, key=_seq_of)]

    def cause(self, seq: int, kind: str, end: bool) -> Cause:
        """The meaning of event ``seq`` for a fact of ``kind`` that began, or ended (``end``), with it."""
        if seq < self.ledger.first:
            return causes.earlier(seq, self.time(seq))
        return causes.cause(self.event(seq), kind, end, self.name)

    def deed(self, seq: int) -> Cause:
        """The meaning of event ``seq`` for all that began or ended with it."""
        if seq < self.ledger.first:
            return causes.earlier(seq, self.time(seq))
        return causes.deed(self.event(seq), self.name)

    def registration(self, fact: Fact) -> Registration:
        """The registration that a ``registration`` fact stands for. Cost: a piece of the ledger."""
        if fact.born < self.ledger.first:
            return self.at(fact.born).registrations[fact.name]
        event = self.event(fact.born)
        return Registration(event.metadata, event.raw)

    def settings(self, fact: Fact) -> SettingsValue:
        """The settings value that a ``setting`` fact stands for, with its pickle. Cost: a piece of the ledger.

        A value that fell back, or is older than the first event, costs the state at that event.
        """
        event = self.event(fact.born) if fact.born >= self.ledger.first else None
        if type(event) is SettingsUpdated:
            found: SettingsValue = event.value
            return found
        if type(event) is MetadataRegistered:
            known = dict(Registration(event.metadata, None).settings())
            if fact.name in known:
                return known[fact.name]
        return self.at(fact.born).settings[fact.name].value

    def name(self, owner: int | None) -> str:
        """``persistent``, or a session's id with its label, else with where it came from."""
        sessions = self.lifetimes.landmarks.sessions
        return causes.owner_name(owner, None if owner is None else sessions.get(owner))

    # --- lives -------------------------------------------------------------------------------------------------------

    def raw(self, subject: Subject, whole: bool = False) -> list[Hold | Fact]:
        """The facts and holds that make ``subject``, by birth; with ``whole``, also those that belonged to it."""
        lifetimes, names = self.lifetimes, subject.names
        found: list[Hold | Fact]
        if subject.kind == "edge":
            found = list(lifetimes.holds_on((str(names[0]), str(names[1]))))
        elif subject.kind == "topic":
            found = [*lifetimes.holds_at_topic(str(names[0]))]
            found += [fact for fact in lifetimes.facts("endpoint") if fact.value[1] == names[0]]
        else:
            found = list(lifetimes.facts(subject.kind, *names))
        if whole and subject.kind == "session":
            found += lifetimes.facts("registration", *names)
            for name in names:
                found += lifetimes.holds_of(int(name))
        if whole and subject.kind == "endpoint":
            found += lifetimes.facts("stall", *names)
        return sorted(found, key=attrgetter("born", "died"))

    def life(self, row: Hold | Fact) -> Life:
        """A hold or fact, with the causes of both its ends."""
        lasts = row.died == OPEN
        kind = "edge" if isinstance(row, Hold) else row.kind
        came = self.cause(row.born, kind, False)
        went = None if lasts else self.cause(row.died, kind, True)
        died, ended = (None, None) if lasts else (row.died, self._ended(row.died))
        if isinstance(row, Hold):
            name = " -> ".join(row.edge)
            return Life(kind, name, row.born, died, came, went, row.owner, self.name(row.owner), ended=ended)
        return Life(kind, str(row.name), row.born, died, came, went, value=row.value, ended=ended)

    def lives(self, rows: Iterable[Hold | Fact]) -> list[Life]:
        """Holds or facts with their causes. Cost: two events for each; those in one piece of the ledger share it."""
        rows = list(rows)
        self._events.clear()
        for seq in sorted({seq for row in rows for seq in (row.born, row.died)}):
            if self.ledger.first <= seq < OPEN:
                self._events[seq] = self.event(seq)
        return list(map(self.life, rows))

    # --- time --------------------------------------------------------------------------------------------------------

    def time(self, seq: int) -> int:
        """The time of event ``seq``, ns."""
        return self.lifetimes.time_of(seq)

    def elapsed(self, seq_a: int, seq_b: int) -> Elapsed:
        """The time that passed from event ``seq_a`` to event ``seq_b``: see ``Readings``."""
        return self.lifetimes.landmarks.readings.elapsed(seq_a, self.time(seq_a), seq_b, self.time(seq_b))

    def spans(self, spans: Spans, until: int | None = None) -> list[Span]:
        """Stretches of seqs with their times, up to event ``until`` (None: the last one), where those that last end.

        What passed is told by the readings of the clocks, where there are any: see ``Readings``; else a clock that was
        set back counts as no time. Nor does the time in which a lost server was already dead.
        """
        until = self.head if until is None else until
        out = []
        for born, died in spans:
            if born > until:
                break
            lasts = died > until
            begin, end = self.time(born), self.time(until) if lasts else self._ended(died)
            last = until if lasts else self.dead_from(died)
            passed = self.lifetimes.landmarks.readings.elapsed(born, begin, last, end)
            length, clock = max(0, passed.ns), passed.clock
            out.append(Span(born, None if lasts else died, begin, None if lasts else end, length, clock))
        return out

    def _ended(self, seq: int) -> int:
        """The time of the end that event ``seq`` tells of: of a lost run, when it was last known to be alive.

        That is the time in its lock file, which is renewed once a second, or of its last event when that is later.
        """
        return self._last_signs().get(seq) or self.time(seq)

    def dead_from(self, seq: int) -> int:
        """The event by whose reading of the clocks the end that ``seq`` tells of is taken: of a lost run its last."""
        return seq - 1 if seq in self._last_signs() else seq

    def _last_signs(self) -> dict[int, int]:
        if self._lost is None:
            runs = [run for run in self.lifetimes.landmarks.runs if run.ending == "lost" and run.end is not None]
            self._lost = {run.end + 1: max(run.ended or 0, self.time(run.end)) for run in runs if run.end is not None}
        return self._lost

    def caused(self, spans: list[Span]) -> list[Span]:
        """Spans with the events at their ends: of more than CAUSED spans, only the first and the last ones."""
        half = CAUSED // 2
        out = list(spans)
        for place, span in enumerate(spans):
            if place < half or place >= len(spans) - half:
                went = None if span.died is None else self.deed(span.died)
                out[place] = replace(span, came=self.deed(span.born), went=went)
        return out


def total(spans: Iterable[Span]) -> int:
    """The length of all spans together, ns."""
    return sum(span.ns for span in spans)
