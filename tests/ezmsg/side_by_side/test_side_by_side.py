"""Our graph server beside ezmsg's own: the same random lives at the socket, and each fault where ours differs.

The table of faults is in side_by_side/faults.py; every entry has its test here, which shows what both servers do.
"""

import asyncio
import inspect
import io
import os
import pickle
import select
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ezmsg.core import graphserver as stock_module
from ezmsg.core.graphmeta import (
    GraphMetadata,
    ProcessControlErrorCode,
    ProcessOwnershipUpdate,
    ProcessProfilingTraceBatch,
    ProfilingStreamControl,
    ProfilingTraceSample,
)
from ezmsg.core.graphserver import GraphServer as StockServer
from ezmsg.core.netprotocol import Command

from ezmsg.ledger.runtime.server import publisher_notices
from ezmsg.ledger.runtime.server.server import GraphServer
from tests.runtime.server.examined import Examined, examining
from tests.runtime.server.raw import (
    COMPLETE,
    CYCLIC,
    ERROR,
    Raw,
    RawProcess,
    RawPublisher,
    RawSession,
    RawSubscriber,
    component,
    metadata,
    pickled,
    text,
    u64,
)

from .faults import ELSEWHERE, FAULTS
from .script import Script
from .world import World

SEEDS = range(10)
STEPS = 400

SILENCE_S = 0.1
"""How long a client is watched that ought not to get an answer."""

AT_LEAST = {
    "UPDATE": 500,
    "connect COMPLETE": 200,
    "connect CYCLIC": 100,
    "disconnect COMPLETE": 150,
    "clear COMPLETE": 40,
    "register COMPLETE": 100,
    "register ERROR": 20,
    "persist COMPLETE": 100,
    "persist CYCLIC": 50,
    "unpersist COMPLETE": 100,
    "register_process COMPLETE": 50,
    "register_process ERROR": 30,
    "own COMPLETE": 50,
    "own ERROR": 15,
    "report COMPLETE": 100,
    "report ERROR": 50,
    "send_nonsense ERROR": 40,
    "response None": 20,
    "response UNROUTABLE_UNIT": 50,
    "response TIMEOUT": 5,
    "response PROCESS_DISCONNECTED": 5,
    **dict.fromkeys(("session", "process", "subscriber", "publisher", "end"), 40),
    **dict.fromkeys(("snapshot", "settings", "settings_events", "dag", "tell_all", "flush"), 50),
    **dict.fromkeys(("channel", "segment", "attach", "topology", "changes", "trace"), 20),
}
"""What happens how often in all lives together: a step that the script could not take would compare nothing."""


@pytest.fixture
def examined() -> Iterator[Examined]:
    with examining() as examined:
        examined.faults.expected += ["ezmsg/core/graphserver.py", "ezmsg/core/shm.py"]
        yield examined


@pytest.fixture
def start_stock(examined: Examined) -> Iterator[Callable[[], StockServer]]:
    servers: list[StockServer] = []

    def start() -> StockServer:
        servers.append(server := StockServer())
        server.start(("127.0.0.1", 0))
        return server

    yield start
    for raw in Raw.opened:
        raw.close()
    for server in servers:
        stop_stock(server)


def stop_stock(server: StockServer) -> None:
    """Stop it once it has noticed that its clients have left: with some Pythons it would wait for them for ever."""
    deadline = time.monotonic() + 5.0
    while server.is_alive() and len(asyncio.all_tasks(server._loop)) > 2:  # it, and what waits for its stop
        assert time.monotonic() < deadline, "stock still serves somebody"
        time.sleep(0.001)
    server.stop()


@pytest.fixture
def start_ours(examined: Examined, tmp_path: Path) -> Callable[[], GraphServer]:
    numbers = iter(range(1000))

    def start() -> GraphServer:
        server = GraphServer(tmp_path / f"run-{next(numbers)}.ledger")
        server.start(("127.0.0.1", 0))
        return server

    return start


@pytest.fixture
def stock(start_stock: Callable[[], StockServer]) -> StockServer:
    return start_stock()


@pytest.fixture
def ours(start_ours: Callable[[], GraphServer]) -> GraphServer:
    return start_ours()


# --- the same lives --------------------------------------------------------------------------------------------------


async def live(stock: StockServer, ours: GraphServer, seed: int) -> Counter[str]:
    """One life with both servers, step by step; how often what happened."""
    worlds = [World(stock.address), World(ours.address, ours.live)]
    try:
        for number, (verb, *args) in enumerate(Script(seed).steps(STEPS)):
            expected, got = await asyncio.gather(*(world.step(verb, *args) for world in worlds))
            assert got == expected, f"seed {seed}, step {number}: {verb} {args}"
        for world in worlds:
            await world.close()
    finally:
        for world in worlds:
            world.abort()
    assert worlds[0].seen == worlds[1].seen
    return worlds[1].seen


def test_the_same_lives_with_both(
    start_stock: Callable[[], StockServer], start_ours: Callable[[], GraphServer]
) -> None:
    seen: Counter[str] = Counter()
    for seed in SEEDS:
        stock, ours = start_stock(), start_ours()
        seen += asyncio.run(live(stock, ours, seed))
        stop_stock(stock)
        ours.stop()
    rare = {what: seen[what] for what, least in AT_LEAST.items() if seen[what] < least}
    assert not rare, f"hardly anything was compared of {rare}"


# --- the faults ------------------------------------------------------------------------------------------------------


def test_every_fault_of_the_table_is_shown() -> None:
    shown = {name.removeprefix("test_fault_") for name in vars(sys.modules[__name__]) if name.startswith("test_fault_")}
    assert shown == set(FAULTS)
    for name in FAULTS:
        test = globals()[f"test_fault_{name}"]
        assert {"stock", "ours"} <= {*inspect.signature(test).parameters}, f"{name} is not shown beside stock"


def test_every_fault_that_is_shown_elsewhere_has_its_test() -> None:
    for fault, place in ELSEWHERE.items():
        module, _, name = place.partition(".")
        (file,) = (Path(__file__).parents[2] / "runtime" / "server").rglob(f"{module}.py")
        text_of = file.read_text(encoding="utf-8")
        assert f"def {name}(" in text_of, fault


Server = StockServer | GraphServer


def one_shot(server: Server, command: Command, *topics: str) -> Raw:
    return Raw(server.address, command, *map(text, topics))


def is_frozen(server: Server) -> bool:
    """Whether a command of somebody else gets no answer."""
    return one_shot(server, Command.CONNECT, "X", "Y").is_silent(SILENCE_S)


def test_fault_half_a_command_freezes_all(stock: StockServer, ours: GraphServer) -> None:
    for server in (stock, ours):
        RawPublisher(server.address, "A", port=None)
        assert is_frozen(server) == (server is stock)
    one_shot(ours, Command.CONNECT, "A")
    assert not is_frozen(ours)


def test_fault_lengths_are_believed(stock: StockServer, ours: GraphServer) -> None:
    assert Raw(stock.address, Command.CONNECT, u64(2**60)).is_silent(SILENCE_S)
    assert is_frozen(stock)
    Raw(ours.address, Command.CONNECT, u64(2**60)).expect_eof()


def test_fault_sync_waits_for_ever(stock: StockServer, ours: GraphServer) -> None:
    for server in (stock, ours):
        publisher = RawPublisher(server.address, "A")
        asker = one_shot(server, Command.SYNC)
        assert publisher.byte() == Command.SYNC.value
        asker.close()
    assert is_frozen(stock)
    assert not is_frozen(ours)


def test_fault_silent_subscribers_hold_the_lock(
    stock: StockServer, ours: GraphServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    wait = 3 * SILENCE_S
    monkeypatch.setattr(stock_module, "SUBSCRIBER_UPDATE_TIMEOUT_SEC", wait)
    monkeypatch.setattr(publisher_notices, "UPDATE_TIMEOUT_S", wait)
    took = {}
    for server in (stock, ours):
        for _ in range(3):
            RawSubscriber(server.address, "A")
        began = time.monotonic()
        publisher = RawPublisher(server.address, "A", wait=False)
        assert is_frozen(server) == (server is stock)
        assert publisher.byte() == COMPLETE
        took[server] = time.monotonic() - began
    assert took[stock] > 3 * wait * 0.95
    assert took[ours] < 2 * wait


def test_fault_a_deaf_process_holds_the_lock(stock: StockServer, ours: GraphServer) -> None:
    for server in (stock, ours):
        process = RawProcess(server.address)
        process.register("U")
        session = RawSession(server.address)
        session.send_request("U", "SLOW", 0.05, b"x" * (16 * 2**20 - 1))
        if server is ours:
            assert session.response().error_code is ProcessControlErrorCode.TIMEOUT
        else:
            assert session.is_silent(4 * SILENCE_S)
    assert is_frozen(stock)
    assert not is_frozen(ours)


def flood(server: Server, count: int) -> None:
    """Changes of the topology feed, as many as are wanted, quickly."""
    process = RawProcess(server.address)
    updates = ProcessOwnershipUpdate(added_units=["U"]), ProcessOwnershipUpdate(removed_units=["U"])
    flip = [Command.PROCESS_UPDATE_OWNERSHIP.value + pickled(update) for update in updates]
    for _ in range(count // 100):
        process.send(*flip * 50)
        assert process.read(100) == COMPLETE * 100


def topology(server: Server, after: int) -> Raw:
    raw = one_shot(server, Command.SESSION_TOPOLOGY_SUBSCRIBE, str(after))
    raw.text()
    assert raw.byte() == COMPLETE
    return raw


def test_fault_stop_waits_for_readers(stock: StockServer, ours: GraphServer) -> None:
    for server in (stock, ours):
        stream = topology(server, 0)
        session = RawSession(server.address)
        for number in range(40):
            session.connect(f"{number}", "B" * 60_000)
            session.disconnect(f"{number}", "B" * 60_000)
        stopping = threading.Thread(target=server.stop)
        stopping.start()
        stopping.join(2.0 if server is ours else 5 * SILENCE_S)
        assert stopping.is_alive() == (server is stock)
        stream.close()
        stopping.join(5.0)
        assert not stopping.is_alive()


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="a cancelled handler of stock's waits for nobody there")
def test_fault_stop_notifies_the_dead(
    stock: StockServer, ours: GraphServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stock_module, "SUBSCRIBER_UPDATE_TIMEOUT_SEC", 0.6)
    monkeypatch.setattr(publisher_notices, "UPDATE_TIMEOUT_S", 0.6)
    took = {}
    for server in (stock, ours):
        session = RawSession(server.address)
        session.connect("A", "B")
        RawSubscriber(server.address, "B")
        began = time.monotonic()
        server.stop()
        took[server] = time.monotonic() - began
    assert took[stock] >= 0.59
    assert took[ours] < 0.5


class Evil:
    """Its pickle, opened by Python, makes a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.folder),)


def test_fault_pickles_are_opened(stock: StockServer, ours: GraphServer, tmp_path: Path) -> None:
    for server in (stock, ours):
        folder = tmp_path / str(server.address.port)
        RawSession(server.address).register(Evil(folder))
        assert folder.exists() == (server is stock)


def test_fault_bad_metadata_is_complete(stock: StockServer, ours: GraphServer) -> None:
    for bad in ("no metadata", GraphMetadata(1, "SYS", {"SYS/U": "no component"})):  # type: ignore[dict-item]
        assert RawSession(ours.address).register(bad) == ERROR
    session = RawSession(stock.address)
    assert session.register("no metadata") == COMPLETE
    assert session.snapshot().sessions[session.uuid].metadata is None


def test_fault_unknown_commands_are_skipped(stock: StockServer, ours: GraphServer) -> None:
    for server in (stock, ours):
        session, other = RawSession(server.address), RawSession(server.address)
        session.send(b"\x63", Command.SESSION_CONNECT, text("A"), text("B"))
        if server is stock:
            assert session.byte() == COMPLETE
            assert len(other.snapshot().edge_owners) == 1
        else:
            session.expect_eof()
            assert other.snapshot().edge_owners == {}


def test_fault_streams_drop_history(stock: StockServer, ours: GraphServer) -> None:
    first = {}
    for server in (stock, ours):
        flood(server, 1500)
        first[server] = topology(server, 0).pickle().seq
    assert first == {stock: 1500 - 1024 + 1, ours: 1}


def test_fault_waiting_sessions_keep_their_edges(stock: StockServer, ours: GraphServer) -> None:
    for server in (stock, ours):
        process = RawProcess(server.address)
        process.register("U")
        session, other = RawSession(server.address), RawSession(server.address)
        session.connect("A", "B")
        stream = topology(server, 2)
        session.send_request("U", "SLOW", 60.0)
        process.next_request()
        session.close()
        if server is stock:
            assert stream.is_silent(SILENCE_S)
            assert len(other.snapshot().edge_owners) == 1
        else:
            assert stream.pickle().changed_topics == ["B"]
            assert other.snapshot().edge_owners == {}


def test_fault_anybody_may_answer(stock: StockServer, ours: GraphServer) -> None:
    for server in (stock, ours):
        owner, other = RawProcess(server.address), RawProcess(server.address)
        owner.register("U")
        session = RawSession(server.address)
        session.send_request("U", "ECHO", 60.0)
        request = owner.next_request()
        other.answer(request.request_id, b"forged")
        if server is stock:
            assert session.response().error_code is ProcessControlErrorCode.INVALID_RESPONSE
        else:
            assert session.is_silent()
            owner.answer(request.request_id, b"true")
            assert session.response().payload == b"true"


def test_fault_late_answers_satisfy_later_updates(
    stock: StockServer, ours: GraphServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for server in (stock, ours):
        for module, name in ((stock_module, "SUBSCRIBER_UPDATE_TIMEOUT_SEC"), (publisher_notices, "UPDATE_TIMEOUT_S")):
            monkeypatch.setattr(module, name, 0.3)
        session = RawSession(server.address)
        subscriber = RawSubscriber(server.address, "B")
        assert session.connect("X", "B") == COMPLETE  # given up
        for module, name in ((stock_module, "SUBSCRIBER_UPDATE_TIMEOUT_SEC"), (publisher_notices, "UPDATE_TIMEOUT_S")):
            monkeypatch.setattr(module, name, 5.0 if server is stock else 0.3)
        session.send(Command.SESSION_CONNECT, text("Y"), text("B"))
        subscriber.update(acknowledge=False)
        subscriber.update(acknowledge=False)
        subscriber.acknowledge()  # the first
        if server is stock:
            assert session.byte() == COMPLETE
        else:
            assert session.is_silent(0.05)
            subscriber.acknowledge()
            assert session.byte() == COMPLETE


def test_fault_all_is_gone_at_restart(
    stock: StockServer, ours: GraphServer, start_stock: Callable[[], StockServer]
) -> None:
    for server in (stock, ours):
        for topic in ("B", "C", "D"):
            raw = one_shot(server, Command.CONNECT, "A", topic)
            assert raw.byte() == COMPLETE
            raw.end()
        stop_stock(server) if server is stock else server.stop()
    assert ours.ledger is not None
    again = GraphServer(ours.ledger.location)
    again.start(("127.0.0.1", 0))
    numbers = []
    for server in (start_stock(), again):
        session = RawSession(server.address)
        session.connect("X", "Y")
        numbers.append(topology(server, 0).pickle().seq)
        assert len(session.snapshot().edge_owners) == (4 if server is again else 1)
        assert session.connect("B", "A") == (CYCLIC if server is again else COMPLETE)
    assert numbers == [1, 4]


def test_fault_connect_answers_early(stock: StockServer, ours: GraphServer) -> None:
    for server in (stock, ours):
        subscriber = RawSubscriber(server.address, "B")
        raw = one_shot(server, Command.CONNECT, "A", "B")
        subscriber.update(acknowledge=False)
        if server is stock:
            assert raw.byte() == COMPLETE
        else:
            assert raw.is_silent()
        subscriber.acknowledge()


def test_fault_departed_publishers_kill_subscribers(stock: StockServer, ours: GraphServer) -> None:
    channels = {}
    for server in (stock, ours):
        publisher = RawPublisher(server.address, "A")
        publisher.end()
        channels[server] = one_shot(server, Command.CHANNEL, publisher.uuid)
    channels[stock].expect_eof()
    assert channels[ours].byte() == COMPLETE


def test_fault_departures_are_told_to_nobody(stock: StockServer, ours: GraphServer) -> None:
    for server in (stock, ours):
        gone, stays = RawPublisher(server.address, "A"), RawPublisher(server.address, "A")
        subscriber = RawSubscriber(server.address, "A")
        gone.end()
        if server is stock:
            assert subscriber.is_silent(SILENCE_S)
        else:
            assert subscriber.update() == [stays.uuid]


def test_fault_metadata_changes_are_told_to_nobody(stock: StockServer, ours: GraphServer) -> None:
    for server in (stock, ours):
        stream = Raw(server.address, Command.SESSION_TOPOLOGY_SUBSCRIBE, text("0"))
        stream.text()
        assert stream.byte() == COMPLETE
        session = RawSession(server.address)
        session.register(metadata("SYS/U"))
        session.end()
        if server is stock:
            assert stream.is_silent(SILENCE_S)
        else:
            told = [stream.pickle() for _ in range(2)]
            assert [(event.event_type.value, event.changed_topics, event.source_session_id) for event in told] == [
                ("GRAPH_CHANGED", [], session.uuid)
            ] * 2


def test_fault_unread_profiles_are_lost(stock: StockServer, ours: GraphServer) -> None:
    for server in (stock, ours):
        process = RawProcess(server.address)
        stream = Raw(
            server.address, Command.SESSION_PROFILING_SUBSCRIBE, pickled(ProfilingStreamControl(interval=SILENCE_S))
        )
        stream.text()
        assert stream.byte() == COMPLETE
        sample = ProfilingTraceSample(0.0, "e", "t", "m", 1.0)
        batch = ProcessProfilingTraceBatch(process.uuid, 1, "host", 0.0, [sample])
        process.send(Command.PROCESS_PROFILING_TRACE_UPDATE, pickled(batch))
        process.end()
        if server is stock:
            assert stream.is_silent(2.5 * SILENCE_S)
        else:
            assert stream.pickle().batches[process.uuid].samples == batch.samples


def test_fault_clients_are_never_forgotten(stock: StockServer, ours: GraphServer) -> None:
    for server in (stock, ours):
        before = None
        for _ in range(20):
            RawSubscriber(server.address, "A").end()
            if before is None:
                before = len(entries_of(server))
        deadline = time.monotonic() + 5.0
        while server is ours and len(entries_of(server)) > before:
            assert time.monotonic() < deadline
        assert (len(entries_of(server)) >= before + 19) == (server is stock)


def first_of(*raws: Raw) -> Raw:
    """The one that is sent something first."""
    readable, _, _ = select.select([raw.socket for raw in raws], [], [], 5.0)
    return next(raw for raw in raws if raw.socket in readable)


def entries_of(server: Server) -> Any:
    """What a server keeps of its connections."""
    return server._client_tasks if isinstance(server, StockServer) else server._tasks


def test_fault_an_answer_releases_every_update(stock: StockServer, ours: GraphServer) -> None:
    for server in (stock, ours):
        subscriber = RawSubscriber(server.address, "C")
        sessions = [RawSession(server.address) for _ in range(2)]
        for session, topic in zip(sessions, "AB", strict=True):
            session.send(Command.SESSION_CONNECT, text(topic), text("C"))
        subscriber.update(acknowledge=False)
        assert all(session.is_silent(0.02) for session in sessions)
        subscriber.acknowledge()
        released = first_of(*sessions)
        assert released.byte() == COMPLETE
        [waiting] = [session for session in sessions if session is not released]
        if server is ours:
            assert subscriber.update(acknowledge=False) == []
            assert waiting.is_silent(0.02)
            subscriber.acknowledge()
        assert waiting.byte() == COMPLETE


def test_fault_dead_segments_can_be_attached(stock: StockServer, ours: GraphServer) -> None:
    attached = {}
    for server in (stock, ours):
        creator = Raw(server.address, Command.SHM_CREATE, u64(1), u64(100))
        assert creator.byte() == COMPLETE
        name = creator.text()
        creator.end()
        attached[server] = one_shot(server, Command.SHM_ATTACH, name)
        assert not Path("/dev/shm", name).exists()
    assert attached[stock].byte() == COMPLETE
    attached[ours].expect_eof()


def test_fault_bad_numbers_end_sessions(stock: StockServer, ours: GraphServer) -> None:
    for server in (stock, ours):
        for number in ("timeout", "after"):
            session = RawSession(server.address)
            session.connect("A", "B")
            if number == "timeout":
                session.send_request("U", "PING", "soon")
            else:
                session.send(Command.SESSION_SETTINGS_EVENTS, text("soon"))
            if server is stock:
                session.expect_eof()
            elif number == "timeout":
                assert session.response().error_code is ProcessControlErrorCode.INVALID_RESPONSE
            else:
                assert (session.pickle(), session.byte()) == ([], ERROR)
        other = RawSession(server.address)
        assert len(other.snapshot().edge_owners) == (0 if server is stock else 1)


def test_fault_clearing_tells_once_per_topic(stock: StockServer, ours: GraphServer) -> None:
    updates = {}
    for server in (stock, ours):
        session = RawSession(server.address)
        session.connect("A", "B")
        session.connect("B", "C")
        one_shot(server, Command.CONNECT, "B", "C").byte()
        session.connect("X", "C")
        subscriber = RawSubscriber(server.address, "C")
        session.send(Command.SESSION_CLEAR)
        updates[server] = 0
        while first_of(session, subscriber) is subscriber:
            subscriber.update()
            updates[server] += 1
        assert session.byte() == COMPLETE
    assert updates == {stock: 2, ours: 1}


def test_fault_settings_name_dead_sessions(stock: StockServer, ours: GraphServer) -> None:
    named = {}
    for server in (stock, ours):
        session, other = RawSession(server.address), RawSession(server.address)
        session.register(GraphMetadata(1, "SYS", {"KEY": component("ADDRESS")}))
        process = RawProcess(server.address)
        process.register("KEY")
        process.report("KEY", {"gain": 2.0})
        session.end()
        process.report("KEY", {"gain": 3.0})
        named[server] = other.settings_events()[-1].source_session_id == session.uuid
    assert named == {stock: True, ours: False}


def test_fault_bytes_postpone_profiles(stock: StockServer, ours: GraphServer) -> None:
    silent = {}
    for server in (stock, ours):
        process = RawProcess(server.address)
        control = ProfilingStreamControl(interval=1.5 * SILENCE_S)
        stream = Raw(server.address, Command.SESSION_PROFILING_SUBSCRIBE, pickled(control))
        stream.text()
        assert stream.byte() == COMPLETE
        sample = ProfilingTraceSample(0.0, "e", "t", "m", 1.0)
        batch = ProcessProfilingTraceBatch(process.uuid, 1, "host", 0.0, [sample])
        process.send(Command.PROCESS_PROFILING_TRACE_UPDATE, pickled(batch))
        silent[server] = True
        for _ in range(40):
            stream.send(b"\x00")
            silent[server] &= stream.is_silent(0.01)
    assert silent == {stock: True, ours: False}


def test_pickles_of_replies_hold_nothing_but_ezmsgs_own_classes(stock: StockServer, ours: GraphServer) -> None:
    """The bytes of a snapshot name the same classes with both servers."""
    names = {}
    for server in (stock, ours):
        session = RawSession(server.address)
        session.connect("A", "B")
        session.register(metadata("SYS/U"))
        RawProcess(server.address).register("SYS/U")
        session.send(Command.SESSION_SNAPSHOT)
        data = session.blob()
        assert session.byte() == COMPLETE
        names[server] = _classes(data)
    assert names[ours] == names[stock]


def _classes(data: bytes) -> set[str]:
    found: set[str] = set()

    class Noting(pickle.Unpickler):
        def find_class(self, module: str, name: str) -> Any:
            found.add(f"{module}.{name}")
            return super().find_class(module, name)

    Noting(io.BytesIO(data)).load()
    return found
