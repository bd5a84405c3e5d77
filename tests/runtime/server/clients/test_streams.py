"""Event streams: history, then what happens, whole and in order, whoever reads it and however slowly."""

import asyncio
import os
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from ezmsg.core.graphcontext import GraphContext
from ezmsg.core.graphmeta import (
    SettingsChangedEvent,
    SettingsEventType,
    TopologyChangedEvent,
)
from ezmsg.core.netprotocol import Command

from ezmsg.ledger import events as ev
from ezmsg.ledger.runtime.recorder.process import Recorder
from ezmsg.ledger.runtime.server import feed_history
from ezmsg.ledger.runtime.server.server import GraphServer
from tests.runtime.server.conftest import all_of, recorded
from tests.runtime.server.raw import COMPLETE, Raw, RawProcess, RawSession, metadata, pickled, settings, text

ENTRIES = 24_000
"""More than any queue of ezmsg's: it keeps 1024 per stream and 10,000 in all."""


MEMORY_MAX = 2**20
"""What a quarter of them more may cost: in a list they would take 1.5 million bytes."""

READING_MAX = feed_history.CHUNKS_BYTES + 6 * 2**20
"""What reading history may cost beside that: chunks made a moment ago, a replay, pieces of the log."""


class RawStream(Raw):
    def __init__(self, address: Sequence[Any], command: Command, after: int | str = 0) -> None:
        super().__init__(address, command, text(str(after)))
        self.uuid = UUID(self.text())
        assert self.byte() == COMPLETE

    def take(self, count: int) -> list[Any]:
        return [self.pickle() for _ in range(count)]


class Unread(RawStream):
    """A stream whose entries stay with the server until they are read."""

    receive_buffer = 4096


def topology(server: GraphServer, after: int = 0) -> RawStream:
    return RawStream(server.address, Command.SESSION_TOPOLOGY_SUBSCRIBE, after)


def changes(server: GraphServer, after: int = 0) -> RawStream:
    return RawStream(server.address, Command.SESSION_SETTINGS_SUBSCRIBE, after)


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


def test_a_slow_reader_gets_everything_and_costs_neither_time_nor_memory(tmp_path: Path) -> None:
    """Stock drops all but the newest 1024, also of the history."""
    with Recorder(tmp_path / "run.ledger") as recorder:
        host, _, port = recorder.address.rpartition(":")
        address = (host, int(port))
        live = Unread(address, Command.SESSION_TOPOLOGY_SUBSCRIBE)
        session = RawSession(address)
        memory = []
        for _ in range(4):
            flip(session, ENTRIES // 4)
            memory.append(resident(recorder))
        # Once, when the stream falls behind, the log is opened for it; in a list every part would cost the same.
        assert min(after - before for before, after in pairwise(memory)) < MEMORY_MAX
        late = RawStream(address, Command.SESSION_TOPOLOGY_SUBSCRIBE)
        for stream in (late, live):
            stream.socket.settimeout(20.0)
            numbers = [event.seq for event in stream.take(ENTRIES)]
            assert numbers == list(range(1, ENTRIES + 1))
        assert resident(recorder) - memory[0] < READING_MAX
        again = RawStream(address, Command.SESSION_TOPOLOGY_SUBSCRIBE, ENTRIES - 1)
        assert again.pickle().seq == ENTRIES


def flip(session: RawSession, entries: int) -> None:
    """Changes of the topology, without waiting for each."""
    both = [command.value + text("A") + text("B") for command in (Command.SESSION_CONNECT, Command.SESSION_DISCONNECT)]
    for _ in range(entries // 600):
        session.send(*both * 300)
        assert session.read(600) == COMPLETE * 600


def resident(recorder: Recorder) -> int:
    """Bytes of memory that the recorder's process holds."""
    assert recorder.pid is not None
    pages = int(Path(f"/proc/{recorder.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


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
