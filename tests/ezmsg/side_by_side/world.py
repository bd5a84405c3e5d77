"""The clients of one graph server and what each sees, with names for UUIDs: the same names with any server."""

import asyncio
import os
import pickle
from collections import Counter
from collections.abc import Coroutine
from typing import Any, TypeVar
from uuid import UUID

from ezmsg.core.graphmeta import (
    GraphSnapshot,
    ProcessControlResponse,
    ProcessOwnershipUpdate,
    ProcessProfilingTraceBatch,
    ProcessRegistration,
    ProcessSettingsUpdate,
    ProfilingStreamControl,
    ProfilingTraceSample,
    SettingsChangedEvent,
    SettingsSnapshotValue,
    TopologyChangedEvent,
)
from ezmsg.core.netprotocol import Command

from ezmsg.ledger.projections.feeds import feed
from ezmsg.ledger.projections.graph.views.feed_entries import TopologyChanged
from ezmsg.ledger.runtime import LiveGraph
from tests.runtime.server.raw import blob, pickled, text, u64

TIMEOUT_S = 10.0
"""How long a step may take: none waits for anything but the server and clients that answer at once."""

COMPLETE, ERROR = Command.COMPLETE.value, Command.ERROR.value
T = TypeVar("T")


class Client:
    """One connection and what came over it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.listening: asyncio.Task[None] | None = None
        self.got: list[Any] = []
        self.hears: list[Any] = []
        self.place = 0
        self.arrived = asyncio.Event()

    def send(self, *parts: Command | bytes) -> None:
        self.writer.write(b"".join(part.value if isinstance(part, Command) else part for part in parts))

    async def read(self, size: int) -> bytes:
        return await self.reader.readexactly(size)

    async def blob(self) -> bytes:
        return await self.read(int.from_bytes(await self.read(8), "little"))

    async def text(self) -> str:
        return (await self.blob()).decode("utf-8")

    async def reply(self) -> Any:
        value = pickle.loads(await self.blob())
        assert await self.read(1) == COMPLETE
        return value

    def listen(self, act: Coroutine[Any, Any, None]) -> None:
        self.listening = asyncio.create_task(act)

    def note(self, value: Any) -> None:
        self.got.append(value)
        self.arrived.set()

    async def until(self, count: int) -> None:
        """Return when ``count`` things have come."""
        while len(self.got) < count:
            self.arrived.clear()
            await self.arrived.wait()

    def taken(self) -> list[Any]:
        """What has come since the last time."""
        got, self.got = self.got, []
        return got

    async def end(self) -> None:
        """Leave in good order, and return when the server has done all that follows from it: it closes last."""
        self.writer.write_eof()
        if self.listening is not None:
            await self.listening
        assert await self.reader.read() == b""
        self.writer.close()


class World:
    """Steps are methods; what a step returns is what has to be the same with every server."""

    def __init__(self, address: tuple[str, int], ours: LiveGraph | None = None) -> None:
        self.address = address
        self.ours = ours
        self.names: dict[str, str] = {}
        self.clients: dict[str, Client] = {}
        self.requests: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()
        self.seen: Counter[str] = Counter()

    async def step(self, verb: str, *args: Any) -> Any:
        """Do one step; what was answered, and what subscribers were told meanwhile."""
        async with asyncio.timeout(TIMEOUT_S):
            answer = await getattr(self, verb)(*args)
        told = {name: client.taken() for name, client in self.clients.items() if name.startswith("subscriber")}
        told = {name: lists for name, lists in told.items() if lists}
        self.seen[verb] += 1
        if type(answer) is bytes:
            self.seen[f"{verb} {Command(answer).name}"] += 1
        if verb in ("clear", "end"):  # stock says the same once per topic: see faults.py
            told = {name: _without_repetitions(lists) for name, lists in told.items()}
        self.seen["UPDATE"] += sum(map(len, told.values()))
        return answer, told

    # --- connections -------------------------------------------------------------------------------------------------

    async def open(self, *parts: Command | bytes) -> Client:
        client = Client(*await asyncio.open_connection(*self.address))
        await client.text()
        client.send(*parts)
        return client

    async def enter(self, name: str, client: Client) -> None:
        self.names[await client.text()] = name
        self.clients[name] = client

    def named(self, uuid: Any) -> Any:
        return None if uuid is None else self.names[str(uuid)]

    async def end(self, name: str) -> None:
        heard = [(client, client.hears) for client in self.clients.values() if name in client.hears]
        await self.clients.pop(name).end()
        if self.ours is not None:  # stock tells nobody: see faults.py
            for client, before in heard:
                await client.until(1)
                assert client.taken() == [[other for other in before if other != name]]

    async def close(self) -> None:
        for name in list(self.clients):
            await self.end(name)

    def abort(self) -> None:
        """Cut whatever is still there, so that the servers can stop when a step has failed."""
        for client in self.clients.values():
            client.writer.transport.abort()

    # --- one-shots ---------------------------------------------------------------------------------------------------

    async def one_shot(self, command: Command, *topics: str) -> bytes:
        client = await self.open(command, *map(text, topics))
        answer = await client.reader.read()  # to the end: by then all that follows has been done
        client.writer.close()
        return answer

    async def persist(self, a: str, b: str) -> bytes:
        return await self.one_shot(Command.CONNECT, a, b)

    async def unpersist(self, a: str, b: str) -> bytes:
        return await self.one_shot(Command.DISCONNECT, a, b)

    async def dag(self) -> Any:
        client = await self.open(Command.DAG)
        assert await client.read(1) == Command.DAG.value
        dag = await client.reply()
        assert await client.reader.read() == b""
        client.writer.close()
        owners = {edge: {self.named(owner) for owner in held} for edge, held in dag.edge_owners.items()}
        return type(dag).__name__, type(dag.graph).__name__, dag.graph, owners

    async def tell_all(self, name: str) -> Any:
        """PAUSE, RESUME or SYNC, and what every publisher gets."""
        publishers = {key: client for key, client in self.clients.items() if key.startswith("publisher")}
        answer = await self.one_shot(Command[name])
        for client in publishers.values():
            await client.until(1)
        return answer, {key: client.taken() for key, client in publishers.items()}

    # --- sessions ----------------------------------------------------------------------------------------------------

    async def session(self, name: str) -> None:
        client = await self.open(Command.SESSION)
        await self.enter(name, client)
        assert await client.read(1) == COMPLETE

    async def ask(self, name: str, command: Command, *parts: bytes) -> bytes:
        self.clients[name].send(command, *parts)
        return await self.clients[name].read(1)

    async def connect(self, name: str, a: str, b: str) -> bytes:
        return await self.ask(name, Command.SESSION_CONNECT, text(a), text(b))

    async def disconnect(self, name: str, a: str, b: str) -> bytes:
        return await self.ask(name, Command.SESSION_DISCONNECT, text(a), text(b))

    async def clear(self, name: str) -> bytes:
        return await self.ask(name, Command.SESSION_CLEAR)

    async def register(self, name: str, metadata: Any) -> bytes:
        return await self.ask(name, Command.SESSION_REGISTER, pickled(metadata))

    async def snapshot(self, name: str) -> Any:
        self.clients[name].send(Command.SESSION_SNAPSHOT)
        snapshot = await self.clients[name].reply()
        assert type(snapshot) is GraphSnapshot
        for order in (snapshot.edge_owners, snapshot.sessions, [str(uuid) for uuid in snapshot.processes]):
            keys: list[Any] = list(order)
            assert keys == sorted(keys)
        for held in snapshot.edge_owners.values():
            assert held == sorted(held, key=lambda owner: "" if owner == "persistent" else owner)
        return (
            list(snapshot.graph.items()),
            [
                (tuple(edge), {owner if owner == "persistent" else self.named(owner) for owner in held}, len(held))
                for edge, held in snapshot.edge_owners.items()
            ],
            {self.named(uuid): (held.edges, held.metadata) for uuid, held in snapshot.sessions.items()},
            {
                self.named(uuid): (self.named(one.process_id), one.pid, one.host, one.units)
                for uuid, one in snapshot.processes.items()
            },
        )

    async def settings(self, name: str) -> list[tuple[str, SettingsSnapshotValue]]:
        self.clients[name].send(Command.SESSION_SETTINGS_SNAPSHOT)
        return list((await self.clients[name].reply()).items())

    async def settings_events(self, name: str, after: int) -> list[Any]:
        self.clients[name].send(Command.SESSION_SETTINGS_EVENTS, text(str(after)))
        return [self.change(event) for event in await self.clients[name].reply()]

    async def request(self, name: str, unit: str, operation: str, payload: bytes, owner: str | None, act: str) -> Any:
        """A routed request. ``act``: what the process that gets it does: answer, refuse, wait too long, or end."""
        client = self.clients[name]
        timeout = "0.02" if act == "wait" else "5.0"
        client.send(Command.SESSION_PROCESS_REQUEST, text(unit), text(operation), text(timeout), blob(payload))
        asked = None if owner is None else await self._act(*await self.requests.get(), act)
        answer: ProcessControlResponse = await client.reply()
        self.seen[f"response {answer.error_code and answer.error_code.value}"] += 1
        error = answer.error if answer.error is None else answer.error.split(" (")[0]
        return asked, answer.ok, answer.payload, error, answer.error_code, self.named(answer.process_id)

    async def _act(self, owner: str, request: Any, act: str) -> Any:
        if act in ("answer", "refuse"):
            response = ProcessControlResponse(
                request.request_id, act == "answer", request.payload, process_id=UUID(self._uuid(owner))
            )
            self.clients[owner].send(Command.PROCESS_ROUTE_RESPONSE, pickled(response))
        elif act == "end":
            await self.end(owner)
        return owner, request.unit_address, request.operation, request.payload

    def _uuid(self, name: str) -> str:
        return next(uuid for uuid, known in self.names.items() if known == name)

    # --- processes ---------------------------------------------------------------------------------------------------

    async def process(self, name: str) -> None:
        client = await self.open(Command.PROCESS)
        await self.enter(name, client)
        assert await client.read(1) == COMPLETE
        client.listen(self._listen_process(name, client))

    async def _listen_process(self, name: str, client: Client) -> None:
        while byte := await client.reader.read(1):
            if byte == Command.PROCESS_ROUTE_REQUEST.value:
                self.requests.put_nowait((name, pickle.loads(await client.blob())))
            else:
                client.note(byte)

    async def _ask_process(self, name: str, command: Command, payload: object) -> bytes:
        client = self.clients[name]
        client.send(command, pickled(payload))
        await client.until(1)
        [answer] = client.taken()
        return bytes(answer)

    async def register_process(self, name: str, pid: int, host: str, units: list[str]) -> bytes:
        return await self._ask_process(name, Command.PROCESS_REGISTER, ProcessRegistration(pid, host, units))

    async def own(self, name: str, added: list[str], removed: list[str]) -> bytes:
        return await self._ask_process(name, Command.PROCESS_UPDATE_OWNERSHIP, ProcessOwnershipUpdate(added, removed))

    async def report(self, name: str, component: str, value: SettingsSnapshotValue, timestamp: float) -> bytes:
        update = ProcessSettingsUpdate(component, value, timestamp)
        return await self._ask_process(name, Command.PROCESS_SETTINGS_UPDATE, update)

    async def send_nonsense(self, name: str, command: str) -> bytes:
        return await self._ask_process(name, Command[command], "nonsense")

    async def trace(self, name: str, samples: list[ProfilingTraceSample]) -> Any:
        """Samples, and what the stream of samples says of them."""
        batch = ProcessProfilingTraceBatch(UUID(int=0), -5, "elsewhere", 0.0, samples)
        self.clients[name].send(Command.PROCESS_PROFILING_TRACE_UPDATE, pickled(batch))
        got: list[Any] = []
        while sum(len(one[3]) for one in got) < len(samples):
            await self.clients["traces"].until(1)
            got += self.clients["traces"].taken()
        assert {one[0] for one in got} == {name}
        return got[0][:3], [sample for one in got for sample in one[3]]

    async def traces(self, name: str) -> None:
        control = ProfilingStreamControl(interval=0.01, max_samples=1000)
        client = await self.open(Command.SESSION_PROFILING_SUBSCRIBE, pickled(control))
        await self.enter(name, client)
        assert await client.read(1) == COMPLETE
        client.listen(self._listen_traces(client))

    async def _listen_traces(self, client: Client) -> None:
        async for value in _pickles(client):
            for uuid, one in value.batches.items():
                assert uuid == one.process_id
                client.note((self.named(uuid), one.pid, one.host, one.samples))

    # --- publishers, subscribers, channels ---------------------------------------------------------------------------

    async def subscriber(self, name: str, topic: str) -> None:
        client = await self.open(Command.SUBSCRIBE, text(topic))
        await self.enter(name, client)
        ready = asyncio.Event()
        client.listen(self._listen_subscriber(client, ready))
        await ready.wait()

    async def _listen_subscriber(self, client: Client, ready: asyncio.Event) -> None:
        while byte := await client.reader.read(1):
            if byte == Command.UPDATE.value:
                uuids = await client.text()
                client.hears = [self.named(uuid) for uuid in uuids.split(",")] if uuids else []
                client.note(client.hears)
                client.send(COMPLETE)
            else:
                assert (byte, ready.is_set()) == (COMPLETE, False)
                ready.set()

    async def publisher(self, name: str, topic: str, port: int) -> None:
        client = await self.open(Command.PUBLISH, text(topic))
        await self.enter(name, client)
        client.send(text(f"anywhere:{port}"))
        assert await client.read(1) == COMPLETE
        client.listen(self._listen_publisher(client))

    async def _listen_publisher(self, client: Client) -> None:
        while byte := await client.reader.read(1):
            client.note(Command(byte).name)
            if byte == Command.SYNC.value:
                client.send(COMPLETE)

    async def channel(self, name: str, publisher: str) -> Any:
        client = await self.open(Command.CHANNEL, text(self._uuid(publisher)))
        answer = await client.reader.read(1)
        if not answer:
            client.writer.close()
            return "end"
        await self.enter(name, client)
        return answer, await client.text()

    async def segment(self, name: str, num_buffers: int, buf_size: int) -> Any:
        client = await self.open(Command.SHM_CREATE, u64(num_buffers), u64(buf_size))
        answer = await client.read(1)
        self.clients[name] = client
        known = await client.text()
        self.names[known] = name
        with open(f"/dev/shm/{known}", "rb") as segment:
            return answer, segment.read(16), os.fstat(segment.fileno()).st_size

    async def attach(self, name: str, segment: str) -> Any:
        client = await self.open(Command.SHM_ATTACH, text(self._uuid(segment)))
        answer = await client.read(1)
        self.clients[name] = client
        return answer, self.named(await client.text())

    # --- event streams -----------------------------------------------------------------------------------------------

    async def topology(self, name: str, after: int) -> None:
        """Ours tells of metadata as well, see faults.py: numbers are those that stock gives to the same entries."""
        place = max(0, after)
        if self.ours is not None:
            entries = [entry for entry in feed(self.ours.spool.read()) if isinstance(entry, TopologyChanged)]
            common = [entry.number for entry in entries if entry.topics or entry.session is None]
            place = min(place, len(common))
            after = ([0, *common] if place < len(common) else [len(entries)] * (place + 1))[place]
        await self._stream(name, Command.SESSION_TOPOLOGY_SUBSCRIBE, after)
        self.clients[name].place = place

    async def changes(self, name: str, after: int, observer: str) -> None:
        so_far = len(await self.settings_events(observer, 0))
        await self._stream(name, Command.SESSION_SETTINGS_SUBSCRIBE, after)
        self.clients[name].place = min(max(0, after), so_far)

    async def _stream(self, name: str, command: Command, after: int) -> None:
        client = await self.open(command, text(str(after)))
        await self.enter(name, client)
        assert await client.read(1) == COMPLETE
        client.listen(self._listen_stream(client))

    async def _listen_stream(self, client: Client) -> None:
        async for event in _pickles(client):
            if type(event) is TopologyChangedEvent:
                session, process = event.source_session_id, event.source_process_id
                if not event.changed_topics and session is not None:
                    assert self.ours is not None
                    continue
                who = self.named(session), self.named(process)
                client.place += 1
                number = event.seq if self.ours is None else client.place
                client.note((number, event.event_type, tuple(event.changed_topics), *who))
            else:
                client.place = event.seq
                client.note(self.change(event))

    def change(self, event: SettingsChangedEvent) -> Any:
        """A settings event with names for UUIDs; its time only where it is a client's."""
        assert type(event) is SettingsChangedEvent
        time = event.timestamp if event.source_process_id is not None else None
        who = self.named(event.source_session_id), self.named(event.source_process_id)
        return event.seq, event.event_type, event.component_address, *who, event.value, time

    async def flush(self, mark: str, observer: str) -> Any:
        """All that the streams have to tell so far: a last edge comes and goes, and is waited for."""
        for command in (Command.CONNECT, Command.DISCONNECT):
            await self.one_shot(command, f"{mark}/from", mark)
        last = len(await self.settings_events(observer, 0))
        told = {}
        for name, client in self.clients.items():
            if name.startswith("topology"):
                while not [entry for entry in client.got if entry[2] == (mark,)][1:]:
                    await client.until(len(client.got) + 1)
                told[name] = client.taken()
            elif name.startswith("changes"):
                while client.place < last:
                    await client.until(len(client.got) + 1)
                told[name] = client.taken()
        return told


async def _pickles(client: Client) -> Any:
    """The pickles of a stream, to its end."""
    while size := await client.reader.read(8):
        if len(size) < 8:
            size += await client.read(8 - len(size))
        yield pickle.loads(await client.read(int.from_bytes(size, "little")))


def _without_repetitions(lists: list[Any]) -> list[Any]:
    return [value for place, value in enumerate(lists) if place == 0 or value != lists[place - 1]]
