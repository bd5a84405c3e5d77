"""The one opener that is ours alone: questions about the recording, and a person's mark in it, as JSON."""

import ipaddress
from collections.abc import Callable
from time import monotonic, time_ns
from typing import Any

import msgspec

from ezmsg.ledger.events import Mark
from ezmsg.ledger.runtime.server.connection import Connection
from ezmsg.ledger.runtime.server.hub import Hub
from ezmsg.ledger.runtime.server.wire import Malformed, encode_blob

REQUEST_MAX = 64 * 1024


class Request(msgspec.Struct):
    """What is asked: ``do`` is head, mark, receipt or status; the rest belongs to mark."""

    do: str
    name: str = ""
    note: str | None = None
    author: str | None = None


class BadRequest(Malformed):
    """A request that means nothing here."""


async def serve_private(hub: Hub, connection: Connection) -> None:
    """One request and its reply, both as JSON with their length before them. Loopback only."""
    if not ipaddress.ip_address(connection.host).is_loopback:
        hub.reject(None, connection.peer, "private", "not_loopback")
        return
    raw = await connection.reader.blob(REQUEST_MAX)
    try:
        reply = _answer(hub, raw)
    except BadRequest as error:
        hub.reject(None, connection.peer, "private", "malformed", str(error))
        reply = {"error": str(error)}
    await hub.settled()
    await connection.send(encode_blob(msgspec.json.encode(reply)))


def _answer(hub: Hub, raw: bytes) -> dict[str, Any]:
    try:
        request = msgspec.json.decode(raw, type=Request)
    except msgspec.MsgspecError as error:
        raise BadRequest(f"not a request: {error}") from error
    if request.do not in _ANSWERS:
        raise BadRequest(f"a recorder knows {', '.join(_ANSWERS)}, but no {request.do[:40]!r}")
    return _ANSWERS[request.do](hub, request)


def _mark(hub: Hub, request: Request) -> dict[str, Any]:
    if not request.name:
        raise BadRequest("a mark needs a name")
    hub.live.note(Mark(name=request.name, note=request.note, author=request.author))
    return {"seq": hub.live.state.seq, "time": hub.live.state.time, "ledger": hub.live.ledger.location}


def _head(hub: Hub, request: Request) -> dict[str, Any]:
    return {"seq": hub.live.state.seq, "time": hub.live.state.time, "ledger": hub.live.ledger.location}


def _receipt(hub: Hub, request: Request) -> dict[str, Any]:
    return {"ledger": hub.live.ledger.location, "id": hub.live.ledger.id, "receipt": hub.live.ledger.receipt}


def _status(hub: Hub, request: Request) -> dict[str, Any]:
    live, state = hub.live, hub.live.state
    kinds = [record.kind for record in state.endpoints.values()]
    degraded = live.degraded
    run = state.runs[live.run]
    return {
        "ledger": live.ledger.location,
        "id": live.ledger.id,
        "seq": state.seq,
        "durable_seq": live.ledger.durable_seq,
        "durability": live.ledger.durability,
        "bytes": live.ledger.bytes_on_disk,
        "bytes_per_hour": live.growth.per_hour(monotonic(), live.ledger.appended),
        "started": run.started,
        "now": time_ns(),
        "sessions": len(state.sessions),
        "processes": len(state.processes),
        "publishers": kinds.count("publisher"),
        "subscribers": kinds.count("subscriber"),
        "channels": kinds.count("channel"),
        "segments": len(hub.leases),
        "edges": sum(1 for _ in state.ownership.edges()),
        "components": len(state.components),
        "stalled": sorted(record.topic or "" for record in state.endpoints.values() if record.stalled),
        "degraded": None if degraded is None else msgspec.to_builtins(degraded),
    }


_ANSWERS: dict[str, Callable[[Hub, Request], dict[str, Any]]] = {
    "head": _head,
    "mark": _mark,
    "receipt": _receipt,
    "status": _status,
}
