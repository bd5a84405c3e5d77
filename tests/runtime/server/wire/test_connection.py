"""One connection: whole writes, the bound on what a client leaves unread, and an end that loses no last byte."""

import threading
import time
from contextlib import suppress

import pytest
from ezmsg.core.graphmeta import ProcessRegistration
from ezmsg.core.netprotocol import Command

from ezmsg.ledger import events as ev
from ezmsg.ledger.runtime.server.server import GraphServer
from ezmsg.ledger.runtime.server.wire import connection as connection_module
from tests.runtime.server.conftest import all_of, recorded
from tests.runtime.server.examined import in_loop
from tests.runtime.server.raw import COMPLETE, Raw, RawProcess, RawSession, pickled, text


def test_writes_from_several_tasks_never_mix(server: GraphServer) -> None:
    """Acknowledgements and requests share the stream of a process."""
    process = RawProcess(server.address)
    process.register("U")
    sessions = [RawSession(server.address) for _ in range(8)]
    registration = Command.PROCESS_REGISTER.value + pickled(ProcessRegistration(1, "host", ["U"]))

    def register() -> None:
        for _ in range(40):
            process.send(registration * 5)

    thread = threading.Thread(target=register)
    thread.start()
    for number in range(10):
        for session in sessions:
            session.send_request("U", "ECHO", 60.0, bytes([number]) * 20_000)
        requests = 0
        while requests < len(sessions):
            byte = process.byte()
            if byte == Command.PROCESS_ROUTE_REQUEST.value:
                request = process.pickle()
                assert request.payload == bytes([number]) * 20_000
                requests += 1
                process.answer(request.request_id)
            else:
                assert byte == COMPLETE
        for session in sessions:
            assert session.response().ok
    thread.join()


def test_a_client_that_does_not_read_its_answers_is_held_back_alone(server: GraphServer) -> None:
    """Its commands are not read any more while its answers wait: what it costs is bounded."""
    greedy = RawSession(server.address)
    bystander = RawSession(server.address)
    for number in range(200):
        bystander.connect("A", "x" * 200 + f"{number}")
    greedy.socket.settimeout(0.2)
    with suppress(TimeoutError):
        while True:
            greedy.send(Command.SESSION_SNAPSHOT.value * 1000)
    assert bystander.connect("B", "C") == COMPLETE
    greedy.socket.settimeout(5.0)
    assert len(greedy.reply().edge_owners) == 200


def test_a_client_is_cut_off_beyond_the_bound(server: GraphServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only others can write so much to it: a process gets the requests of many."""
    process = RawProcess(server.address)
    process.register("U")
    monkeypatch.setattr(connection_module, "PENDING_MAX", 2**20)
    session = RawSession(server.address)
    for _ in range(20):
        session.request("U", "SLOW", 0.001, b"x" * 2**20)
    closed = recorded(server, ev.ProcessClosed)
    assert (closed.reason, closed.detail) == ("lost", f"more than {2**20} bytes were left unread")
    with pytest.raises(EOFError):
        process.read(64 * 2**20)


def test_the_last_bytes_arrive_before_the_end(server: GraphServer) -> None:
    session = RawSession(server.address)
    for start in range(0, 1500, 100):
        session.send(
            *(Command.SESSION_CONNECT.value + text("A") + text(f"{n}" * 40) for n in range(start, start + 100))
        )
        session.read(100)
    raw = Raw(server.address, Command.DAG)
    assert raw.byte() == Command.DAG.value
    assert len(raw.reply().edge_owners) == 1500
    raw.expect_eof()


def test_the_peer_is_named_as_the_client_sees_itself(server: GraphServer) -> None:
    session = RawSession(server.address)
    assert recorded(server, ev.SessionOpened).peer == session.peer


def test_many_clients_come_and_go_and_nothing_is_left_of_them(server: GraphServer) -> None:
    for _ in range(5):
        raws = [Raw(server.address) for _ in range(20)]
        raws += [RawSession(server.address) for _ in range(20)]
        for number, raw in enumerate(raws):
            raw.reset() if number % 2 else raw.end()
    for opened in all_of(server, ev.SessionOpened):
        recorded(server, ev.SessionClosed, session=opened.seq)
    assert server.clients == 0
    deadline = time.monotonic() + 5.0
    while in_loop(server, lambda: len(server._tasks)):
        assert time.monotonic() < deadline, "the server still holds on to connections that are gone"
