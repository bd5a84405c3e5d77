"""Lifetimes and the ledger side by side: lives with the events at their ends."""

from bisect import bisect_left
from collections.abc import Callable, Iterable
from operator import attrgetter
from typing import Any

from ezmsg.ledger.log import Ledger
from ezmsg.ledger.projections import causes
from ezmsg.ledger.projections.answers import Cause, Life, Span
from ezmsg.ledger.projections.lifetimes import Fact, Hold, Lifetimes
from ezmsg.ledger.projections.snapshot import PERSISTENT
from ezmsg.ledger.projections.spans import OPEN, Spans
from ezmsg.ledger.projections.state import GraphState
from ezmsg.ledger.projections.subjects import Subject, Subjects

_seq_of = attrgetter("seq")


class Past:
    """All that was up to ``head``, as of one look at the ledger. ``at`` gives the state after an event."""

    def __init__(self, ledger: Ledger, lifetimes: Lifetimes, at: Callable[[int], GraphState]) -> None:
        self.ledger = ledger
        self.lifetimes = lifetimes
        self.subjects = Subjects(lifetimes)
        self.at = at
        self.head = lifetimes.seq
        self._batch: list[Any] = []

    # --- events ------------------------------------------------------------------------------------------------------

    def event(self, seq: int) -> Any:
        """Event ``seq``. Cost: a piece of the ledger is decoded, unless the one before was in the same piece."""
        batch = self._batch
        if not batch or not batch[0].seq <= seq <= batch[-1].seq:
            batch = self._batch = next(iter(self.ledger.read(seq - 1)))
        return batch[bisect_left(batch, seq, key=_seq_of)]

    def cause(self, seq: int, kind: str, end: bool) -> Cause:
        """What event ``seq`` meant for a fact of ``kind`` that began or ended with it."""
        return causes.cause(self.event(seq), kind, end, self.name)

    def name(self, owner: int | None) -> str:
        """``persistent``, or a session's label and id."""
        if owner is None:
            return PERSISTENT
        mark = self.lifetimes.landmarks.sessions.get(owner)
        return f'{owner} "{mark.label}"' if mark is not None and mark.label else str(owner)

    # --- lives -------------------------------------------------------------------------------------------------------

    def raw(self, subject: Subject, whole: bool = False) -> list[Hold | Fact]:
        """What ``subject`` was, by birth; with ``whole``, also what belonged to it."""
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
        """A row with the causes of both its ends."""
        kind = "edge" if isinstance(row, Hold) else row.kind
        came = self.cause(row.born, kind, False)
        went = None if row.died == OPEN else self.cause(row.died, kind, True)
        died = None if row.died == OPEN else row.died
        if isinstance(row, Hold):
            name = " -> ".join(row.edge)
            return Life(kind, name, row.born, died, came, went, row.owner, self.name(row.owner))
        return Life(kind, str(row.name), row.born, died, came, went, value=row.value)

    def lives(self, rows: Iterable[Hold | Fact]) -> list[Life]:
        """Each with its causes. Cost: each needs two pieces of the ledger; those that are near share one."""
        return [self.life(row) for row in rows]

    # --- time --------------------------------------------------------------------------------------------------------

    def time(self, seq: int) -> int:
        """The time of event ``seq``, ns."""
        return self.lifetimes.time_of(seq)

    def spans(self, spans: Spans) -> list[Span]:
        """With their times. What lasts is counted up to the last event; a clock that was set back counts as no time."""
        out = []
        for born, died in spans:
            lasts = died > self.head
            begin, end = self.time(born), self.time(self.head if lasts else died)
            length = max(0, end - begin)
            out.append(Span(born, None if lasts else died, begin, None if lasts else end, length))
        return out


def total(spans: list[Span]) -> int:
    """How long they are in all, ns."""
    return sum(span.ns for span in spans)
