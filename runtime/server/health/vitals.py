"""The vitals of a server, as ``status`` and the metrics show them: put together when they are asked for."""

from collections import Counter
from typing import Any

import msgspec

from ezmsg.ledger.errors import LedgerError
from ezmsg.ledger.log import Ledger
from ezmsg.ledger.projections.graph.records import EndpointRecord
from ezmsg.ledger.projections.lifetimes.index_file import standing
from ezmsg.ledger.runtime.recorder import shipped
from ezmsg.ledger.runtime.server.hub import Hub
from ezmsg.ledger.runtime.server.payloads import NS_PER_S

SLOWEST = 5
"""Subscribers that are named with their slowest acknowledgements."""


def vitals(hub: Hub) -> dict[str, Any]:
    """Collect all that ``status`` and the metrics tell; docs/cli.md has its shape. Cost: O(clients + edges)."""
    live, state, now = hub.live, hub.live.state, hub.live.ledger.clock.real()
    live.settle()
    hub.pulse.beat()
    kinds = Counter(record.kind for record in state.endpoints.values())
    streams = Counter(stream.kind for stream in hub.streams)
    degraded = live.degraded
    return {
        "ledger": live.ledger.location,
        "id": live.ledger.id,
        "bytes": _bytes(live.ledger),
        "bytes_per_hour": hub.pulse.bytes_per_hour,
        "disk": _disk(hub),
        "seq": state.seq,
        "durable_seq": live.ledger.durable_seq,
        "durability": live.ledger.durability,
        "lag": live.spool.lag(),
        "started": state.runs[live.run].started,
        "now": now,
        "clocks": _clocks(hub),
        "index": _index(live.ledger),
        "shipped": _shipped(live.ledger),
        "rate": round(hub.pulse.events_per_second, 3),
        "sessions": len(state.sessions),
        "processes": len(state.processes),
        "publishers": kinds["publisher"],
        "subscribers": kinds["subscriber"],
        "channels": kinds["channel"],
        "segments": len(hub.leases),
        "segment_bytes": hub.leases.bytes,
        "connections": len(hub.admission),
        "connections_max": hub.admission.room,
        "turned_away": dict(sorted(hub.admission.turned_away.items())),
        "refused": hub.refused,
        "pending_bytes": sum(connection.pending for connection in hub.connections if connection.is_laden),
        "edges": sum(1 for _ in state.ownership.edges()),
        "components": len(state.components),
        "streams": {kind: streams[kind] for kind in ("topology", "settings", "profiling")},
        "backlogs": _backlogs(hub),
        "slowest_acks": _slowest_acks(hub),
        "stalled": sorted(record.topic or "" for record in state.endpoints.values() if record.stalled),
        "degraded": None if degraded is None else msgspec.to_builtins(degraded),
        "last_error": None if hub.pulse.last_error is None else msgspec.to_builtins(hub.pulse.last_error),
    }


def _bytes(ledger: Ledger) -> int | None:
    """The bytes of a ledger on the disk; None when that cannot be told, because its folder is gone, say."""
    try:
        return ledger.bytes_on_disk
    except (LedgerError, OSError):
        return None


def _index(ledger: Ledger) -> dict[str, Any] | None:
    """How far the ledger's index is, and whether a process keeps it; None when it has none."""
    found = standing(ledger.location, ledger.id)
    return None if found is None else found._asdict()


def _shipped(ledger: Ledger) -> dict[str, Any] | None:
    """How far the ledger was shipped, by its shipper's own note; None when nobody ever shipped it."""
    found = shipped.read(ledger.location)
    return msgspec.to_builtins(found) if found is not None and found.ledger == ledger.id else None


def _disk(hub: Hub) -> dict[str, Any] | None:
    hub.disk.look()
    state = hub.disk.state
    return None if state is None else msgspec.to_builtins(state)


def _clocks(hub: Hub) -> dict[str, Any] | None:
    """The run's clocks, as status tells of them; None where they are not read."""
    watch = hub.live.clocks
    if not watch.pairs:
        return None
    return {"elapsed": watch.elapsed, "steps": watch.steps, "suspends": watch.suspends, "set_by": watch.set_by}


def _backlogs(hub: Hub) -> list[dict[str, Any]]:
    """The streams whose clients have not been sent all that there is, the longest backlog first."""
    last = {"topology": hub.live.state.topology, "settings": hub.live.state.settings_changes}
    backlogs = [
        {"stream": stream.kind, "peer": stream.peer, "entries": last[stream.kind] - stream.number}
        for stream in hub.streams
        if stream.number < last.get(stream.kind, 0)
    ]
    return sorted(backlogs, key=lambda backlog: -backlog["entries"])


def _slowest_acks(hub: Hub) -> list[dict[str, Any]]:
    """The connected subscribers that took longest to apply a routing update, with the time (ns) of the worst one."""
    links = [link for links in hub.notices.subscribers.values() for link in links if link.slowest_ack_s]
    links.sort(key=lambda link: -link.slowest_ack_s)
    endpoints = hub.live.state.endpoints
    return [
        {
            "topic": link.topic,
            "peer": _peer(endpoints.get(hub.live.current(link.endpoint))),
            "took": int(link.slowest_ack_s * NS_PER_S),
        }
        for link in links[:SLOWEST]
    ]


def _peer(record: EndpointRecord | None) -> str | None:
    return None if record is None else record.peer
