"""Session connections: each command and its answer, what is refused and survives, and what an end leaves behind."""

import asyncio
import os
import pickle
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from ezmsg.core.dag import CyclicException
from ezmsg.core.graphcontext import GraphContext
from ezmsg.core.graphmeta import (
    Edge,
    GraphMetadata,
    ProcessControlErrorCode,
    SettingsEventType,
    SettingsSnapshotValue,
    SnapshotSession,
)
from ezmsg.core.netprotocol import Command

from ezmsg.ledger import events as ev
from ezmsg.ledger.runtime.server import publisher_notices
from ezmsg.ledger.runtime.server.server import GraphServer
from ezmsg.ledger.runtime.server.wire import connection as connection_module
from ezmsg.ledger.runtime.server.wire.protocol import METADATA_MAX, PAYLOAD_MAX, TEXT_MAX
from ezmsg.ledger.runtime.server.wire.reader import SKIP_MAX, Reader
from tests.runtime.server.conftest import all_of, recorded
from tests.runtime.server.examined import ANSWER_S
from tests.runtime.server.raw import (
    COMPLETE,
    CYCLIC,
    ERROR,
    Raw,
    RawProcess,
    RawSession,
    RawSubscriber,
    blob,
    component,
    metadata,
    pickled,
    text,
    u64,
)

CLEANED_UP_S = 0.05
"""How soon ezmsg's own tests expect a closed session to be gone from the snapshot of another."""


@pytest.fixture
def session(server: GraphServer) -> RawSession:
    return RawSession(server.address)


@pytest.fixture
def other(server: GraphServer) -> RawSession:
    return RawSession(server.address)


@contextmanager
def held(server: GraphServer) -> Iterator[None]:
    """The server does nothing while the block runs, so all that is sent in it is there at the same moment."""
    assert server._loop is not None
    go_on = threading.Event()
    server._loop.call_soon_threadsafe(go_on.wait, ANSWER_S)
    try:
        yield
    finally:
        go_on.set()


def edges(snapshot_by: RawSession) -> dict[Edge, list[str]]:
    return snapshot_by.snapshot().edge_owners


# --- the commands ----------------------------------------------------------------------------------------------------


def test_a_session_is_named_and_listed(server: GraphServer, session: RawSession, other: RawSession) -> None:
    assert str(UUID(session.uuid)) == session.uuid
    snapshot = session.snapshot()
    assert list(snapshot.sessions) == sorted([session.uuid, other.uuid])
    assert snapshot.sessions[other.uuid] == SnapshotSession(edges=[], metadata=None)
    assert (snapshot.graph, snapshot.edge_owners, snapshot.processes) == ({}, {}, {})
    assert [event.peer for event in all_of(server, ev.SessionOpened)] == [session.peer, other.peer]
    assert server.clients == 2


def test_connect(session: RawSession, other: RawSession) -> None:
    assert session.connect("B", "C") == COMPLETE
    assert session.connect("A", "B") == COMPLETE
    assert session.connect("A", "B") == COMPLETE
    assert other.connect("A", "B") == COMPLETE
    assert session.connect("C", "A") == CYCLIC
    assert session.connect("A", "A") == CYCLIC
    assert other.connect("C", "A") == CYCLIC
    snapshot = other.snapshot()
    assert list(snapshot.graph.items()) == [("B", ["C"]), ("C", []), ("A", ["B"])]
    assert list(snapshot.edge_owners.items()) == [
        (Edge("A", "B"), sorted([session.uuid, other.uuid])),
        (Edge("B", "C"), [session.uuid]),
    ]
    assert snapshot.sessions[session.uuid].edges == [Edge("A", "B"), Edge("B", "C")]
    assert all(type(edge) is Edge for edge in snapshot.edge_owners)


def test_disconnect_takes_this_sessions_ownership_alone(
    server: GraphServer, session: RawSession, other: RawSession
) -> None:
    session.connect("A", "B")
    Raw(server.address, Command.CONNECT, text("B"), text("C")).byte()
    assert other.disconnect("A", "B") == COMPLETE
    assert other.disconnect("B", "C") == COMPLETE
    assert other.disconnect("X", "Y") == COMPLETE
    assert edges(other) == {("A", "B"): [session.uuid], ("B", "C"): ["persistent"]}
    assert session.disconnect("A", "B") == COMPLETE
    assert edges(other) == {("B", "C"): ["persistent"]}


def test_clear_releases_all_at_once(server: GraphServer, session: RawSession, other: RawSession) -> None:
    assert session.clear() == COMPLETE
    assert all_of(server, ev.SessionCleared) == []
    session.connect("A", "B")
    session.connect("B", "C")
    other.connect("B", "C")
    session.register(metadata("SYS/U"))
    assert session.clear() == COMPLETE
    snapshot = other.snapshot()
    assert snapshot.edge_owners == {("B", "C"): [other.uuid]}
    assert snapshot.sessions[session.uuid] == SnapshotSession(edges=[], metadata=None)
    assert other.settings() == {}
    assert session.connect("A", "B") == COMPLETE


def test_what_another_session_asks_after_an_answer_shows_it(session: RawSession, other: RawSession) -> None:
    for number in range(50):
        session.connect("A", f"{number}")
        assert Edge("A", f"{number}") in edges(other)


def test_register_and_what_it_shows(session: RawSession, other: RawSession) -> None:
    registered = metadata("SYS/U", "SYS/V", V="text")
    assert session.register(registered) == COMPLETE
    assert other.snapshot().sessions[session.uuid].metadata == registered
    assert type(other.snapshot().sessions[session.uuid].metadata) is GraphMetadata
    settings = other.settings()
    assert list(settings) == ["SYS/U", "SYS/V"]
    assert settings["SYS/U"] == SettingsSnapshotValue(None, {"gain": 1.0}, {"gain": 1.0}, None)
    assert settings["SYS/V"] == SettingsSnapshotValue(None, "text", None, None)
    again = metadata("SYS/V")
    assert session.register(again) == COMPLETE
    assert other.snapshot().sessions[session.uuid].metadata == again
    assert list(other.settings()) == ["SYS/V"]


def test_a_collision_changes_nothing_and_shows_the_winner(
    server: GraphServer, session: RawSession, other: RawSession
) -> None:
    session.register(metadata("SYS/U", "SYS/V"))
    before = metadata("SYS/W")
    other.register(before)
    assert other.register(metadata("SYS/V", "SYS/X")) == ERROR
    snapshot = other.snapshot()
    assert snapshot.sessions[other.uuid].metadata == before
    assert snapshot.sessions[session.uuid].metadata is not None
    assert list(other.settings()) == ["SYS/U", "SYS/V", "SYS/W"]
    event = recorded(server, ev.CommandRejected)
    holders = event.cause.pop("holders")
    assert (event.reason, event.cause) == ("collision", {"addresses": ["SYS/V"], "sessions": [session.uuid]})
    assert [(holder["uuid"], holder["label"]) for holder in holders] == [(session.uuid, "SYS")]
    session.clear()
    assert other.register(metadata("SYS/V", "SYS/X")) == COMPLETE


def test_collisions_look_at_the_keys(session: RawSession, other: RawSession) -> None:
    theirs = metadata("KEY")
    theirs.components["KEY"] = component("ADDRESS")
    session.register(theirs)
    assert other.register(metadata("ADDRESS")) == COMPLETE
    assert other.register(metadata("KEY")) == ERROR


def test_settings_events(session: RawSession, other: RawSession) -> None:
    assert session.settings_events() == []
    session.register(metadata("SYS/U", "SYS/V"))
    events = other.settings_events(0)
    assert [(event.seq, event.component_address) for event in events] == [(1, "SYS/U"), (2, "SYS/V")]
    assert {event.event_type for event in events} == {SettingsEventType.INITIAL_SETTINGS}
    assert {event.source_session_id for event in events} == {session.uuid}
    assert other.settings_events(1) == events[1:]
    assert other.settings_events(2) == other.settings_events(99) == []
    assert other.settings_events(-5) == events


def test_commands_sent_at_once_are_answered_in_order(session: RawSession) -> None:
    session.send(
        *(Command.SESSION_CONNECT.value + text("A") + text(f"{number}") for number in range(300)),
        Command.SESSION_CONNECT.value + text("0") + text("A"),
        Command.SESSION_SNAPSHOT.value,
        Command.SESSION_DISCONNECT.value + text("A") + text("0"),
        Command.SESSION_SETTINGS_SNAPSHOT.value,
        Command.SESSION_REGISTER.value + pickled(metadata("SYS/U")),
        Command.SESSION_SETTINGS_EVENTS.value + text("0"),
        Command.SESSION_CLEAR.value,
    )
    assert session.read(301) == COMPLETE * 300 + CYCLIC
    assert len(session.reply().edge_owners) == 300
    assert session.byte() == COMPLETE
    assert session.reply() == {}
    assert session.byte() == COMPLETE
    assert len(session.reply()) == 1
    assert session.byte() == COMPLETE


MANY = 4000
"""Commands that take many turns: one of 2 ms is over after about a hundred."""


def test_one_that_sends_thousands_of_commands_at_once_lets_others_have_their_turn(server: GraphServer) -> None:
    greedy, other = RawSession(server.address), RawSession(server.address)
    with held(server):
        greedy.send(*(Command.SESSION_CONNECT.value + text("A") + text(f"{number}") for number in range(MANY)))
        other.send(Command.SESSION_CONNECT, text("B"), text("C"))
    assert other.byte() == COMPLETE
    assert greedy.read(MANY) == COMPLETE * MANY
    order = [event.from_topic for event in all_of(server, ev.EdgeConnected)]
    assert order.index("B") < MANY / 2


def test_one_that_sends_commands_which_take_long_lets_others_have_their_turn(server: GraphServer) -> None:
    """A pickle of a few hundred bytes can stand for a value that takes a long time."""
    value: Any = ["x"] * 10
    for _ in range(3):
        value = [value] * 10
    greedy, other = RawSession(server.address), RawSession(server.address)
    with held(server):
        greedy.send(*(Command.SESSION_REGISTER.value + pickled(metadata("SYS/U", U=value)) for _ in range(50)))
        other.send(Command.SESSION_CONNECT, text("B"), text("C"))
    assert other.byte() == COMPLETE
    assert greedy.read(50) == COMPLETE * 50
    order = [type(event) for event in all_of(server, ev.EdgeConnected, ev.MetadataRegistered)]
    assert order.index(ev.EdgeConnected) < 10


def test_the_end_of_a_session_comes_before_a_command_that_came_behind_it(server: GraphServer) -> None:
    for _ in range(20):
        leaving, other = RawSession(server.address), RawSession(server.address)
        leaving.connect("A", "B")
        with held(server):
            leaving.close()
            other.send(Command.SESSION_CONNECT, text("B"), text("A"))
        assert other.byte() == COMPLETE
        other.end()


def test_a_command_may_come_byte_by_byte(session: RawSession) -> None:
    for byte in Command.SESSION_CONNECT.value + text("A") + text("B"):
        session.send(bytes([byte]))
    assert session.byte() == COMPLETE


# --- what is wrong, and survives -------------------------------------------------------------------------------------


class Evil:
    """Its pickle, opened by Python, makes a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.folder),)


BAD_PICKLES = {
    "no-pickle": b"hello",
    "empty": b"",
    "cut-off": pickle.dumps(metadata("SYS/U"))[:-10],
    "a-str": pickle.dumps("metadata"),
    "none": pickle.dumps(None),
    "another-class": pickle.dumps(component("SYS/U")),
    "no-address": pickle.dumps(GraphMetadata(1, "SYS", {"SYS/U": component("")})),
    "components-of-numbers": pickle.dumps(GraphMetadata(1, "SYS", {"SYS/U": 3})),  # type: ignore[dict-item]
    "components-a-list": pickle.dumps(GraphMetadata(1, "SYS", [1, 2])),  # type: ignore[arg-type]
    "surrogates": pickle.dumps(GraphMetadata(1, "\ud800", {})),
}


@pytest.mark.parametrize("name", BAD_PICKLES)
def test_bad_metadata_is_an_error_and_the_session_goes_on(
    server: GraphServer, session: RawSession, name: str
) -> None:
    session.connect("A", "B")
    session.register(metadata("SYS/U"))
    session.send(Command.SESSION_REGISTER, blob(BAD_PICKLES[name]))
    assert session.byte() == ERROR
    event = recorded(server, ev.CommandRejected)
    assert (event.reason, event.command, event.peer) == ("malformed", "SESSION_REGISTER", session.peer)
    [opened] = all_of(server, ev.SessionOpened)
    assert event.actor == opened.seq
    snapshot = session.snapshot()
    assert snapshot.sessions[session.uuid].metadata == metadata("SYS/U")
    assert list(snapshot.edge_owners) == [("A", "B")]


def test_a_pickle_that_would_act_does_not(session: RawSession, tmp_path: Path) -> None:
    evil = Evil(tmp_path / "folder")
    assert session.register(evil) == ERROR
    components = {"SYS/U": component("SYS/U", {"x": evil})}
    assert session.register(GraphMetadata(1, "SYS", components)) == COMPLETE
    assert not evil.folder.exists()
    assert "SYS/U" in session.settings()
    pickle.loads(pickle.dumps(evil))
    assert evil.folder.exists(), "it would have"


def test_metadata_that_is_too_long_is_skipped(session: RawSession) -> None:
    session.connect("A", "B")
    session.send(Command.SESSION_REGISTER, u64(METADATA_MAX + 1), b"x" * (METADATA_MAX + 1))
    assert session.byte() == ERROR
    assert list(edges(session)) == [("A", "B")]


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(Command.SESSION_CONNECT.value + u64(2**64 - 1), id="CONNECT"),
        pytest.param(Command.SESSION_REGISTER.value + u64(SKIP_MAX + 1), id="REGISTER"),
        pytest.param(Command.SESSION_SETTINGS_EVENTS.value + u64(2**40), id="SETTINGS_EVENTS"),
        pytest.param(
            Command.SESSION_PROCESS_REQUEST.value + text("U") + text("PING") + text("1") + u64(2**63), id="REQUEST"
        ),
    ],
)
def test_a_length_that_nobody_can_mean_ends_the_session(
    server: GraphServer, session: RawSession, other: RawSession, command: bytes
) -> None:
    session.connect("A", "B")
    session.send(command)
    if command[:1] == Command.SESSION_PROCESS_REQUEST.value:
        assert session.socket.recv(65536) == b""
    else:
        session.expect_eof()
    assert recorded(server, ev.CommandRejected).reason == "malformed"
    closed = recorded(server, ev.SessionClosed)
    assert closed.reason == "lost"
    assert closed.detail is not None
    assert closed.detail.startswith("malformed")
    assert edges(other) == {}


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(Command.SESSION_CONNECT.value + blob(b"\xff") + text("B"), id="CONNECT-utf8"),
        pytest.param(Command.SESSION_CONNECT.value + text("B") + blob(b"\xff"), id="CONNECT-utf8-second"),
        pytest.param(Command.SESSION_CONNECT.value + blob(b"x" * (TEXT_MAX + 1)) + text("B"), id="CONNECT-long"),
        pytest.param(Command.SESSION_DISCONNECT.value + blob(b"\xc3") + text("B"), id="DISCONNECT-utf8"),
    ],
)
def test_a_wrong_text_is_an_error_and_the_session_goes_on(
    server: GraphServer, session: RawSession, command: bytes
) -> None:
    session.connect("A", "B")
    session.send(command)
    assert session.byte() == ERROR
    assert recorded(server, ev.CommandRejected).command == Command(command[:1]).name
    assert list(edges(session)) == [("A", "B")]


@pytest.mark.parametrize("after", ["", "one", "1.0", "0x10", "1" * 65])
def test_a_wrong_number_is_answered_and_the_session_goes_on(
    server: GraphServer, session: RawSession, after: str
) -> None:
    session.connect("A", "B")
    session.send(Command.SESSION_SETTINGS_EVENTS, text(after))
    assert session.pickle() == []
    assert session.byte() == ERROR
    assert recorded(server, ev.CommandRejected).command == "SESSION_SETTINGS_EVENTS"
    assert list(edges(session)) == [("A", "B")]


@pytest.mark.parametrize("timeout", ["", "soon", "nan", "1,5"])
def test_a_wrong_timeout_is_answered_and_the_session_goes_on(
    server: GraphServer, session: RawSession, timeout: str
) -> None:
    """Stock ends the session there, and its edges with it."""
    session.connect("A", "B")
    session.send_request("SYS/U", "PING", timeout, b"payload")
    response = session.response()
    assert (response.ok, response.error_code) == (False, ProcessControlErrorCode.INVALID_RESPONSE)
    assert response.error
    assert recorded(server, ev.CommandRejected).command == "SESSION_PROCESS_REQUEST"
    assert list(edges(session)) == [("A", "B")]


def test_a_payload_that_is_too_long_is_answered(session: RawSession) -> None:
    session.send_request("SYS/U", "PING", 1.0, b"x" * (PAYLOAD_MAX + 1))
    assert session.response().error_code is ProcessControlErrorCode.INVALID_RESPONSE
    assert session.connect("A", "B") == COMPLETE


def test_an_unknown_command_ends_the_session_for_nobody_knows_where_the_next_begins(
    server: GraphServer, session: RawSession, other: RawSession
) -> None:
    """Stock takes the bytes of its arguments for commands."""
    session.connect("A", "B")
    session.send(b"\x63", Command.SESSION_CONNECT, text("X"), text("Y"))
    session.expect_eof()
    assert edges(other) == {}
    event = recorded(server, ev.CommandRejected)
    assert (event.reason, event.command) == ("unknown_command", "0x63")
    closed = recorded(server, ev.SessionClosed)
    assert (closed.reason, closed.detail) == ("lost", "unknown command")


@pytest.mark.parametrize(
    "half",
    [
        pytest.param(Command.SESSION_CONNECT.value, id="CONNECT"),
        pytest.param(Command.SESSION_CONNECT.value + text("X") + u64(3) + b"Y", id="CONNECT-second"),
        pytest.param(Command.SESSION_REGISTER.value + u64(100) + b"\x80", id="REGISTER"),
        pytest.param(Command.SESSION_SETTINGS_EVENTS.value + b"\x01\x00", id="SETTINGS_EVENTS"),
        pytest.param(Command.SESSION_PROCESS_REQUEST.value + text("U") + text("PING"), id="REQUEST"),
    ],
)
def test_half_a_command_and_then_the_end(server: GraphServer, other: RawSession, half: bytes) -> None:
    session = RawSession(server.address)
    session.connect("A", "B")
    session.send(half)
    session.end()
    assert edges(other) == {}
    assert recorded(server, ev.CommandRejected).command == Command(half[:1]).name
    assert recorded(server, ev.SessionClosed).reason == "lost"


def test_half_a_command_and_then_silence(
    server: GraphServer, other: RawSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_module, "Reader", partial(Reader, timeout=0.05))
    session = RawSession(server.address)
    session.connect("A", "B")
    session.send(Command.SESSION_CONNECT, text("X"))
    session.expect_eof()
    assert edges(other) == {}
    assert recorded(server, ev.SessionClosed).reason == "lost"


# --- the end ---------------------------------------------------------------------------------------------------------


def test_a_session_that_holds_nothing_closes(server: GraphServer, session: RawSession) -> None:
    session.connect("A", "B")
    session.clear()
    session.end()
    closed = recorded(server, ev.SessionClosed)
    assert (closed.reason, closed.detail) == ("closed", "eof")


@pytest.mark.parametrize("how", ["end", "reset", "close"])
def test_a_session_that_holds_something_is_lost_and_all_goes_with_it(
    server: GraphServer, session: RawSession, other: RawSession, how: str
) -> None:
    session.connect("A", "B")
    session.connect("B", "C")
    other.connect("B", "C")
    session.register(metadata("SYS/U"))
    began = time.monotonic()
    getattr(session, how)()
    closed = recorded(server, ev.SessionClosed)
    snapshot = other.snapshot()
    assert time.monotonic() - began < CLEANED_UP_S * 100, "and this machine may be busy"
    assert closed.reason == "lost"
    assert snapshot.edge_owners == {("B", "C"): [other.uuid]}
    assert list(snapshot.sessions) == [other.uuid]
    assert other.settings() == {}
    assert other.register(metadata("SYS/U")) == COMPLETE


@pytest.mark.parametrize(("how", "detail"), [("end", "eof"), ("reset", "reset")])
def test_a_session_that_leaves_while_a_subscriber_is_waited_for_loses_its_edges_at_once(
    server: GraphServer, session: RawSession, other: RawSession, how: str, detail: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publisher_notices, "UPDATE_TIMEOUT_S", 6 * ANSWER_S)
    subscriber = RawSubscriber(server.address, "B")
    session.send(Command.SESSION_CONNECT, text("A"), text("B"), Command.SESSION_CONNECT.value * 1000)
    assert subscriber.update(acknowledge=False) == []
    assert list(other.snapshot().edge_owners) == [("A", "B")]
    session.socket.shutdown(socket.SHUT_WR) if how == "end" else session.reset()
    closed = recorded(server, ev.SessionClosed)
    assert (closed.reason, closed.detail) == ("lost", detail)
    assert other.snapshot().edge_owners == {}
    subscriber.acknowledge()
    assert subscriber.update() == [], "it is told of the end as well"


def test_the_end_is_told_to_the_subscribers(server: GraphServer, session: RawSession) -> None:
    session.connect("A", "B")
    subscriber = RawSubscriber(server.address, "B")
    publisher = Raw(server.address, Command.PUBLISH, text("A"))
    uuid = publisher.text()
    publisher.send(text("127.0.0.1:1"))
    assert subscriber.update() == [uuid]
    session.close()
    assert subscriber.update() == []


# --- ezmsg's own client ----------------------------------------------------------------------------------------------


def test_with_ezmsgs_context(server: GraphServer) -> None:
    async def run() -> None:
        async with GraphContext(server.address, auto_start=False) as first:
            await first.connect("A", "B")
            await first.connect("B", "C")
            with pytest.raises(CyclicException):
                await first.connect("C", "A")
            async with GraphContext(server.address, auto_start=False) as second:
                await second.connect("A", "B")
                await first.register_metadata(metadata("SYS/U"))
                with pytest.raises(RuntimeError, match=r"component address collision\(s\): SYS/U"):
                    await second.register_metadata(metadata("SYS/U", "SYS/V"))
                await second.register_metadata(metadata("SYS/W"))
                snapshot = await second.snapshot()
                assert len(snapshot.sessions) == 2
                assert len(snapshot.edge_owners[Edge("A", "B")]) == 2
                assert list(await second.settings_snapshot()) == ["SYS/U", "SYS/W"]
                assert [event.seq for event in await second.settings_events(after_seq=1)] == [2]
                await second.disconnect("A", "B")
            snapshot = await first.snapshot()
            assert len(snapshot.sessions) == 1
            await first.disconnect("B", "C")
            assert list((await first.snapshot()).edge_owners) == [Edge("A", "B")]

    asyncio.run(run())
    for opened in all_of(server, ev.SessionOpened):
        assert recorded(server, ev.SessionClosed, session=opened.seq).reason == "closed"


def test_ezmsgs_context_is_told_of_bad_metadata(server: GraphServer) -> None:
    """A client that registers what nobody can read hears so; with stock it believes that it is registered."""

    async def run() -> None:
        async with GraphContext(server.address, auto_start=False) as context:
            with pytest.raises(RuntimeError, match="rejected"):
                await context.register_metadata(GraphMetadata(1, "SYS", {"SYS/U": 1}))  # type: ignore[dict-item]
            await context.register_metadata(metadata("SYS/U"))

    asyncio.run(run())


def test_sessions_and_processes_are_counted(server: GraphServer, session: RawSession) -> None:
    process = RawProcess(server.address)
    assert server.clients == 2
    process.end()
    assert server.clients == 1
    session.end()
    assert server.clients == 0
