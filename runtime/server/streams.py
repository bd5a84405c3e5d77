"""Event streams: history, then what happens, without a gap and without a drop; a slow reader slows only itself."""

import asyncio
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from uuid import UUID, uuid1

from ezmsg.core.graphmeta import (
    ProfilingStreamControl,
    SettingsChangedEvent,
    SettingsEventType,
    TopologyChangedEvent,
    TopologyEventType,
)

from ezmsg.ledger.projections.entries import SettingsChanged, TopologyChanged
from ezmsg.ledger.projections.feeds import feed
from ezmsg.ledger.projections.history import beginning
from ezmsg.ledger.runtime.live import LiveGraph
from ezmsg.ledger.runtime.server import translate
from ezmsg.ledger.runtime.server.connection import Connection
from ezmsg.ledger.runtime.server.hub import Hub
from ezmsg.ledger.runtime.server.pickles import dumps
from ezmsg.ledger.runtime.server.wire import METADATA_MAX, NUMBER, Command, encode_blob, encode_str

BATCH_BYTES = 256 * 1024
"""Entries are handed over in pieces of about this size: few calls, and little memory per stream."""

NS_PER_S = 10**9
"""An int, for only the division of ints gives back the very float that a client sent."""

INTERVAL_MIN_S = 0.01
"""Shortest tick of a profiling stream, as ezmsg has it."""


def topology_event(entry: TopologyChanged) -> TopologyChangedEvent:
    """An entry of the topology feed as ezmsg's class."""
    return TopologyChangedEvent(
        seq=entry.number,
        event_type=TopologyEventType(entry.kind),
        timestamp=entry.time / NS_PER_S,
        changed_topics=list(entry.topics),
        source_session_id=entry.session,
        source_process_id=None if entry.process is None else UUID(entry.process),
    )


def settings_event(entry: SettingsChanged) -> SettingsChangedEvent:
    """An entry of the settings feed as ezmsg's class."""
    return SettingsChangedEvent(
        seq=entry.number,
        event_type=SettingsEventType(entry.kind),
        component_address=entry.component,
        timestamp=entry.time / NS_PER_S,
        source_session_id=entry.session,
        source_process_id=None if entry.process is None else UUID(entry.process),
        value=translate.settings_to_ezmsg(entry.value),
    )


async def settings_events(live: LiveGraph, after: int) -> list[SettingsChangedEvent]:
    """The entries of the settings feed after number ``after``; 0 means all of this run."""
    before = await _earlier(live, after, SettingsChanged, _run_start(live, SettingsChanged))
    start = max(0, after - _run_start(live, SettingsChanged))
    return [settings_event(entry) for entry in (*before, *live.settings_feed[start:])]


def _run_start(live: LiveGraph, kind: type) -> int:
    return live.topology_start if kind is TopologyChanged else live.settings_start


async def _earlier(live: LiveGraph, after: int, kind: type, start: int) -> list[Any]:
    """Entries of earlier runs after number ``after``, from the ledger. 0 asks for this run alone."""
    if after <= 0 or after >= start:
        return []

    def replay() -> list[Any]:
        state = beginning(live.ledger)
        entries = feed(_while_running(live), state)
        return [entry for entry in entries if type(entry) is kind and after < entry.number <= start]

    return await asyncio.to_thread(replay)


def _while_running(live: LiveGraph) -> Iterator[Sequence[Any]]:
    """The ledger's batches until the run is closed: a long replay must not hold up the end of the server."""
    for batch in live.ledger.read():
        if live.run not in live.state.runs:
            return
        yield batch


async def serve_topology(hub: Hub, connection: Connection) -> None:
    """SESSION_TOPOLOGY_SUBSCRIBE."""
    await _serve_feed(hub, connection, TopologyChanged, hub.live.topology_feed, topology_event)


async def serve_settings(hub: Hub, connection: Connection) -> None:
    """SESSION_SETTINGS_SUBSCRIBE."""
    await _serve_feed(hub, connection, SettingsChanged, hub.live.settings_feed, settings_event)


async def _serve_feed(
    hub: Hub, connection: Connection, kind: type, entries: list[Any], convert: Callable[[Any], object]
) -> None:
    [after] = await connection.reader.arguments(NUMBER)
    await hub.settled()
    # A number that this feed has not reached comes from another server: what happens from now on is told all the same.
    index = min(max(0, after - _run_start(hub.live, kind)), len(entries))
    await connection.send(encode_str(str(uuid1())) + Command.COMPLETE)
    sender = asyncio.create_task(_send_feed(hub, connection, kind, entries, convert, after, index))
    await _until_either(connection, sender)


async def _send_feed(
    hub: Hub,
    connection: Connection,
    kind: type,
    entries: list[Any],
    convert: Callable[[Any], object],
    after: int,
    index: int,
) -> None:
    """What earlier runs have after number ``after``, then this run's ``entries`` from ``index`` on, as they come."""
    for entry in await _earlier(hub.live, after, kind, _run_start(hub.live, kind)):
        await connection.send(encode_blob(dumps(convert(entry))))
    while True:
        while index < len(entries):
            piece = bytearray()
            while index < len(entries) and len(piece) < BATCH_BYTES:
                piece += encode_blob(dumps(convert(entries[index])))
                index += 1
            await hub.settled()
            await connection.send(bytes(piece))
        await hub.feed_grown()


async def serve_profiling(hub: Hub, connection: Connection) -> None:
    """SESSION_PROFILING_SUBSCRIBE: what the processes' traces have gained, each interval."""
    control = translate.load(await connection.reader.blob(METADATA_MAX), ProfilingStreamControl)
    await connection.send(encode_str(str(uuid1())) + Command.COMPLETE)
    sender = asyncio.create_task(_send_traces(hub, connection, control))
    await _until_either(connection, sender)


async def _send_traces(hub: Hub, connection: Connection, control: ProfilingStreamControl) -> None:
    interval = float(control.interval)
    interval = max(INTERVAL_MIN_S, interval) if math.isfinite(interval) else INTERVAL_MIN_S
    read: dict[str, int] = {}
    while True:
        await asyncio.sleep(interval)
        batch = hub.traces.collect(control, read)
        if batch.batches:
            await connection.send(encode_blob(dumps(batch)))


async def _until_either(connection: Connection, sender: "asyncio.Task[None]") -> None:
    """Wait until the client leaves or the sender ends; what a client sends on a stream means nothing."""
    leaving = asyncio.create_task(connection.until_gone())
    try:
        done, _ = await asyncio.wait({leaving, sender}, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        leaving.cancel()
        sender.cancel()
