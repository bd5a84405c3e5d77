"""Event streams: history, then what happens, without a gap and without a drop; a slow reader slows only itself."""

import asyncio
import math
from uuid import uuid1

from ezmsg.core.graphmeta import ProfilingStreamControl

from ezmsg.ledger.projections.feeds import Kind
from ezmsg.ledger.projections.graph.views.feed_entries import SettingsChanged, TopologyChanged
from ezmsg.ledger.runtime.server.feed_history import listed
from ezmsg.ledger.runtime.server.health.pulse import Stream
from ezmsg.ledger.runtime.server.hub import Hub
from ezmsg.ledger.runtime.server.payloads import load
from ezmsg.ledger.runtime.server.pickles import dumps
from ezmsg.ledger.runtime.server.traces import TraceStream
from ezmsg.ledger.runtime.server.wire.connection import Connection
from ezmsg.ledger.runtime.server.wire.protocol import NUMBER, Argument, Command, encode_blob, encode_str
from ezmsg.ledger.runtime.server.wire.waiters import first

INTERVAL_MIN_S = 0.01
"""Shortest tick of a profiling stream, as ezmsg has it."""

CONTROL = Argument(64 * 1024, bytes)
"""The wishes of a profiling stream: a thousand processes by name. Each tick goes through all of them."""


async def settings_events(hub: Hub, after: int) -> bytes:
    """The pickle of the list of the settings feed's entries after number ``after``; 0 means all of this run.

    While the ledger cannot be read, those that are in it cannot be had: then the list ends before them.
    """
    number, pickles = hub.history.place(SettingsChanged, after), []
    until = hub.history.number(SettingsChanged)
    with hub.history.reading():
        while number < until:
            chunk = await hub.history.after(SettingsChanged, number)
            if chunk is None:
                break
            pickles += chunk.pickles(number)
            number = chunk.last
    return listed(pickles)


async def serve_topology(hub: Hub, connection: Connection) -> None:
    """SESSION_TOPOLOGY_SUBSCRIBE."""
    await _serve_feed(hub, connection, TopologyChanged)


async def serve_settings(hub: Hub, connection: Connection) -> None:
    """SESSION_SETTINGS_SUBSCRIBE."""
    await _serve_feed(hub, connection, SettingsChanged)


async def _serve_feed(hub: Hub, connection: Connection, kind: Kind) -> None:
    [after] = await connection.reader.arguments(NUMBER)
    number = hub.history.place(kind, after)
    name = "topology" if kind is TopologyChanged else "settings"
    with hub.history.reading(), hub.reading(Stream(name, connection.peer, number)) as stream:
        await hub.reply(connection, encode_str(str(uuid1())) + Command.COMPLETE)
        await first(connection.reader.until_gone(), _send_feed(hub, connection, kind, stream))


async def _send_feed(hub: Hub, connection: Connection, kind: Kind, stream: Stream) -> None:
    """Send the entries of a feed after the stream's number, as they come and as fast as this client reads."""
    while True:
        chunk = await hub.history.after(kind, stream.number)
        if chunk is None:
            await hub.history.grown()
        else:
            await hub.reply(connection, chunk.after(stream.number))
            stream.number = chunk.last


async def serve_profiling(hub: Hub, connection: Connection) -> None:
    """SESSION_PROFILING_SUBSCRIBE: what the processes' traces have gained, each interval."""
    control = load((await connection.reader.arguments(CONTROL))[0], ProfilingStreamControl)
    await connection.send(encode_str(str(uuid1())) + Command.COMPLETE)
    stream = hub.traces.stream(control)
    interval = float(control.interval)
    interval = max(INTERVAL_MIN_S, interval) if math.isfinite(interval) else INTERVAL_MIN_S
    try:
        with hub.reading(Stream("profiling", connection.peer)):
            await first(connection.reader.until_gone(), _send_traces(connection, stream, interval))
    finally:
        stream.close()


async def _send_traces(connection: Connection, stream: TraceStream, interval: float) -> None:
    while True:
        await asyncio.sleep(interval)
        batch = await stream.collect()
        if batch.batches:
            await connection.send(encode_blob(dumps(batch)))
