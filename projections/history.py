"""States of a ledger that need not be folded from its first event: earlier segments may be gone, or far away."""

from ezmsg.ledger.errors import EventError, HistoryDropped
from ezmsg.ledger.log import Ledger
from ezmsg.ledger.projections.checkpoint import decode
from ezmsg.ledger.projections.projection import fold
from ezmsg.ledger.projections.state import GraphState


def beginning(ledger: Ledger) -> GraphState:
    """The state just before the first event that is there: empty, unless earlier segments were dropped.

    Raises HistoryDropped when they left no checkpoint behind, EventError when it cannot be read.
    """
    return _start(ledger, ledger.first - 1)


def state_at(ledger: Ledger, seq: int | None = None) -> GraphState:
    """The state after event ``seq`` (None: the last one). Raises DamagedLedger, HistoryDropped.

    Cost: O(events since the last checkpoint before it): those of one segment at most.
    """
    state = _start(ledger, seq)
    return fold(ledger.read(state.seq, seq), state)


def _start(ledger: Ledger, seq: int | None) -> GraphState:
    while (start := ledger.start(seq)) is not None:
        try:
            return decode(start.states)
        except EventError:  # of a newer version: the events lead there as well, if they are all there
            if start.seq < ledger.first:
                raise
            seq = start.seq - 1
    if ledger.first > 1:
        raise HistoryDropped(
            f"{ledger.location} begins with seq {ledger.first}, and with no checkpoint: what was so before is not known"
        )
    return GraphState()
