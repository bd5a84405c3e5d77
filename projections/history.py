"""States of a ledger that need not be folded from its first event: earlier segments may be gone, or far away."""

from collections.abc import Sequence

import msgspec

from ezmsg.ledger.errors import EventError, HistoryDropped, NewerFormat
from ezmsg.ledger.log import Ledger
from ezmsg.ledger.projections.checkpoint import decode, encode
from ezmsg.ledger.projections.projection import fold
from ezmsg.ledger.projections.state import GraphState

PIECE = 2**20
"""Characters of a checkpoint from which on it is cut: even if each were escaped, that is a line."""


def states_of(state: GraphState) -> list[bytes]:
    """What ``Ledger.rotate`` is to keep of ``state``: its checkpoint, in pieces when it is long. Cost: O(state)."""
    data = encode(state)
    if len(data) <= PIECE:
        return [data]
    text = data.decode("utf-8")
    return [msgspec.json.encode(text[begin : begin + PIECE]) for begin in range(0, len(text), PIECE)]


def state_of(states: Sequence[bytes]) -> GraphState:
    """The state that ``states_of`` was given. Raises NewerFormat, EventError when they are no checkpoint."""
    if len(states) == 1:
        return decode(states[0])
    try:
        return decode("".join(msgspec.json.decode(each, type=str) for each in states).encode("utf-8"))
    except msgspec.MsgspecError as error:
        raise EventError(f"not a checkpoint: {error}") from error


def beginning(ledger: Ledger) -> GraphState:
    """The state just before the first event that is there: empty, unless earlier segments were dropped.

    Raises HistoryDropped when they left no checkpoint behind, EventError or NewerFormat when it cannot be read.
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
            return state_of(start.states)
        except (EventError, NewerFormat):  # the events lead there as well, if they are all there
            if start.seq < ledger.first:
                raise
            seq = start.seq - 1
    if ledger.first > 1:
        raise HistoryDropped(
            f"{ledger.location} begins with seq {ledger.first}, and with no checkpoint: what was so before is not known"
        )
    return GraphState()
