"""States of a ledger that need not be folded from its first event: earlier segments may be gone, or far away."""

from collections.abc import Sequence

import msgspec

from ezmsg.ledger import codec
from ezmsg.ledger.errors import EventError, HistoryDropped, LogError, NewerFormat, OutOfOrder
from ezmsg.ledger.events import AnyEvent
from ezmsg.ledger.log import Ledger, LedgerReader
from ezmsg.ledger.projections.graph.checkpoint import decode, encode
from ezmsg.ledger.projections.graph.state import GraphState
from ezmsg.ledger.projections.projection import fold

PIECE = 2**20
"""Characters of a checkpoint from which on it is cut: even if each were escaped, that is a line."""


def states_of(state: GraphState) -> list[bytes]:
    """The checkpoint of ``state`` as ``Ledger.rotate`` keeps it: in pieces when it is long. Cost: O(state)."""
    data = encode(state)
    if len(data) <= PIECE:
        return [data]
    text = data.decode("utf-8")
    return [msgspec.json.encode(text[begin : begin + PIECE]) for begin in range(0, len(text), PIECE)]


def added(events: Sequence[AnyEvent]) -> list[bytes]:
    """The pieces after those of ``states_of`` for ``events`` that have come since. Cost: O(events)."""
    lists: list[bytes] = []
    pending: list[bytes] = []
    size = 0
    for event in events:
        line = codec.encode([event])[:-1]
        if pending and size + len(line) > PIECE:
            lists.append(b"[" + b",".join(pending) + b"]")
            pending, size = [], 0
        pending.append(line)
        size += len(line)
    return [*lists, b"[" + b",".join(pending) + b"]"] if pending else lists


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


def rotate(ledger: Ledger) -> bool:
    """Begin a new segment of ``ledger`` with the state that it has come to; False when the last one holds no event yet.

    Anybody may append meanwhile: the state is folded from what is in the ledger, and what has come since goes after
    it. Raises LogError when the ledger is one file, and as ``Ledger.rotate`` and ``state_at`` do. Cost: a replay of the
    last segment, which nobody waits for.
    """
    if not ledger.segmented:
        raise LogError(f"{ledger.location} has no segments", hint=_FILE_HINT)
    state = state_at(ledger)
    states = states_of(state)
    since = list(ledger.entries(state.seq))

    def more(head: int) -> list[bytes]:
        since.extend(ledger.entries(since[-1].seq if since else state.seq, head))
        return added(since)

    return ledger.rotate(states, since=more)


_FILE_HINT = "`ezmsg-ledger rotate FILE` makes it a folder of them."


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
