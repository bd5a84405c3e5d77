"""A piece of the history as events and in sentences, as ``log`` tells them."""

from contextlib import suppress
from typing import Any, cast

import msgspec

from ezmsg.ledger import codec
from ezmsg.ledger import events as ev
from ezmsg.ledger.errors import DamagedLedger, EventError
from ezmsg.ledger.projections.graph.state import GraphState
from ezmsg.ledger.tools.commands.look.log import Filter
from ezmsg.ledger.tools.debugger.api.past import NeedsState, Past
from ezmsg.ledger.tools.debugger.watched import Watched
from ezmsg.ledger.tools.text.bursts import Bursts, Line
from ezmsg.ledger.tools.text.documents import Document, ledger_document
from ezmsg.ledger.tools.text.sentences import Sentence, Story

FOLDED_MAX = 2_000
"""Events that are replayed for a state as a matter of course: a millisecond or two."""

LOOKED_AT_MAX = 20_000
"""Events that one answer looks through for those that are wanted: a tenth of a second."""


def event_lines(
    watched: Watched, after: int, until: int, limit: int, wanted: Filter | None = None, fold: bool = True
) -> Document:
    """The events after seq ``after``, up to ``limit`` of them, and the lines that tell them.

    ``next``: after which seq to go on, None at the end. Cost: telling takes some microseconds an event. The state to
    begin with is that in which the answer before ended; else ``Past`` does without one as long as it can, which is
    as a rule for the whole of a piece far from the beginning; else it costs as much as ``Timeline.at``.
    """
    until, after = min(until, watched.head), max(after, watched.ledger.first - 1)
    events: list[Any] = []
    lines: list[Line] = []
    looked = 0
    seq = after
    if after < until:
        bursts = Bursts(fold)
        teller = _Teller(watched, after, is_filtered=wanted is not None)
        try:
            for event in watched.ledger.entries(after, until):
                sentence = teller.tell(event)
                looked, seq = looked + 1, event.seq
                if wanted is None or wanted(sentence, teller.state):
                    events.append(_raw(event))
                    lines += bursts.add(sentence)
                if len(events) >= limit or looked >= LOOKED_AT_MAX:
                    break
        except DamagedLedger as error:
            watched.timeline.damage = error
            until = seq
        lines += bursts.flush()
        teller.keep()
    return _document(watched, (after, seq, until), events, lines)


class _Teller:
    """Tells events from a Past for as long as that is enough, and from a state after that."""

    def __init__(self, watched: Watched, after: int, is_filtered: bool) -> None:
        self._watched = watched
        self._jumps = watched.timeline.landmarks.readings.jumps_at
        self._past: Past | None = None
        if after > FOLDED_MAX and not is_filtered and not watched.has_state(after):
            with suppress(EventError):  # no lifetimes can be made of it; its events can be told all the same
                self._past = Past(watched.timeline.lifetimes, after)
        if self._past is None:
            self._story = self._from(after)
        else:
            self._story = Story(cast(GraphState, self._past), jumps=self._jumps)

    @property
    def state(self) -> GraphState:
        """The state after the event that was told last; asked for by filters, which are told from a state."""
        return self._story.state

    def tell(self, event: ev.AnyEvent) -> Sentence:
        """The sentence for the next event."""
        if self._past is not None:
            try:
                return self._story.tell(event)
            except NeedsState:
                self._past, self._story = None, self._from(event.seq - 1)
        return self._story.tell(event)

    def keep(self) -> None:
        """Keep the state for the call that goes on from here."""
        if self._past is None:
            self._watched.keep_state(self._story.state)

    def _from(self, seq: int) -> Story:
        return Story(self._watched.state_after(seq), jumps=self._jumps)


def raw_events(watched: Watched, after: int, until: int, limit: int) -> Document:
    """Events as ``event_lines`` has them, without a line: no state has to be found. Cost: O(limit)."""
    until, after = min(until, watched.head), max(after, watched.ledger.first - 1)
    events = list(watched.ledger.entries(after, min(until, after + limit)))
    seq = events[-1].seq if events else until
    return _document(watched, (after, seq, until), list(map(_raw, events)), [])


def _raw(event: Any) -> msgspec.Raw:
    return msgspec.Raw(codec.encode([event]).rstrip(b"\n"))


def _document(watched: Watched, span: tuple[int, int, int], events: list[Any], lines: list[Line]) -> Document:
    after, seq, until = span
    return {
        **ledger_document(watched.timeline),
        "after": after,
        "upto": seq,
        "next": seq if seq < until else None,
        "events": events,
        "lines": lines,
    }
