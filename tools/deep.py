"""Checking what the events mean, and not only that they are as they were written."""

from collections.abc import Callable

import msgspec

from ezmsg.ledger.errors import DamagedLedger, LedgerError
from ezmsg.ledger.log import Ledger
from ezmsg.ledger.projections.state import GraphState


class Consistency(msgspec.Struct, frozen=True):
    """What folding a ledger step by step found: how many ``events`` were applied and checked; the ``seq`` of the first
    one after which something does not hold, and the ``problem``; both None when all does."""

    events: int
    seq: int | None = None
    problem: str | None = None


def check_each_step(ledger: Ledger, step: Callable[[int], object] = lambda seq: None) -> Consistency:
    """Fold the sound part of a ledger, asserting every invariant of the state after every event.

    ``step`` is called with each seq that was checked. Cost: O(events * state): each check looks at the whole state.
    """
    state = GraphState()
    events = 0
    try:
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
