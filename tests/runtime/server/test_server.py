"""The server as its owner sees it: handshake, start, stop, address, which ledger; and what it does at wrong openers."""

import asyncio
import logging
import os
import socket
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from ezmsg.core import __version__ as ezmsg_version
from ezmsg.core.graphserver import GraphService
from ezmsg.core.netprotocol import Address, Command, create_socket

from ezmsg.ledger import events as ev
from ezmsg.ledger.errors import LedgerClosed, LedgerLocked, NotALedger
from ezmsg.ledger.log import LEDGER_ENV, Ledger
from ezmsg.ledger.runtime.server import server as server_module
from ezmsg.ledger.runtime.server.server import GraphServer

from .conftest import Serve, all_of, recorded
from .examined import STOP_MAX_S, Examined, in_loop
from .raw import COMPLETE, Raw, RawProcess, RawPublisher, RawSession, RawSubscriber, text, u64

OPENERS = (
    *("PUBLISH", "SUBSCRIBE", "CONNECT", "DISCONNECT", "PAUSE", "SYNC", "RESUME", "DAG", "SHM_CREATE", "SHM_ATTACH"),
    *("SHUTDOWN", "CHANNEL", "SESSION", "PROCESS"),
    *("SESSION_SETTINGS_SUBSCRIBE", "SESSION_TOPOLOGY_SUBSCRIBE", "SESSION_PROFILING_SUBSCRIBE"),
)
PRIVATE = 0xF0


# --- the handshake and the opener ------------------------------------------------------------------------------------


def test_the_server_speaks_first_and_gives_the_installed_ezmsgs_version(server: GraphServer) -> None:
    with socket.create_connection(server.address, timeout=5.0) as client:
        expected = u64(len(ezmsg_version)) + ezmsg_version.encode()
        assert client.recv(len(expected), socket.MSG_WAITALL) == expected
    assert Raw(server.address).version == ezmsg_version


def test_the_end_in_place_of_an_opener_is_silent(server: GraphServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.clear()
    Raw(server.address).end()
    with socket.create_connection(server.address) as early:  # not even the version is read
        early.shutdown(socket.SHUT_WR)
        while early.recv(64):
            pass
    Raw(server.address).reset()
    asyncio.run(GraphService(server.address).ensure(auto_start=False))
    Raw(server.address).end()
    assert [type(event) for event in all_of(server, ev.Event)] == [ev.ClockRead, ev.ServerStarted]
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_unknown_openers_end_the_connection_and_are_recorded(server: GraphServer) -> None:
    legal = {Command[name].value[0] for name in OPENERS}
    wrong = [byte for byte in range(256) if byte not in legal and byte != PRIVATE]
    for byte in wrong:
        Raw(server.address, bytes([byte]), b"\x00" * 64).expect_eof()
    names = {command.value: command.name for command in Command}
    names = {byte: name for byte, name in names.items() if not name.startswith(("TX_", "RX_"))}
    refused = [event.command for event in all_of(server, ev.CommandRejected)]
    assert refused[0] == "COMPLETE"
    assert "SESSION_CONNECT" in refused
    assert len(refused) == len(set(refused)) == len(wrong)
    for event in all_of(server, ev.CommandRejected):
        assert (event.actor, event.reason) == (None, "unknown_command")
        assert event.peer is not None
        assert event.peer.startswith("127.0.0.1:")


def test_a_client_that_never_says_what_it_is_is_cut_off(
    server: GraphServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "OPENER_TIMEOUT_S", 0.05)
    Raw(server.address).expect_eof()
    event = recorded(server, ev.CommandRejected)
    assert (event.command, event.reason) == ("opener", "malformed")


@pytest.mark.parametrize(
    "half",
    [
        pytest.param(Command.CONNECT.value + text("A"), id="CONNECT"),
        pytest.param(Command.DISCONNECT.value + text("A") + b"\x03", id="DISCONNECT"),
        pytest.param(Command.SUBSCRIBE.value + u64(5) + b"AB", id="SUBSCRIBE"),
        pytest.param(Command.PUBLISH.value, id="PUBLISH"),
        pytest.param(Command.CHANNEL.value + u64(36), id="CHANNEL"),
        pytest.param(Command.SHM_CREATE.value + u64(3) + b"1234567", id="SHM_CREATE"),
        pytest.param(Command.SHM_ATTACH.value + u64(3), id="SHM_ATTACH"),
        pytest.param(Command.SESSION_TOPOLOGY_SUBSCRIBE.value + b"\x01", id="SESSION_TOPOLOGY_SUBSCRIBE"),
        pytest.param(Command.SESSION_SETTINGS_SUBSCRIBE.value + u64(1), id="SESSION_SETTINGS_SUBSCRIBE"),
        pytest.param(Command.SESSION_PROFILING_SUBSCRIBE.value + u64(9) + b"x", id="SESSION_PROFILING_SUBSCRIBE"),
    ],
)
def test_half_an_opener_and_then_the_end(server: GraphServer, half: bytes) -> None:
    raw = Raw(server.address, half)
    raw.socket.shutdown(socket.SHUT_WR)
    raw.expect_eof()
    event = recorded(server, ev.CommandRejected)
    assert (event.reason, event.command, event.peer) == ("malformed", Command(half[:1]).name, raw.peer)
    assert RawSession(server.address).snapshot().graph == {}


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param(Command.CONNECT.value + u64(2**64 - 1), id="CONNECT-length"),
        pytest.param(Command.CONNECT.value + u64(2) + b"\xff\xfe" + text("B"), id="CONNECT-utf8"),
        pytest.param(Command.SUBSCRIBE.value + u64(1) + b"\x80", id="SUBSCRIBE-utf8"),
        pytest.param(Command.SUBSCRIBE.value + u64(2**40), id="SUBSCRIBE-length"),
        pytest.param(Command.CHANNEL.value + text("not-a-uuid"), id="CHANNEL-uuid"),
        pytest.param(Command.SHM_ATTACH.value + u64(2**63), id="SHM_ATTACH-length"),
        pytest.param(Command.SESSION_TOPOLOGY_SUBSCRIBE.value + text("soon"), id="TOPOLOGY-after"),
        pytest.param(Command.SESSION_SETTINGS_SUBSCRIBE.value + text("1.5"), id="SETTINGS-after"),
        pytest.param(Command.SESSION_SETTINGS_SUBSCRIBE.value + text(""), id="SETTINGS-empty"),
        pytest.param(Command.SESSION_PROFILING_SUBSCRIBE.value + u64(3) + b"abc", id="PROFILING-pickle"),
        pytest.param(Command.SESSION_PROFILING_SUBSCRIBE.value + u64(4) + b"\x80\x04N.", id="PROFILING-type"),
    ],
)
def test_wrong_arguments_of_an_opener(server: GraphServer, wrong: bytes) -> None:
    """There is no error answer here that a client could tell from another one: it meets the end of the stream."""
    raw = Raw(server.address, wrong)
    raw.expect_eof()
    event = recorded(server, ev.CommandRejected)
    assert (event.reason, event.command, event.peer) == ("malformed", Command(wrong[:1]).name, raw.peer)
    assert RawSession(server.address).connect("A", "B") == COMPLETE


def test_a_client_that_withholds_its_arguments_delays_nobody(
    server: GraphServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = [Raw(server.address, Command.CONNECT, text("A")), Raw(server.address, Command.SUBSCRIBE, u64(3))]
    waiting.append(RawPublisher(server.address, "A", port=None))
    session = RawSession(server.address)
    assert session.connect("A", "B") == COMPLETE
    assert RawSubscriber(server.address, "B").first == []
    assert Raw(server.address, Command.CONNECT, text("B"), text("C")).byte() == COMPLETE
    waiting[0].send(text("Z"))
    assert waiting[0].byte() == COMPLETE
    assert ("A", "Z") in session.snapshot().edge_owners


# --- start -----------------------------------------------------------------------------------------------------------


def test_the_address_is_known_once_it_is_started(serve: Serve) -> None:
    with pytest.raises(AssertionError):
        _ = GraphServer().address
    server = serve()
    assert isinstance(server.address, Address)
    assert server.address.host == "127.0.0.1"
    assert server.address.port > 0
    assert server.clients == 0


def test_it_is_a_daemon_thread_with_the_name_it_was_given(serve: Serve) -> None:
    server = serve(name="somebody")
    assert isinstance(server, threading.Thread)
    assert (server.daemon, server.name) == (True, "somebody")
    event = recorded(server, ev.ServerStarted)
    assert (event.name, event.kind, event.pid) == ("somebody", "server", os.getpid())
    assert event.address == str(server.address)
    assert event.versions["ezmsg"] == ezmsg_version


def test_without_an_address_it_takes_the_first_free_port_of_the_range(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setenv("EZMSG_SERVER_PORT_START", str(port))
        server = GraphServer()
        server.start()
        assert server.address.host == "127.0.0.1"
        assert server.address.port > port


def test_a_port_in_use_raises_and_leaves_nothing_behind(tmp_path: Path, serve: Serve) -> None:
    location = tmp_path / "run.ledger"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        server = GraphServer(location)
        with pytest.raises(OSError, match="in use"):
            server.start(taken.getsockname())
    assert not server.is_alive()
    with pytest.raises(AssertionError):
        _ = server.address
    assert list(tmp_path.iterdir()) == []
    server.stop()
    serve(location)


def test_a_port_that_somebody_listens_on_between_our_bind_and_our_listen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two sockets may be bound to it as long as none listens: the system says so only then."""
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", 0))

        def bind_too_early(host: str, port: int) -> socket.socket:
            bound = create_socket(host, port)
            taken.listen()
            return bound

        monkeypatch.setattr(server_module, "create_socket", bind_too_early)
        with pytest.raises(OSError, match="in use"):
            GraphServer(tmp_path / "run.ledger").start(taken.getsockname())
    assert list(tmp_path.iterdir()) == []


def test_a_fault_in_the_thread_that_starts_raises_in_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise OSError(24, "Too many open files")

    location = tmp_path / "run.ledger"
    with monkeypatch.context() as patched:
        patched.setattr(server_module, "Listener", fail)
        server = GraphServer(location)
        with pytest.raises(OSError, match="Too many"):
            server.start(("127.0.0.1", 0))
    assert not server.is_alive()
    with Ledger.open(location) as unlocked:
        assert unlocked.verify().sound


def test_a_ledger_that_cannot_be_opened_raises_and_frees_the_port(tmp_path: Path) -> None:
    location = tmp_path / "no.ledger"
    location.write_text("this is no ledger\n")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        address = probe.getsockname()
    server = GraphServer(location)
    with pytest.raises(NotALedger):
        server.start(address)
    socket.create_server(address).close()
    assert location.read_text() == "this is no ledger\n"


def test_starting_twice_is_refused_and_does_the_first_start_no_harm(server: GraphServer) -> None:
    address = server.address
    with pytest.raises(RuntimeError, match="only once"):
        server.start(("127.0.0.1", 0))
    assert server.address == address
    assert RawSession(address).connect("A", "B") == COMPLETE


# --- stop ------------------------------------------------------------------------------------------------------------


def test_stop_ends_the_run_and_may_be_called_again(server: GraphServer) -> None:
    session = RawSession(server.address)
    session.connect("A", "B")
    server.stop()
    server.stop()
    server.join(0)
    session.expect_eof()
    assert not server.is_alive()
    with pytest.raises(ConnectionRefusedError):
        Raw(server.address)
    assert server.ledger is not None
    with Ledger.open(server.ledger.location, "r") as ledger:
        *_, closed, stopped = ledger.entries()
    assert isinstance(closed, ev.SessionClosed)
    assert closed.reason == "server_stopped"
    assert isinstance(stopped, ev.ServerStopped)
    assert (stopped.reason, stopped.by) == ("stopped", None)


def test_stop_before_start_is_remembered(tmp_path: Path) -> None:
    server = GraphServer(tmp_path / "run.ledger")
    server.stop()
    server.start(("127.0.0.1", 0))
    server.join(5.0)
    assert not server.is_alive()


def test_shutdown_from_this_machine_is_obeyed_and_releases_join(server: GraphServer) -> None:
    raw = Raw(server.address, Command.SHUTDOWN)
    server.join(5.0)
    assert not server.is_alive()
    raw.expect_eof()
    assert server.ledger is not None
    with Ledger.open(server.ledger.location, "r") as ledger:
        *_, stopped = ledger.entries()
    assert isinstance(stopped, ev.ServerStopped)
    assert (stopped.reason, stopped.by) == ("shutdown", raw.peer)


def test_ezmsgs_own_shutdown(server: GraphServer) -> None:
    asyncio.run(GraphService(server.address).shutdown())
    server.join(5.0)
    assert not server.is_alive()


def test_stop_and_shutdown_at_the_same_time(serve: Serve) -> None:
    for _ in range(20):
        server = serve(Ledger.memory())
        Raw(server.address, Command.SHUTDOWN)
        server.stop()
        assert not server.is_alive()


def test_stop_does_not_wait_for_anybody(server: GraphServer) -> None:
    """For one that never said what it is, one that does not read, and a session with subscribers that never answer."""
    clients: list[Raw] = [Raw(server.address)]
    session = RawSession(server.address)
    for number in range(300):
        session.connect(f"{number}", "B" * 2000)
    clients.append(Raw(server.address, Command.SESSION_TOPOLOGY_SUBSCRIBE, text("0")))
    clients.append(RawSubscriber(server.address, "B" * 2000, acknowledge=False))
    clients.append(RawProcess(server.address))
    clients.append(RawPublisher(server.address, "A", port=None))
    clients.append(Raw(server.address, Command.CONNECT))
    flood = Raw(server.address, Command.SESSION)
    flood.socket.settimeout(0.2)
    try:
        while True:
            flood.send(Command.SESSION_SNAPSHOT.value * 100)
    except TimeoutError:  # it has stopped to read us, for we do not read its answers
        pass
    began = time.monotonic()
    server.stop()
    assert time.monotonic() - began < STOP_MAX_S
    assert not server.is_alive()


def test_stop_is_immediate_when_all_read(server: GraphServer) -> None:
    session = RawSession(server.address)
    session.connect("A", "B")
    for _ in range(3):
        RawSubscriber(server.address, "B")
    began = time.monotonic()
    server.stop()
    assert time.monotonic() - began < 0.9, "it waited for answers that nobody reads any more"


def test_memory_has_no_file_and_nothing_to_leave(serve: Serve) -> None:
    server = serve(Ledger.memory())
    RawSession(server.address).connect("A", "B")
    assert in_loop(server, lambda: len(list(server.ledger.entries()))) == 4  # type: ignore[union-attr]


# --- which ledger ----------------------------------------------------------------------------------------------------


def test_without_a_ledger_it_records_to_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(LEDGER_ENV, raising=False)
    server = GraphServer()
    server.start(("127.0.0.1", 0))
    assert server.ledger is not None
    assert server.ledger.location == "memory"


def test_the_variable_names_the_ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(LEDGER_ENV, str(tmp_path / "named.ledger"))
    server = GraphServer()
    server.start(("127.0.0.1", 0))
    assert server.ledger is not None
    assert server.ledger.location == str(tmp_path / "named.ledger")


def test_a_locked_ledger_of_the_variable_gets_numbered_siblings_and_a_loud_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(LEDGER_ENV, str(tmp_path / "named.ledger"))
    servers = [GraphServer() for _ in range(3)]
    for server in servers:
        server.start(("127.0.0.1", 0))
    names = [Path(server.ledger.location).name for server in servers if server.ledger is not None]
    assert names == ["named.ledger", "named-2.ledger", "named-3.ledger"]
    loud = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(loud) == 2
    assert "named-2.ledger" in loud[0]
    servers[1].stop()
    again = GraphServer()
    again.start(("127.0.0.1", 0))
    assert again.ledger is not None
    assert Path(again.ledger.location).name == "named-2.ledger"


def test_a_locked_ledger_that_was_asked_for_is_an_error(tmp_path: Path, serve: Serve) -> None:
    first = serve(tmp_path / "run.ledger")
    second = GraphServer(tmp_path / "run.ledger")
    with pytest.raises(LedgerLocked) as caught:
        second.start(("127.0.0.1", 0))
    assert str(os.getpid()) in str(caught.value)
    assert RawSession(first.address).connect("A", "B") == COMPLETE
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run.ledger", "run.ledger.lock"]


@pytest.mark.parametrize("durability", ["interval", "commit"])
def test_a_given_ledger_stays_open_and_may_be_given_again(tmp_path: Path, serve: Serve, durability: Any) -> None:
    with Ledger.open(tmp_path / "run.ledger", durability=durability) as ledger:
        for number in range(3):
            server = serve(ledger)
            assert RawSession(server.address).connect("A", f"{number}") == COMPLETE
            server.stop()
            assert ledger.append([ev.Mark(name="between")])[0].seq == ledger.head
        assert len([event for event in ledger.entries() if isinstance(event, ev.ServerStopped)]) == 3


def test_a_ledger_of_its_own_is_closed_with_it(server: GraphServer) -> None:
    server.stop()
    assert server.ledger is not None
    with pytest.raises(LedgerClosed):
        server.ledger.append([ev.Mark(name="late")])


def test_a_connection_that_meets_a_fault_of_ours_is_closed_and_the_others_go_on(
    server: GraphServer, examined: Examined, monkeypatch: pytest.MonkeyPatch
) -> None:
    examined.faults.expected.append("met a fault of the server")
    bystander = RawSession(server.address)
    session = RawSession(server.address)

    def fail(*arguments: object) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as patched:
        patched.setattr(server.live, "connect", fail)
        session.send(Command.SESSION_CONNECT, text("A"), text("B"))
        session.expect_eof()
    assert bystander.connect("A", "B") == COMPLETE
    assert list(bystander.snapshot().sessions) == [bystander.uuid]


def test_a_process_that_meets_a_fault_of_ours_is_recorded_so(
    server: GraphServer, examined: Examined, monkeypatch: pytest.MonkeyPatch
) -> None:
    examined.faults.expected.append("met a fault of the server")

    def fail(*arguments: object) -> None:
        raise ZeroDivisionError

    process = RawProcess(server.address)
    with monkeypatch.context() as patched:
        patched.setattr(server.live, "change_units", fail)
        with pytest.raises(EOFError):
            process.own(["SYS/U"])
    closed = recorded(server, ev.ProcessClosed)
    assert (closed.reason, closed.detail) == ("error", "a fault of the server")
