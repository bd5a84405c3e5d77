"""Connections that ask for one thing: edges of the persistent owner, the graph as a whole, shared memory, shutdown."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Collection
from time import monotonic_ns
from uuid import UUID

from ezmsg.core.dag import DAG

from ezmsg.ledger.errors import CycleError
from ezmsg.ledger.events import GraphPaused, GraphResumed, GraphSynced
from ezmsg.ledger.projections.graph.state import GraphState
from ezmsg.ledger.runtime.server.hub import Hub
from ezmsg.ledger.runtime.server.pickles import dumps
from ezmsg.ledger.runtime.server.shared_memory import LeaseRefused
from ezmsg.ledger.runtime.server.wire.connection import Connection
from ezmsg.ledger.runtime.server.wire.protocol import TEXT, U64, Command, encode_blob, encode_str
from ezmsg.ledger.runtime.server.wire.waiters import first

logger = logging.getLogger("ezmsg.ledger")

SYNC_TIMEOUT_S = 30.0
"""Time that publishers have to release their buffers after SYNC; one that never answers delays only the asker."""


async def connect(hub: Hub, connection: Connection) -> None:
    """CONNECT: an edge for the persistent owner; acknowledged once those downstream have applied it."""
    from_topic, to_topic = await connection.reader.arguments(TEXT, TEXT)
    try:
        rerouted = hub.live.connect(from_topic, to_topic, by=connection.peer)
    except CycleError:
        await hub.reply(connection, Command.CYCLIC)
    else:
        await hub.reply(connection, Command.COMPLETE, rerouted)


async def disconnect(hub: Hub, connection: Connection) -> None:
    """DISCONNECT: the persistent owner gives an edge up."""
    from_topic, to_topic = await connection.reader.arguments(TEXT, TEXT)
    rerouted = hub.live.disconnect(from_topic, to_topic, by=connection.peer)
    await hub.reply(connection, Command.COMPLETE, rerouted)


async def pause(hub: Hub, connection: Connection) -> None:
    """PAUSE: pass it to every publisher."""
    _tell_publishers(hub, GraphPaused(by=connection.peer), Command.PAUSE)


async def resume(hub: Hub, connection: Connection) -> None:
    """RESUME: pass it to every publisher."""
    _tell_publishers(hub, GraphResumed(by=connection.peer), Command.RESUME)


def _tell_publishers(hub: Hub, event: GraphPaused | GraphResumed, command: bytes) -> None:
    hub.live.note(event)
    for link in hub.notices.publishers.values():
        link.tell(command)


async def sync(hub: Hub, connection: Connection) -> None:
    """SYNC: ask every publisher to pause and release its buffers; acknowledged when all have, or time is up."""
    started = monotonic_ns()
    answers = {link.endpoint: link.sync() for link in hub.notices.publishers.values()}
    done = await first(_all(answers.values()), _until_gone(connection), timeout=SYNC_TIMEOUT_S)
    silent = tuple(hub.live.current(endpoint) for endpoint, answer in answers.items() if not answer.done())
    outcome = "complete" if not silent else "asker_left" if done else "timeout"
    hub.live.note(GraphSynced(by=connection.peer, outcome=outcome, took=monotonic_ns() - started, silent=silent))
    if outcome != "asker_left":
        await hub.reply(connection, Command.COMPLETE if outcome == "complete" else Command.ERROR)


async def _all(answers: Collection["asyncio.Future[None]"]) -> None:
    if answers:
        await asyncio.wait(answers)  # unlike awaiting each, this leaves them as they are when it is cancelled


async def dag(hub: Hub, connection: Connection) -> None:
    """DAG: the graph as ezmsg's own class."""
    await hub.reply(connection, Command.DAG + encode_blob(dumps(ezmsg_dag(hub.live.state))) + Command.COMPLETE)


def ezmsg_dag(state: GraphState) -> DAG:
    """The graph of ``state`` as ezmsg's DAG, owners as UUIDs or None. Cost: O(edges)."""
    out = DAG()
    out.graph = defaultdict(set, {node: set(successors) for node, successors in state.ownership.graph().items()})
    out.edge_owners = {
        edge: {None if owner is None else UUID(state.sessions[owner].uuid) for owner in owners}
        for edge, owners in state.ownership.edges()
    }
    return out


async def shutdown(hub: Hub, connection: Connection) -> None:
    """SHUTDOWN: stop the server, if this machine asks, or any may."""
    if hub.remote_shutdown or hub.admission.is_local(connection.host):
        hub.stop("shutdown", connection.peer)
    else:
        hub.reject(None, connection.peer, Command.SHUTDOWN, "not_local")


async def create_segment(hub: Hub, connection: Connection) -> None:
    """SHM_CREATE: a shared-memory segment and a lease on it, which lasts as long as the connection."""
    num_buffers, buf_size = await connection.reader.arguments(U64, U64)
    try:
        name = hub.leases.create(num_buffers, buf_size, connection.host)
    except LeaseRefused as error:
        hub.reject(None, connection.peer, Command.SHM_CREATE, "refused", str(error))
        return
    await _hold_lease(hub, connection, name)


async def attach_segment(hub: Hub, connection: Connection) -> None:
    """SHM_ATTACH: one more lease on a segment; an end of file when no segment has that name."""
    [name] = await connection.reader.arguments(TEXT)
    if hub.leases.attach(name):
        await _hold_lease(hub, connection, name)
    else:
        hub.reject(None, connection.peer, Command.SHM_ATTACH, "unknown_segment", name)


async def _hold_lease(hub: Hub, connection: Connection, name: str) -> None:
    try:
        await connection.send(Command.COMPLETE + encode_str(name))
        await _until_gone(connection)
    finally:
        hub.leases.release(name)


async def _until_gone(connection: Connection) -> None:
    try:
        await connection.reader.until_gone()
    except ConnectionError as error:
        logger.debug("%s left: %r", connection.peer, error)
