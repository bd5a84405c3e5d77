"""Checking what the events mean, and not only that they are as they were written."""

from collections.abc import Callable

import msgspec

from ezmsg.ledger.errors import DamagedLedger, LedgerError
from ezmsg.ledger.log import LedgerReader
from ezmsg.ledger.projections.graph.replay import beginning


class Consistency(msgspec.Struct, frozen=True):
    """What folding a ledger step by step found: how many ``events`` were applied and checked; the ``seq`` of the first
    one after which something does not hold, and the ``problem``; both None when all does."""

    events: int
    seq: int | None = None
    problem: str | None = None


def check_each_step(ledger: LedgerReader, step: Callable[[int], object] = lambda seq: None) -> Consistency:
    """Fold the sound part of a ledger from where it begins, asserting every invariant of the state after every event.

    ``step`` is called with each seq that was checked. Cost: O(events * state): each check looks at the whole state.
    Raises what ``beginning`` raises where earlier segments are gone and what was so before cannot be known.
    """
    events = 0
    try:
        state = beginning(ledger)
        for event in ledger.entries():
            try:
                state.apply(event)
                state.check()
            except (LedgerError, AssertionError) as error:
                return Consistency(events, event.seq, str(error))
            events += 1
            step(event.seq)
    except DamagedLedger:  # what the bytes are is told by the other half of verify
        pass
    return Consistency(events)
