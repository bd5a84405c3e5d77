"""What the connections share: replies that wait for the disk, streams that are woken, refusals that are recorded."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from ezmsg.core.netprotocol import Command

from ezmsg.ledger import events as ev
from ezmsg.ledger.log import Ledger
from ezmsg.ledger.runtime.server.hub import Hub
from ezmsg.ledger.runtime.server.server import GraphServer
from ezmsg.ledger.storage.disk import Disk
from ezmsg.ledger.values import DEPTH_MAX

from .conftest import Serve, all_of, recorded
from .examined import in_loop
from .raw import COMPLETE, CYCLIC, ERROR, Raw, RawProcess, RawPublisher, RawSession, RawSubscriber, metadata, text, u64


class GatedDisk(Disk):
    """A real disk whose syncs wait at a gate."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()

    def sync(self, handle: int) -> None:
        assert self.gate.wait(10.0), "the gate was never opened"
        super().sync(handle)


@pytest.fixture
def disk() -> Iterator[GatedDisk]:
    disk = GatedDisk()
    yield disk
    disk.gate.set()


@pytest.fixture
def committed(tmp_path: Path, serve: Serve, disk: GatedDisk) -> Iterator[GraphServer]:
    """A server at level commit on the gated disk."""
    with Ledger.open(tmp_path / "run.ledger", durability="commit", disk=disk) as ledger:
        server = serve(ledger)
        yield server
        disk.gate.set()
        server.stop()


def is_durable(server: GraphServer) -> bool:
    assert server.ledger is not None
    return server.ledger.durable_seq == server.ledger.head


# --- durability ------------------------------------------------------------------------------------------------------


def test_each_reply_that_acknowledges_or_shows_state_comes_when_that_is_on_the_disk(committed: GraphServer) -> None:
    """One client at a time, so at the moment of a reply all that was decided is what it speaks of."""
    address = committed.address
    session = RawSession(address)
    assert is_durable(committed)
    answers: list[tuple[bytes, bytes]] = [
        (session.connect("A", "B"), COMPLETE),
        (session.connect("B", "A"), CYCLIC),
        (session.connect("B", "C"), COMPLETE),
        (session.disconnect("B", "C"), COMPLETE),
        (session.register(metadata("SYS/U")), COMPLETE),
        (session.register("bad"), ERROR),
        (session.clear(), COMPLETE),
    ]
    for answer, expected in answers:
        assert answer == expected
    for step in (
        lambda: session.connect("A", "B"),
        lambda: session.connect("B", "A"),
        lambda: session.disconnect("A", "B"),
        lambda: session.register(metadata("SYS/U")),
        lambda: session.clear(),
        lambda: session.snapshot(),
        lambda: session.settings_events(),
        lambda: Raw(address, Command.CONNECT, text("X"), text("Y")).byte(),
        lambda: Raw(address, Command.DISCONNECT, text("X"), text("Y")).byte(),
        lambda: Raw(address, Command.SYNC).byte(),
        lambda: RawSubscriber(address, "A", acknowledge=False),
        lambda: RawPublisher(address, "Z"),
        lambda: RawProcess(address).register("U"),
    ):
        step()
        assert is_durable(committed)


STEPS = {
    "session": lambda address: Raw(address, Command.SESSION),
    "process": lambda address: Raw(address, Command.PROCESS),
    "connect": lambda address: Raw(address, Command.CONNECT, text("X"), text("Y")),
    "disconnect": lambda address: Raw(address, Command.DISCONNECT, text("A"), text("B")),
    "cycle": lambda address: Raw(address, Command.CONNECT, text("B"), text("A")),
    "subscribe": lambda address: Raw(address, Command.SUBSCRIBE, text("A")),
}


@pytest.mark.parametrize("name", STEPS)
def test_nothing_is_said_while_the_disk_has_not_answered(
    committed: GraphServer, disk: GatedDisk, name: str
) -> None:
    assert Raw(committed.address, Command.CONNECT, text("A"), text("B")).byte() == COMPLETE
    disk.gate.clear()
    raw = STEPS[name](committed.address)
    assert raw.is_silent()
    disk.gate.set()
    raw.byte()


def test_commands_of_a_session_wait_too_and_what_others_see(committed: GraphServer, disk: GatedDisk) -> None:
    session, other = RawSession(committed.address), RawSession(committed.address)
    stream = Raw(committed.address, Command.SESSION_TOPOLOGY_SUBSCRIBE, text("0"))
    stream.text()
    assert stream.byte() == COMPLETE
    disk.gate.clear()
    session.send(Command.SESSION_CONNECT, text("A"), text("B"))
    recorded(committed, ev.EdgeConnected)
    other.send(Command.SESSION_SNAPSHOT)
    dag = Raw(committed.address, Command.DAG)
    for raw in (session, other, stream, dag):
        assert raw.is_silent(0.02), "what is shown may not be taken back"
    disk.gate.set()
    assert session.byte() == COMPLETE
    assert len(other.reply().edge_owners) == 1
    assert stream.pickle().changed_topics == ["B"]
    assert dag.byte() == Command.DAG.value


def test_a_subscriber_reads_its_name_first_even_when_the_disk_is_slow(
    committed: GraphServer, disk: GatedDisk
) -> None:
    """While its opening is on its way to the disk, an update must not come in the place of its UUID."""
    session = RawSession(committed.address)
    session.connect("A", "B")
    disk.gate.clear()
    raw = Raw(committed.address, Command.SUBSCRIBE, text("B"))
    recorded(committed, ev.SubscriberOpened)
    session.close()
    recorded(committed, ev.SessionClosed)
    assert raw.is_silent()
    disk.gate.set()
    assert str(UUID(raw.text()))
    assert raw.read(9) == Command.UPDATE.value + u64(0)
    raw.send(COMPLETE)
    assert raw.byte() == COMPLETE


def test_leases_and_what_is_not_recorded_wait_for_nothing(committed: GraphServer, disk: GatedDisk) -> None:
    session = RawSession(committed.address)
    disk.gate.clear()
    session.send(Command.SESSION_CONNECT, text("A"), text("B"))
    recorded(committed, ev.EdgeConnected)
    lease = Raw(committed.address, Command.SHM_CREATE, u64(1), u64(100))
    assert lease.byte() == COMPLETE
    disk.gate.set()


def test_at_the_weaker_level_a_reply_waits_for_no_disk(tmp_path: Path, serve: Serve, disk: GatedDisk) -> None:
    with Ledger.open(tmp_path / "run.ledger", durability="interval", disk=disk) as ledger:
        server = serve(ledger)
        disk.gate.clear()
        assert RawSession(server.address).connect("A", "B") == COMPLETE
        assert not is_durable(server)
        with Ledger.open(ledger.location, "r") as reader:
            assert any(isinstance(event, ev.EdgeConnected) for event in reader.entries()), "the system has it"
        disk.gate.set()
        server.stop()


def test_many_clients_share_a_sync(committed: GraphServer, disk: GatedDisk) -> None:
    sessions = [RawSession(committed.address) for _ in range(30)]
    syncs = 0
    sync = disk.sync

    def counted(handle: int) -> None:
        nonlocal syncs
        syncs += 1
        sync(handle)

    disk.gate.clear()
    disk.sync = counted  # type: ignore[method-assign]
    for number, session in enumerate(sessions):
        session.send(Command.SESSION_CONNECT, text("A"), text(f"{number}"))
        recorded(committed, ev.EdgeConnected, to_topic=f"{number}")
    disk.gate.set()
    assert [session.byte() for session in sessions] == [COMPLETE] * 30
    assert syncs <= 3


# --- refusals --------------------------------------------------------------------------------------------------------


def test_a_refusal_whose_arguments_cannot_be_written_is_recorded_without_them(
    server: GraphServer, caplog: pytest.LogCaptureFixture
) -> None:
    assert server.live is not None
    live = server.live

    def refuse() -> None:
        hub: Any = Hub.__new__(Hub)
        hub.live, hub.refused = live, 0
        hub.reject(None, "127.0.0.1:1", Command.CONNECT.value, "malformed", "\ud800" * 3)
        hub.reject(None, "127.0.0.1:1", Command.CONNECT.value, "refused", _deep())

    in_loop(server, refuse)
    assert [event.reason for event in all_of(server, ev.CommandRejected)] == ["malformed", "refused"]
    assert all_of(server, ev.CommandRejected)[1].arguments is None
    assert all(message.isascii() and len(message) < 400 for message in caplog.messages)


def _deep() -> list[Any]:
    value: list[Any] = []
    for _ in range(DEPTH_MAX + 10):
        value = [value]
    return value


def test_a_client_that_repeats_itself_does_not_fill_the_ledger(server: GraphServer) -> None:
    session = RawSession(server.address)
    session.connect("A", "B")
    for start in range(0, 2000, 100):
        session.send((Command.SESSION_CONNECT.value + text("B") + text("A")) * 100)
        assert session.read(100) == CYCLIC * 100, start
    session.end()
    recorded(server, ev.SessionClosed)
    refused = all_of(server, ev.CommandRejected)
    assert len(refused) < 100
    assert sum(event.repeated for event in refused) == 2000
