"""What ezmsg's own clients really send: recorded once through a proxy, a stream of bytes for each connection."""

import asyncio
import contextlib
import pickle
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ezmsg.core.graphcontext import GraphContext
from ezmsg.core.graphmeta import ProcessControlResponse, ProfilingStreamControl
from ezmsg.core.graphserver import GraphService
from ezmsg.core.netprotocol import Command
from ezmsg.core.processclient import ProcessControlClient

from ezmsg.ledger.runtime.recorder.control_client import ask
from ezmsg.ledger.runtime.server.server import GraphServer
from tests.runtime.server.raw import metadata, settings

PATIENCE_S = 10.0


@dataclass(frozen=True)
class Traffic:
    """``streams``: what each connection sent, whole. ``publisher``, ``segment``: what they name; gone by now."""

    streams: tuple[bytes, ...]
    publisher: bytes
    segment: bytes

    def aimed_at(self, publisher: str, segment: str) -> tuple[bytes, ...]:
        """The streams with a publisher and a segment that are there, in place of those that were."""
        names = ((self.publisher, publisher.encode()), (self.segment, segment.encode()))
        assert all(len(old) == len(new) for old, new in names)
        out = []
        for stream in self.streams:
            for old, new in names:
                stream = stream.replace(old, new)
            out.append(stream)
        return tuple(out)


def record(folder: Path) -> Traffic:
    """Have every kind of ezmsg's clients, and our own, talk to a server of ours; returns what they said."""
    server = GraphServer(folder / "recorded.ledger")
    server.start(("127.0.0.1", 0))
    try:
        return asyncio.run(_record(server))
    finally:
        server.stop()


async def _record(server: GraphServer) -> Traffic:
    streams: list[bytearray] = []
    serving: set[asyncio.Task[None]] = set()

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.add(asyncio.current_task())  # type: ignore[arg-type]
        said = bytearray()
        streams.append(said)
        back, forth = await asyncio.open_connection(*server.address)
        await asyncio.gather(_pass_on(reader, forth, said), _pass_on(back, writer, bytearray()))

    proxy = await asyncio.start_server(relay, "127.0.0.1", 0)
    address = proxy.sockets[0].getsockname()[:2]
    publisher, segment = await _talk(address)
    proxy.close()
    await asyncio.wait(serving, timeout=PATIENCE_S)
    return Traffic(tuple(bytes(said) for said in streams if said), publisher, segment)


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, said: bytearray) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65536):
            said += data
            writer.write(data)
            await writer.drain()
    writer.close()


async def _talk(address: Sequence[Any]) -> tuple[bytes, bytes]:
    service = GraphService(address)  # type: ignore[arg-type]
    graph = asyncio.create_task(service.dag(timeout=PATIENCE_S))  # which sleeps for a second
    async with GraphContext(address, auto_start=False) as context:  # type: ignore[arg-type]
        await context.connect("A", "B")
        await context.connect("B", "C")
        await context.register_metadata(metadata("SYS/U", "SYS/V", gain=2.0))
        publisher = await context.publisher("A")
        subscriber = await context.subscriber("C")
        process = ProcessControlClient(address)  # type: ignore[arg-type]
        process.set_request_handler(lambda request: ProcessControlResponse(request.request_id, True, b"pong"))
        await process.register(["SYS/U"])
        await process.update_ownership(["SYS/V"], [])
        await process.report_settings_update("SYS/U", settings({"gain": 3.0}, pickle.dumps({"gain": 3.0})))
        await context.process_request("SYS/U", "ECHO", timeout=5.0)
        streams = [
            context.subscribe_topology_events(after_seq=0),
            context.subscribe_settings_events(after_seq=0),
            context.subscribe_profiling_trace(ProfilingStreamControl(interval=0.01, include_empty_batches=True)),
        ]
        for stream in streams:
            await asyncio.wait_for(anext(stream), PATIENCE_S)
            await stream.aclose()
        await context.snapshot()
        await context.settings_snapshot()
        await context.settings_events()
        await publisher.broadcast(7)
        assert await asyncio.wait_for(subscriber.recv(), PATIENCE_S) == 7
        memory = await service.create_shm(4, 1000)
        again = await service.attach_shm(memory.name)
        await service.connect("P", "Q")
        await service.disconnect("P", "Q")
        await context.pause()
        await context.resume()
        await context.sync(timeout=PATIENCE_S)
        await context.disconnect("B", "C")
        await asyncio.to_thread(ask, "{}:{}".format(*address), "mark", name="here", note="a note", author="me")
        await process.close()
        await graph
        for each in (memory, again):
            each.close()
            await each.wait_closed()
    return str(publisher.id).encode(), memory.name.encode()


def openers(streams: Sequence[bytes]) -> set[str]:
    """The names of the commands that the streams begin with."""
    return {Command(stream[:1]).name if stream[0] != 0xF0 else "PRIVATE" for stream in streams}
