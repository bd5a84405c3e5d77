"""Event streams: history, then what happens, whole and in order, whoever reads it and however slowly."""

import asyncio
import time
from typing import Any
from uuid import UUID

import pytest
from ezmsg.core.graphcontext import GraphContext
from ezmsg.core.graphmeta import (
    ProcessOwnershipUpdate,
    SettingsChangedEvent,
    SettingsEventType,
    TopologyChangedEvent,
    TopologyEventType,
)
from ezmsg.core.netprotocol import Command

from ezmsg.ledger import events as ev
from ezmsg.ledger.runtime.server.server import GraphServer

from .conftest import all_of, recorded
from .raw import COMPLETE, Raw, RawProcess, RawSession, metadata, pickled, settings, text

ENTRIES = 24_000
"""More than any queue of ezmsg's: it keeps 1024 per stream and 10,000 in all."""


class RawStream(Raw):
    def __init__(self, server: GraphServer, command: Command, after: int | str = 0) -> None:
        super().__init__(server.address, command, text(str(after)))
        self.uuid = UUID(self.text())
        assert self.byte() == COMPLETE

    def take(self, count: int) -> list[Any]:
        return [self.pickle() for _ in range(count)]


def topology(server: GraphServer, after: int = 0) -> RawStream:
    return RawStream(server, Command.SESSION_TOPOLOGY_SUBSCRIBE, after)


def changes(server: GraphServer, after: int = 0) -> RawStream:
    return RawStream(server, Command.SESSION_SETTINGS_SUBSCRIBE, after)


@pytest.fixture
def session(server: GraphServer) -> RawSession:
    return RawSession(server.address)


# --- what is in them -------------------------------------------------------------------------------------------------


def test_every_row_of_the_topology_feed(server: GraphServer, session: RawSession) -> None:
    stream = topology(server)
    before = time.time()
    Raw(server.address, Command.CONNECT, text("A"), text("B")).byte()
    Raw(server.address, Command.DISCONNECT, text("A"), text("B")).byte()
    session.connect("B", "C")
    session.connect("A", "C")
    session.connect("A", "B")
    session.disconnect("A", "B")
    session.clear()
    session.connect("D", "F")
    session.connect("D", "E")
    session.end()
    process = RawProcess(server.address)
    process.register("U")
    process.own(added=["V"])
    process.end()
    expected: list[tuple[str, list[str], str | None, UUID | None]] = [
        ("GRAPH_CHANGED", ["B"], None, None),
        ("GRAPH_CHANGED", ["B"], None, None),
        ("GRAPH_CHANGED", ["C"], session.uuid, None),
        ("GRAPH_CHANGED", ["C"], session.uuid, None),
        ("GRAPH_CHANGED", ["B"], session.uuid, None),
        ("GRAPH_CHANGED", ["B"], session.uuid, None),
        ("GRAPH_CHANGED", ["C"], session.uuid, None),
        ("GRAPH_CHANGED", ["F"], session.uuid, None),
        ("GRAPH_CHANGED", ["E"], session.uuid, None),
        ("GRAPH_CHANGED", ["E", "F"], session.uuid, None),
        *[("PROCESS_CHANGED", [], None, process.uuid)] * 3,
    ]
    events = stream.take(len(expected))
    assert all(type(event) is TopologyChangedEvent for event in events)
    assert [event.seq for event in events] == list(range(1, len(expected) + 1))
    assert [
        (event.event_type.value, event.changed_topics, event.source_session_id, event.source_process_id)
        for event in events
    ] == expected
    assert all(before - 0.01 <= event.timestamp <= time.time() + 0.01 for event in events)
    assert stream.is_silent()


def test_what_is_in_no_feed(server: GraphServer, session: RawSession) -> None:
    streams = [topology(server), changes(server)]
    other = RawSession(server.address)
    session.connect("A", "B")
    streams[0].take(1)
    other.connect("A", "B")  # a second owner
    session.connect("A", "B")  # a duplicate
    session.disconnect("A", "B")  # not the last owner
    session.connect("B", "A")
    session.disconnect("X", "Y")
    Raw(server.address, Command.PUBLISH, text("A")).text()
    Raw(server.address, Command.PAUSE).expect_eof()
    process = RawProcess(server.address)
    process.register()
    process.register(pid=5, host="elsewhere")
    process.own(added=["U"], removed=["U"])
    session.end()
    RawSession(server.address).end()
    for stream in streams:
        assert stream.is_silent()


def test_every_row_of_the_settings_feed(server: GraphServer, session: RawSession) -> None:
    stream = changes(server)
    process = RawProcess(server.address)
    process.register("SYS/U")
    session.register(metadata("SYS/U", "SYS/V"))
    process.report("SYS/U", {"gain": 2.0}, 77.25)
    process.end()
    session.clear()
    events = stream.take(4)
    assert all(type(event) is SettingsChangedEvent for event in events)
    initial, updated = SettingsEventType.INITIAL_SETTINGS, SettingsEventType.SETTINGS_UPDATED
    assert [
        (event.seq, event.event_type, event.component_address, event.source_session_id, event.source_process_id)
        for event in events
    ] == [
        (1, initial, "SYS/U", session.uuid, None),
        (2, initial, "SYS/V", session.uuid, None),
        (3, updated, "SYS/U", session.uuid, process.uuid),
        (4, updated, "SYS/U", session.uuid, None),
    ]
    assert [event.value for event in events] == [
        settings({"gain": gain}) for gain in (1.0, 1.0, 2.0, 1.0)
    ]
    assert events[2].timestamp == 77.25
    assert abs(events[3].timestamp - time.time()) < 5
    assert stream.is_silent()


# --- where they begin ------------------------------------------------------------------------------------------------


def test_after_a_number_history_goes_on_without_a_gap_or_a_repetition(
    server: GraphServer, session: RawSession
) -> None:
    for number in range(10):
        session.connect("A", f"{number}")
    streams = {after: topology(server, after) for after in (-3, 0, 4, 9, 10)}
    for number in range(10, 15):
        session.connect("A", f"{number}")
    for after, stream in streams.items():
        expected = list(range(max(0, after) + 1, 16))
        assert [event.seq for event in stream.take(len(expected))] == expected
        assert stream.is_silent(0.01)


@pytest.mark.parametrize("feed", ["topology", "settings"])
def test_after_a_number_that_is_not_reached_yet_what_happens_is_told_all_the_same(
    server: GraphServer, session: RawSession, feed: str
) -> None:
    """A dashboard that kept its place from another server must not be deaf until this one has caught up."""
    stream = topology(server, 500) if feed == "topology" else changes(server, 500)
    session.connect("A", "B")
    session.register(metadata("SYS/U"))
    assert stream.pickle().seq == 1


def test_the_join_is_gapless_while_much_happens(server: GraphServer, session: RawSession) -> None:
    streams = []
    for start in range(0, 400, 40):
        for number in range(start, start + 40):
            session.send(Command.SESSION_CONNECT, text("A"), text(f"{number}"))
        streams.append(topology(server, start))
        assert session.read(40) == COMPLETE * 40
    for place, stream in enumerate(streams):
        expected = list(range(place * 40 + 1, 401))
        assert [event.seq for event in stream.take(len(expected))] == expected


def test_bytes_on_a_stream_mean_nothing_and_its_end_ends_it(server: GraphServer, session: RawSession) -> None:
    stream = topology(server)
    stream.send(b"\x16whatever\x00\x11", Command.SHUTDOWN)
    session.connect("A", "B")
    assert stream.pickle().seq == 1
    stream.end()
    assert session.connect("A", "C") == COMPLETE
    assert all_of(server, ev.CommandRejected) == []


# --- who reads them --------------------------------------------------------------------------------------------------


def test_a_slow_reader_gets_everything_and_slows_nobody(server: GraphServer) -> None:
    """Stock drops all but the newest 1024, also of the history."""
    live = topology(server)
    began = time.monotonic()
    process = RawProcess(server.address)
    flip = [_ownership(["U"], []), _ownership([], ["U"])]
    for _ in range(ENTRIES // 600):
        process.send(*flip * 300)
        assert process.read(600) == COMPLETE * 600
    took = time.monotonic() - began
    late = topology(server)
    for stream in (late, live):
        stream.socket.settimeout(20.0)
        numbers = [event.seq for event in stream.take(ENTRIES)]
        assert numbers == list(range(1, ENTRIES + 1))
    assert took < 20.0
    assert topology(server, ENTRIES - 1).pickle().event_type is TopologyEventType.PROCESS_CHANGED


def _ownership(added: list[str], removed: list[str]) -> bytes:
    return Command.PROCESS_UPDATE_OWNERSHIP.value + pickled(ProcessOwnershipUpdate(added, removed))


def test_a_reader_that_never_reads_holds_up_nothing(server: GraphServer, session: RawSession) -> None:
    topology(server)
    changes(server)
    session.send(*(Command.SESSION_REGISTER.value + _large(number) for number in range(200)))
    assert session.read(200) == COMPLETE * 200
    assert RawSession(server.address).connect("A", "B") == COMPLETE


def _large(number: int) -> bytes:
    initial: dict[str, Any] = {f"U{number}": {"taps": list(range(200))}}
    return pickled(metadata(f"SYS/U{number}", **initial))


def test_many_streams_tell_the_same(server: GraphServer, session: RawSession) -> None:
    streams = [topology(server) for _ in range(20)]
    for number in range(50):
        session.connect("A", f"{number}")
    told = [stream.take(50) for stream in streams]
    assert all(events == told[0] for events in told)


# --- ezmsg's own client ----------------------------------------------------------------------------------------------


def test_with_ezmsgs_context(server: GraphServer) -> None:
    async def run() -> None:
        async with GraphContext(server.address, auto_start=False) as context:
            topology_stream: Any = context.subscribe_topology_events(after_seq=0)
            settings_stream: Any = context.subscribe_settings_events(after_seq=0)
            await context.connect("A", "B")
            await context.register_metadata(metadata("SYS/U"))
            event = await asyncio.wait_for(anext(topology_stream), 5.0)
            assert event.changed_topics == ["B"]
            change = await asyncio.wait_for(anext(settings_stream), 5.0)
            assert change.component_address == "SYS/U"
            assert await context.settings_events() == [change]
            await topology_stream.aclose()
            await settings_stream.aclose()

    asyncio.run(run())
    assert recorded(server, ev.SessionClosed).reason == "closed"
