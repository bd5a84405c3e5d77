"""A piece of the history as events and in sentences, as ``log`` tells them."""

from typing import Any

import msgspec

from ezmsg.ledger import codec
from ezmsg.ledger.errors import DamagedLedger
from ezmsg.ledger.tools.commands.look.log import Filter
from ezmsg.ledger.tools.debugger.watched import Watched
from ezmsg.ledger.tools.text.bursts import Bursts, Line
from ezmsg.ledger.tools.text.documents import Document, ledger_document
from ezmsg.ledger.tools.text.sentences import Story

LOOKED_AT_MAX = 20_000
"""Events that one answer looks through for those that are wanted: a tenth of a second."""


def event_lines(
    watched: Watched, after: int, until: int, limit: int, wanted: Filter | None = None, fold: bool = True
) -> Document:
    """The events after seq ``after``, up to ``limit`` of them, and the lines that tell them.

    ``next``: after which seq to go on, None at the end. Cost: telling takes some microseconds an event, and finding
    the state to begin with as much as ``Timeline.at``, unless the answer before ended there.
    """
    until, after = min(until, watched.head), max(after, watched.ledger.first - 1)
    events: list[Any] = []
    lines: list[Line] = []
    looked = 0
    seq = after
    if after < until:
        jumps = watched.timeline.landmarks.readings.jumps_at
        story, bursts = Story(watched.state_after(after), jumps=jumps), Bursts(fold)
        try:
            for event in watched.ledger.entries(after, until):
                sentence = story.tell(event)
                looked, seq = looked + 1, event.seq
                if wanted is None or wanted(sentence, story.state):
                    events.append(_raw(event))
                    lines += bursts.add(sentence)
                if len(events) >= limit or looked >= LOOKED_AT_MAX:
                    break
        except DamagedLedger as error:
            watched.timeline.damage = error
            until = seq
        lines += bursts.flush()
        watched.keep_state(story.state)
    return _document(watched, (after, seq, until), events, lines)


def raw_events(watched: Watched, after: int, until: int, limit: int) -> Document:
    """As ``event_lines``, without a line: no state has to be found. Cost: O(limit)."""
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
