"""A server that is started again on the ledger of another one: what stands, what is gone, and where the feeds go on."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ezmsg.core.graphmeta import Edge
from ezmsg.core.netprotocol import Address, Command

from ezmsg.ledger import events as ev
from ezmsg.ledger.log import Ledger
from ezmsg.ledger.runtime.server import server as server_module
from ezmsg.ledger.runtime.server.server import GraphServer
from tests.runtime.server.conftest import Serve, all_of, recorded
from tests.runtime.server.examined import ANSWER_S, STOP_MAX_S
from tests.runtime.server.raw import (
    COMPLETE,
    CYCLIC,
    Raw,
    RawProcess,
    RawPublisher,
    RawSession,
    RawSubscriber,
    metadata,
    text,
)


class Recorder:
    """``python -m ezmsg.ledger.runtime.server`` in a process of its own."""

    def __init__(self, ledger: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "ezmsg.ledger.runtime.server", str(ledger), "--address", "127.0.0.1:0"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self.process.stdout is not None
        opened, ready = (json.loads(self.process.stdout.readline()) for _ in range(2))
        self.words = {**opened, **ready}
        self.address = Address.from_string(self.words["address"])

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def recorder(tmp_path: Path) -> Iterator[Recorder]:
    recorder = Recorder(tmp_path / "run.ledger")
    yield recorder
    if recorder.process.returncode is None:
        recorder.kill()


def one_shot(address: Address, command: Command, *topics: str) -> bytes:
    return Raw(address, command, *map(text, topics)).byte()


def fill(address: Address) -> RawSession:
    """A persistent edge, and a session with all that a session can own, in every kind of table."""
    assert one_shot(address, Command.CONNECT, "P", "Q") == COMPLETE
    session = RawSession(address)
    session.connect("A", "B")
    session.connect("P", "Q")
    session.register(metadata("SYS/U"))
    process = RawProcess(address)
    process.register("SYS/U")
    process.report("SYS/U", {"gain": 5.0})
    RawPublisher(address, "A")
    RawSubscriber(address, "B")
    session.send_request("SYS/U", "SLOW", 60.0)
    process.next_request()
    return session


def stream(server: GraphServer, after: int) -> Raw:
    raw = Raw(server.address, Command.SESSION_TOPOLOGY_SUBSCRIBE, text(str(after)))
    raw.text()
    assert raw.byte() == COMPLETE
    return raw


def test_persistent_edges_stand_and_sessions_do_not(tmp_path: Path, serve: Serve) -> None:
    first = serve(tmp_path / "run.ledger")
    fill(first.address)
    first.stop()
    second = serve(tmp_path / "run.ledger")
    session = RawSession(second.address)
    snapshot = session.snapshot()
    assert snapshot.graph == {"P": ["Q"], "Q": []}
    assert snapshot.edge_owners == {Edge("P", "Q"): ["persistent"]}
    assert list(snapshot.sessions) == [session.uuid]
    assert (snapshot.processes, session.settings()) == ({}, {})
    assert session.connect("Q", "P") == CYCLIC, "they count in the cycle test too"
    publisher = RawPublisher(second.address, "P")
    subscriber = RawSubscriber(second.address, "Q")
    assert subscriber.first == [publisher.uuid]
    subscriber.end()
    assert one_shot(second.address, Command.DISCONNECT, "P", "Q") == COMPLETE
    assert session.snapshot().graph == {}


def test_fresh_drops_the_persistent_edges(tmp_path: Path, serve: Serve) -> None:
    serve(tmp_path / "run.ledger")
    first = serve(tmp_path / "other.ledger")
    one_shot(first.address, Command.CONNECT, "P", "Q")
    first.stop()
    second = serve(tmp_path / "other.ledger", fresh=True)
    assert RawSession(second.address).snapshot().graph == {}
    assert recorded(second, ev.GraphCleared)


def test_the_feeds_go_on_and_after_works_across_runs(tmp_path: Path, serve: Serve) -> None:
    first = serve(tmp_path / "run.ledger")
    session = RawSession(first.address)
    for number in range(5):
        session.connect("A", f"{number}")
    session.register(metadata("SYS/U", "SYS/V"))
    last = session.settings_events()[-1].seq
    first.stop()  # its session ends with it: one entry more, beside those of five edges and the metadata
    second = serve(tmp_path / "run.ledger")
    session = RawSession(second.address)
    assert session.settings_events(0) == [], "0 is this run"
    session.connect("B", "C")
    session.register(metadata("SYS/W"))
    assert [event.seq for event in session.settings_events(0)] == [last + 1]
    assert [event.component_address for event in session.settings_events(1)] == ["SYS/V", "SYS/W"]
    assert [event.seq for event in session.settings_events(last)] == [last + 1]
    for after, expected in ((0, [8, 9]), (3, [4, 5, 6, 7, 8, 9]), (7, [8, 9]), (9, [])):
        raw = stream(second, after)
        events = [raw.pickle() for _ in expected]
        assert [event.seq for event in events] == expected
        assert raw.is_silent(0.01)
    seventh = stream(second, 6).pickle()
    assert seventh.changed_topics == ["0", "1", "2", "3", "4"]


def test_a_killed_server_is_recorded_as_lost(tmp_path: Path, serve: Serve, recorder: Recorder) -> None:
    session = fill(recorder.address)
    recorder.kill()
    killed = time.time_ns()
    server = serve(tmp_path / "run.ledger")
    first, second = all_of(server, ev.ServerStarted)
    lost = recorded(server, ev.ServerLost)
    assert (lost.server, lost.seq, lost.time) == (first.seq, second.seq - 2, second.time), "in the same commit"
    assert first.pid == recorder.process.pid
    assert lost.last_seen is not None
    assert killed - 3_000_000_000 < lost.last_seen <= killed
    assert server.live is not None
    state = server.live.state
    assert (state.endpoints, state.requests, state.processes) == ({}, {}, {})
    again = RawSession(server.address)
    assert again.snapshot().edge_owners == {Edge("P", "Q"): ["persistent"]}
    assert again.settings() == {}
    assert again.register(metadata("SYS/U")) == COMPLETE
    assert session.uuid not in again.snapshot().sessions

    topology = stream(server, 1)
    numbers = [topology.pickle().seq for _ in range(4)]
    assert numbers == [2, 3, 4, 5], "A->B, the process, and what became of both when the server was lost"
    again.connect("X", "Y")
    assert topology.pickle().seq == 6
    settings = again.settings_events(1)
    assert [event.seq for event in settings] == list(range(2, 2 + len(settings)))


def test_a_server_that_was_killed_while_it_wrote_loses_nothing_that_it_answered(
    tmp_path: Path, serve: Serve, recorder: Recorder
) -> None:
    answered = 0
    session = RawSession(recorder.address)
    killer = threading.Timer(0.15, recorder.process.kill)
    killer.start()
    try:
        while True:
            assert session.connect("A", f"{answered}") == COMPLETE
            answered += 1
    except (EOFError, ConnectionError):
        recorder.kill()
    killer.join()
    assert answered > 10
    server = serve(tmp_path / "run.ledger")
    edges = [event.to_topic for event in all_of(server, ev.EdgeConnected)]
    assert edges[:answered] == [f"{number}" for number in range(answered)]
    assert len(edges) <= answered + 1
    assert recorded(server, ev.ServerLost)


def test_an_idle_server_renews_the_time_at_which_it_was_last_alive(
    tmp_path: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "TEND_S", 0.01)
    serve(tmp_path / "run.ledger")
    lock = tmp_path / "run.ledger.lock"
    seen = {lock.stat().st_mtime_ns}
    began = time.monotonic()
    while len(seen) < 4:
        seen.add(lock.stat().st_mtime_ns)
        assert time.monotonic() - began < 5.0


def test_stop_does_not_wait_for_a_long_replay(tmp_path: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    first = serve(tmp_path / "run.ledger")
    one_shot(first.address, Command.CONNECT, "P", "Q")
    one_shot(first.address, Command.CONNECT, "P", "R")
    first.stop()
    server = serve(tmp_path / "run.ledger")
    assert server.ledger is not None
    ledger, begun, read = server.ledger, threading.Event(), server.ledger.read

    def endless(after: int = 0) -> Iterator[list[Any]]:
        begun.set()
        batches = list(read(after))
        yield from batches[:1]
        while True:  # a ledger that is longer than anybody would wait
            time.sleep(0.01)
            yield []

    with monkeypatch.context() as patched:
        patched.setattr(ledger, "read", endless)
        stream(server, 1)
        assert begun.wait(5.0)
        began = time.monotonic()
        server.stop()
        assert time.monotonic() - began < STOP_MAX_S


def test_the_file_outlives_many_runs(tmp_path: Path, serve: Serve) -> None:
    for number in range(5):
        server = serve(tmp_path / "run.ledger")
        assert one_shot(server.address, Command.CONNECT, f"{number}", f"{number + 1}") == COMPLETE
        RawSession(server.address).connect("X", "Y")
        server.stop()
    with Ledger.open(tmp_path / "run.ledger", "r") as ledger:
        assert [type(event) for event in ledger.entries() if isinstance(event, ev.ServerStopped)] == [
            ev.ServerStopped
        ] * 5
    server = serve(tmp_path / "run.ledger")
    assert len(RawSession(server.address).snapshot().edge_owners) == 5


def test_a_recorder_that_is_told_twice_to_end_seals_its_ledger(recorder: Recorder, tmp_path: Path) -> None:
    """Whoever started it lets go, and while it waits for its clients the machine shuts down."""
    session = RawSession(recorder.address)
    assert recorder.process.stdin is not None
    recorder.process.stdin.close()
    time.sleep(0.2)  # nothing tells from outside that it waits
    recorder.process.terminate()
    assert session.connect("A", "B") == COMPLETE
    session.end()
    assert recorder.process.wait(ANSWER_S) == 0
    assert recorder.process.stdout is not None
    recorder.process.stdout.close()
    with Ledger.open(tmp_path / "run.ledger", "r") as ledger:
        assert ledger.verify().sealed
