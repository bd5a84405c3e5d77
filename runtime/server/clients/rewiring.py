"""Changing the holds of any session at once, because a person wants the wiring of another moment back."""

from collections.abc import Sequence

import msgspec

from ezmsg.ledger.errors import CycleError
from ezmsg.ledger.projections.graph.dag import DAG
from ezmsg.ledger.projections.graph.ownership import EdgeKey
from ezmsg.ledger.projections.graph.views.snapshot import PERSISTENT
from ezmsg.ledger.runtime.restored import LABEL
from ezmsg.ledger.runtime.server.clients.own_session import own_session
from ezmsg.ledger.runtime.server.hub import Hub


class Hold(msgspec.Struct, frozen=True):
    """A hold that is to come (``connect``) or to go. ``owner``: a session's UUID, ``persistent``, or ``restored`` for
    the session of the server's own."""

    connect: bool
    from_topic: str
    to_topic: str
    owner: str


class CannotRewire(Exception):
    """A hold names no session that is there, or all of them together would close a cycle. Nothing was changed."""


def rewire(hub: Hub, holds: Sequence[Hold], by: str) -> tuple[str, ...]:
    """Take and give all ``holds``, or none of them; each is an event of its own, with ``by`` as who asked for it.

    Returns the topics whose subscribers have to be told. Raises CannotRewire.
    """
    live = hub.live
    sessions = {record.uuid: key for key, record in live.state.sessions.items()}
    for hold in holds:
        if hold.owner not in (PERSISTENT, LABEL) and hold.owner not in sessions:
            raise CannotRewire(f"session {hold.owner} is not there any more")
    _check_cycles(hub, holds, sessions)
    rerouted: set[str] = set()
    for hold in holds:
        if hold.owner == LABEL:
            owner: int | None = own_session(hub)
        else:
            owner = None if hold.owner == PERSISTENT else sessions[hold.owner]
        change = live.connect if hold.connect else live.disconnect
        rerouted.update(change(hold.from_topic, hold.to_topic, owner, by))
    return tuple(sorted(rerouted))


def _check_cycles(hub: Hub, holds: Sequence[Hold], sessions: dict[str, int]) -> None:
    """Connect all of it in a graph of its own first: a cycle must not be met half way."""
    held: dict[EdgeKey, set[object]] = {edge: set(owners) for edge, owners in hub.live.state.ownership.edges()}
    for hold in holds:
        owner = None if hold.owner == PERSISTENT else sessions.get(hold.owner, LABEL)
        owners = held.setdefault((hold.from_topic, hold.to_topic), set())
        (owners.add if hold.connect else owners.discard)(owner)
    graph = DAG()
    try:
        for edge, owners in sorted(held.items()):
            if owners:
                graph.add(*edge)
    except CycleError as error:
        raise CannotRewire(f"the edges would close a cycle: {' -> '.join(error.path[:10])}") from error
