"""The beginning of a new segment: a ledger goes on in another file, with the state that it has come to."""

from collections.abc import Sequence

import msgspec

from ezmsg.ledger import codec
from ezmsg.ledger.errors import LogError
from ezmsg.ledger.events import AnyEvent
from ezmsg.ledger.log import Ledger
from ezmsg.ledger.projections.graph.checkpoint import encode
from ezmsg.ledger.projections.graph.replay import state_at
from ezmsg.ledger.projections.graph.state import GraphState

PIECE = 2**20
"""Characters of a checkpoint from which on it is cut: even if each were escaped, that is a line."""

_FILE_HINT = "`ezmsg-ledger rotate FILE` makes it a folder of them."


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
