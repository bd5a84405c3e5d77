"""The control protocol, which ezmsg does not have: questions about the recording, and a person's mark, as JSON."""

from collections.abc import Callable
from typing import Any

import msgspec

from ezmsg.ledger.errors import InvalidEvent, InvalidValue
from ezmsg.ledger.events import Mark
from ezmsg.ledger.runtime.server.clients.eviction import NotFound, evict
from ezmsg.ledger.runtime.server.clients.rewiring import CannotRewire, Hold, rewire
from ezmsg.ledger.runtime.server.health.vitals import vitals
from ezmsg.ledger.runtime.server.hub import Hub
from ezmsg.ledger.runtime.server.wire.connection import Connection
from ezmsg.ledger.runtime.server.wire.protocol import Argument, Command, Malformed, encode_blob

REQUEST = Argument(4 * 2**20, bytes)
"""A request of any kind but one takes a few hundred bytes; one to rewire a graph, some hundred for each edge."""


class Request(msgspec.Struct):
    """A request: ``do`` is evict, head, mark, receipt, rewire or status; other fields are those of evict, mark, rewire.

    ``name``: of the mark, or who is to go, or what the rewiring is for. ``holds``: how the graph is to be rewired.
    ``peer`` is set by the server.
    """

    do: str
    name: str = ""
    note: str | None = None
    author: str | None = None
    happened: int | None = None
    source: str | None = None
    holds: tuple[Hold, ...] = ()
    peer: str = ""


REROUTED = "rerouted"
"""The key of the topics whose subscribers are told before a reply is sent; it is left out of that."""


class BadRequest(Malformed):
    """A request that means nothing here."""


async def serve_private(hub: Hub, connection: Connection) -> None:
    """Serve one request and reply, both as JSON with the length before it. For programs of this machine only."""
    if not hub.admission.is_local(connection.host):
        hub.reject(None, connection.peer, Command.PRIVATE, "not_local")
        return
    [raw] = await connection.reader.arguments(REQUEST)
    try:
        reply = _answer(hub, raw, connection.peer)
    except BadRequest as error:
        hub.reject(None, connection.peer, Command.PRIVATE, "malformed", str(error))
        reply = {"error": str(error)}
    await hub.notices.notify(reply.pop(REROUTED, ()))
    if "durable_seq" not in reply:  # that one says itself what is on the disk, and is asked when the disk hangs
        await hub.durable()
    await connection.send(encode_blob(msgspec.json.encode(reply)))


def _answer(hub: Hub, raw: bytes, peer: str) -> dict[str, Any]:
    try:
        request = msgspec.json.decode(raw, type=Request)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BadRequest(f"not a request: {error}") from error
    if request.do not in _ANSWERS:
        raise BadRequest(f"a recorder knows {', '.join(_ANSWERS)}, but not {request.do[:40]!r}")
    request.peer = peer
    hub.live.settle()
    return _ANSWERS[request.do](hub, request)


def _mark(hub: Hub, request: Request) -> dict[str, Any]:
    if not request.name:
        raise BadRequest("a mark needs a name")
    try:
        hub.live.note(
            Mark(
                name=request.name,
                note=request.note,
                author=request.author,
                happened=request.happened,
                source=request.source,
            )
        )
    except (InvalidEvent, InvalidValue) as error:
        raise BadRequest(f"not a mark: {error}") from error
    return _head(hub, request) | {"happened": request.happened}


def _head(hub: Hub, request: Request) -> dict[str, Any]:
    trouble = hub.live.spool.trouble
    unwritten = None if trouble is None else {"since": trouble[0], "error": trouble[1], "noted": hub.live.spool.noted}
    return {
        "seq": hub.live.state.seq,
        "time": hub.live.state.time,
        "ledger": hub.live.ledger.location,
        "unwritten": unwritten,
    }


def _receipt(hub: Hub, request: Request) -> dict[str, Any]:
    ledger = hub.live.ledger
    return {"ledger": ledger.location, "id": ledger.id, "receipt": ledger.receipt, "durable_seq": ledger.durable_seq}


def _evict(hub: Hub, request: Request) -> dict[str, Any]:
    try:
        evicted = evict(hub.live, hub.members, request.name, f"{request.author or 'somebody'} ({request.peer})")
    except NotFound as error:
        return {"error": str(error)}
    return {**evicted, **_head(hub, request)}


def _rewire(hub: Hub, request: Request) -> dict[str, Any]:
    by = f"{request.name} by {request.author or 'somebody'} ({request.peer})".lstrip()
    try:
        rerouted = rewire(hub, request.holds, by)
    except CannotRewire as error:
        return {"error": str(error)}
    except (InvalidEvent, InvalidValue) as error:
        raise BadRequest(f"not a rewiring: {error}") from error
    return {**_head(hub, request), REROUTED: rerouted}


_ANSWERS: dict[str, Callable[[Hub, Request], dict[str, Any]]] = {
    "evict": _evict,
    "head": _head,
    "mark": _mark,
    "receipt": _receipt,
    "rewire": _rewire,
    "status": lambda hub, request: vitals(hub),
}
