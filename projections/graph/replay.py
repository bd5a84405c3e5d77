"""States of a ledger that need not be folded from its first event: earlier segments may be gone, or far away."""

from collections.abc import Sequence

import msgspec

from ezmsg.ledger import codec
from ezmsg.ledger.errors import EventError, HistoryDropped, NewerFormat, OutOfOrder
from ezmsg.ledger.projections.graph.checkpoint import decode
from ezmsg.ledger.projections.graph.state import GraphState
from ezmsg.ledger.projections.projection import fold
from ezmsg.ledger.reader import LedgerReader


def state_of(states: Sequence[bytes]) -> GraphState:
    """The state that ``states_of`` was given, after what was ``added``. Raises NewerFormat, EventError."""
    whole = [each for each in states if not each.startswith(b"[")]
    try:
        if len(whole) == 1:
            state = decode(whole[0])
        else:
            state = decode("".join(msgspec.json.decode(each, type=str) for each in whole).encode("utf-8"))
        for each in states:
            if each.startswith(b"["):
                lines = msgspec.json.decode(each, type=list[msgspec.Raw])
                state.apply_batch([codec.decode_line(bytes(line)) for line in lines])
    except (msgspec.MsgspecError, OutOfOrder) as error:
        raise EventError(f"not a checkpoint: {error}") from error
    return state


def beginning(ledger: LedgerReader) -> GraphState:
    """The state just before the first event that is there: empty, unless earlier segments were dropped.

    Raises HistoryDropped when they left no checkpoint behind, EventError or NewerFormat when it cannot be read.
    """
    return _start(ledger, ledger.first - 1)


def state_at(ledger: LedgerReader, seq: int | None = None) -> GraphState:
    """The state after event ``seq`` (None: the last one). Raises DamagedLedger, HistoryDropped.

    Cost: O(events since the last checkpoint before it): those of one segment at most.
    """
    state = _start(ledger, seq)
    return fold(ledger.read(state.seq, seq), state)


def state_before(ledger: LedgerReader, seq: int) -> GraphState:
    """The state just before event ``seq``, also where that is the first one that is there. Raises as ``state_at``."""
    return beginning(ledger) if seq == ledger.first else state_at(ledger, seq - 1)


def _start(ledger: LedgerReader, seq: int | None) -> GraphState:
    while (start := ledger.start(seq)) is not None:
        try:
            return state_of(start.states)
        except (EventError, NewerFormat):  # the events lead there as well, if they are all there
            if start.seq < ledger.first:
                raise
            seq = start.seq - 1
    if ledger.first > 1:
        raise HistoryDropped(
            f"{ledger.location} begins with seq {ledger.first} without a checkpoint: the state before it is not known"
        )
    return GraphState()
