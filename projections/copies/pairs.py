"""Two ledgers line by line, one of which was made of the other."""

from collections.abc import Iterator
from typing import NamedTuple

from ezmsg.ledger.audit.source import Source
from ezmsg.ledger.errors import OtherHistory
from ezmsg.ledger.events import AnyEvent

DIFFERS_HINT = "One of the two was made anew or changed. `ezmsg-ledger verify` says whether each is sound in itself."


class Pair(NamedTuple):
    """Two lines of the same seq: ``ours`` of the ledger that was made, ``theirs`` of the original: its ``event``."""

    seq: int
    ours: bytes
    theirs: bytes
    event: AnyEvent


def pairs(ours: Source, theirs: Source, after: int, last: int) -> Iterator[Pair]:
    """The lines with ``after`` < seq <= ``last`` of both ledgers, side by side.

    Raises OtherHistory where one of them has a seq that the other has not. Cost: both are read.
    """
    seq, expected = after, theirs.lines(after, last)
    for event, line in ours.lines(after, last):
        found = next(expected, None)
        if found is None or found[0].seq != event.seq:
            raise OtherHistory(f"{ours.path} has seq {event.seq}, which {theirs.path} has not", hint=DIFFERS_HINT)
        seq = event.seq
        yield Pair(seq, line, found[1], found[0])
    if (missing := next(expected, None)) is not None:
        why = f"{ours.path} has no event after seq {seq}, but {theirs.path} has seq {missing[0].seq}"
        raise OtherHistory(why, hint=DIFFERS_HINT)
