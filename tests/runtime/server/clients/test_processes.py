"""Process connections: who runs which units, what settings they report, what is refused, and what an end leaves."""

import asyncio
import pickle
from typing import Any
from uuid import UUID

import pytest
from ezmsg.core.graphmeta import (
    ProcessControlResponse,
    ProcessOwnershipUpdate,
    ProcessProfilingTraceBatch,
    ProcessRegistration,
    ProcessSettingsUpdate,
    SettingsEventType,
    SettingsFieldMetadata,
    SettingsSchemaMetadata,
    SettingsSnapshotValue,
    SnapshotProcess,
    TopologyEventType,
)
from ezmsg.core.netprotocol import Command
from ezmsg.core.processclient import ProcessControlClient

from ezmsg.ledger import events as ev
from ezmsg.ledger.runtime.server.server import GraphServer
from ezmsg.ledger.runtime.server.wire.reader import SKIP_MAX
from tests.runtime.server.conftest import all_of, recorded
from tests.runtime.server.raw import (
    COMPLETE,
    ERROR,
    Raw,
    RawProcess,
    RawSession,
    blob,
    metadata,
    pickled,
    settings,
    text,
    u64,
)

ACKNOWLEDGED = (Command.PROCESS_REGISTER, Command.PROCESS_UPDATE_OWNERSHIP, Command.PROCESS_SETTINGS_UPDATE)
UNANSWERED = (Command.PROCESS_PROFILING_TRACE_UPDATE, Command.PROCESS_ROUTE_RESPONSE)
LARGE = 10**400
"""A number that is none for the machine."""


@pytest.fixture
def session(server: GraphServer) -> RawSession:
    return RawSession(server.address)


@pytest.fixture
def process(server: GraphServer) -> RawProcess:
    return RawProcess(server.address)


def listed(session: RawSession) -> dict[UUID, SnapshotProcess]:
    return session.snapshot().processes


# --- registration and ownership --------------------------------------------------------------------------------------


def test_a_process_that_never_registers_is_listed(server: GraphServer, session: RawSession) -> None:
    process = RawProcess(server.address)
    assert listed(session) == {process.uuid: SnapshotProcess(process.uuid, None, None, [])}
    assert recorded(server, ev.ProcessOpened).peer == process.peer


def test_a_registration_replaces_the_whole_set(session: RawSession, process: RawProcess) -> None:
    assert process.register("SYS/V", "SYS/U", "SYS/U", pid=17, host="here") == COMPLETE
    assert listed(session)[process.uuid] == SnapshotProcess(process.uuid, 17, "here", ["SYS/U", "SYS/V"])
    assert process.register("SYS/W", pid=18, host="there") == COMPLETE
    assert listed(session)[process.uuid] == SnapshotProcess(process.uuid, 18, "there", ["SYS/W"])


def test_ownership_is_added_then_removed_and_needs_no_registration(session: RawSession, process: RawProcess) -> None:
    assert process.own(added=["B", "A"], removed=["A", "X"]) == COMPLETE
    assert listed(session)[process.uuid] == SnapshotProcess(process.uuid, None, None, ["B"])
    assert process.own(removed=["B"]) == COMPLETE
    assert listed(session)[process.uuid].units == []


def test_a_unit_of_another_process_is_refused_and_nothing_applied(server: GraphServer, session: RawSession) -> None:
    first, second = RawProcess(server.address), RawProcess(server.address)
    first.register("A", "B")
    second.register("C")
    assert second.register("D", "B", pid=99) == ERROR
    assert second.own(added=["D", "A"], removed=["C"]) == ERROR
    assert listed(session)[second.uuid] == SnapshotProcess(second.uuid, 4711, "host", ["C"])
    refused = all_of(server, ev.CommandRejected)
    assert [event.reason for event in refused] == ["conflict", "conflict"]
    assert refused[0].cause == {"units": {"B": str(first.uuid)}}
    assert second.own(removed=["A"]) == COMPLETE, "only what is added can be in conflict"
    first.own(removed=["A"])
    assert second.own(added=["A"]) == COMPLETE
    first.end()
    assert second.own(added=["B"]) == COMPLETE
    assert listed(session)[second.uuid].units == ["A", "B", "C"]


# --- settings --------------------------------------------------------------------------------------------------------


def test_a_report_is_in_force_while_its_process_lives(server: GraphServer, session: RawSession) -> None:
    process = RawProcess(server.address)
    session.register(metadata("SYS/U"))
    process.register("SYS/U", "SYS/V")
    schema = SettingsSchemaMetadata(
        "dataclass", "S", [SettingsFieldMetadata("gain", "float", True, 1.0, None, (0.0, None), [1, "x"], None)]
    )
    value = SettingsSnapshotValue(b"pickled", {"gain": 7.5, "on": True, "none": None}, {"gain": 7.5}, schema)
    update = ProcessSettingsUpdate("SYS/U", value, 123.456)
    assert process.ask(Command.PROCESS_SETTINGS_UPDATE, update) == COMPLETE
    assert process.report("SYS/V", {"a": 1}) == COMPLETE
    assert session.settings() == {"SYS/U": value, "SYS/V": settings({"a": 1})}
    _, reported, orphan = session.settings_events()
    assert (reported.event_type, reported.value) == (SettingsEventType.SETTINGS_UPDATED, value)
    assert (reported.timestamp, reported.source_session_id) == (123.456, session.uuid)
    assert reported.source_process_id == process.uuid
    assert orphan.source_session_id is None

    process.end()
    assert session.settings() == {"SYS/U": settings({"gain": 1.0})}
    restored = session.settings_events(3)
    assert [(event.component_address, event.source_process_id) for event in restored] == [("SYS/U", None)]
    assert restored[0].value == settings({"gain": 1.0})
    assert restored[0].source_session_id == session.uuid


def test_a_report_about_a_unit_of_somebody_else_is_refused(server: GraphServer, session: RawSession) -> None:
    first, second = RawProcess(server.address), RawProcess(server.address)
    first.register("SYS/U")
    assert second.report("SYS/U", {"gain": 2.0}) == ERROR
    assert first.own(removed=["SYS/U"]) == COMPLETE
    assert first.report("SYS/U", {"gain": 2.0}) == ERROR
    assert session.settings() == {}
    assert [event.reason for event in all_of(server, ev.CommandRejected)] == ["not_owner", "not_owner"]


def test_registering_again_keeps_a_reported_value_but_tells_the_initial_one(
    session: RawSession, process: RawProcess
) -> None:
    process.register("SYS/U")
    process.report("SYS/U", {"gain": 7.0})
    session.register(metadata("SYS/U"))
    assert session.settings() == {"SYS/U": settings({"gain": 7.0})}
    assert session.settings_events()[-1].value == settings({"gain": 1.0})


@pytest.mark.parametrize("timestamp", [0.0, 1.5, 1764000000.123456, -5.0, 1e300, float("inf"), float("nan"), 3])
def test_any_number_is_a_timestamp(session: RawSession, process: RawProcess, timestamp: Any) -> None:
    process.register("SYS/U")
    assert process.report("SYS/U", {"gain": 2.0}, timestamp) == COMPLETE
    [event] = session.settings_events()
    if abs(timestamp) < 9e9:
        assert event.timestamp == timestamp
    else:
        assert event.timestamp > 1.7e9, "what is no time is told by the server's clock"


# --- malformed -------------------------------------------------------------------------------------------------------

PAYLOADS = {
    "no-pickle": b"hello",
    "empty": b"",
    "none": pickle.dumps(None),
    "another-class": pickle.dumps(metadata("SYS/U")),
}


@pytest.mark.parametrize("command", ACKNOWLEDGED, ids=lambda command: command.name)
@pytest.mark.parametrize("name", PAYLOADS)
def test_a_bad_payload_is_an_error_and_the_process_goes_on(
    server: GraphServer, process: RawProcess, command: Command, name: str
) -> None:
    process.register("SYS/U")
    process.send(command, blob(PAYLOADS[name]))
    assert process.byte() == ERROR
    event = recorded(server, ev.CommandRejected)
    assert (event.reason, event.command, event.peer) == ("malformed", command.name, process.peer)
    assert process.report("SYS/U", {"gain": 2.0}) == COMPLETE


@pytest.mark.parametrize("command", UNANSWERED, ids=lambda command: command.name)
@pytest.mark.parametrize("name", PAYLOADS)
def test_a_bad_payload_of_a_command_without_an_answer_is_recorded(
    server: GraphServer, process: RawProcess, command: Command, name: str
) -> None:
    process.send(command, blob(PAYLOADS[name]))
    assert process.register("SYS/U") == COMPLETE
    event = recorded(server, ev.CommandRejected)
    assert (event.reason, event.command) == ("malformed", command.name)


@pytest.mark.parametrize(
    ("command", "payload"),
    [
        (Command.PROCESS_REGISTER, ProcessRegistration("pid", "host", [])),  # type: ignore[arg-type]
        (Command.PROCESS_REGISTER, ProcessRegistration(1, "host", "units")),  # type: ignore[arg-type]
        (Command.PROCESS_REGISTER, ProcessRegistration(1, "host", [1, 2])),  # type: ignore[list-item]
        (Command.PROCESS_REGISTER, ProcessRegistration(1, "host", ["\ud800"])),
        (Command.PROCESS_UPDATE_OWNERSHIP, ProcessOwnershipUpdate(["U"], None)),  # type: ignore[arg-type]
        (Command.PROCESS_SETTINGS_UPDATE, ProcessSettingsUpdate("SYS/U", {"gain": 1.0}, 1.0)),  # type: ignore[arg-type]
        (Command.PROCESS_SETTINGS_UPDATE, ProcessSettingsUpdate("SYS/U", settings({}), "now")),  # type: ignore[arg-type]
        (Command.PROCESS_SETTINGS_UPDATE, ProcessSettingsUpdate(1, settings({}), 1.0)),  # type: ignore[arg-type]
        (Command.PROCESS_SETTINGS_UPDATE, ProcessSettingsUpdate("SYS/U", settings({}), LARGE)),
    ],
)
def test_a_field_of_another_type_is_an_error(
    server: GraphServer, session: RawSession, process: RawProcess, command: Command, payload: object
) -> None:
    process.register("SYS/U")
    before = listed(session)
    assert process.ask(command, payload) == ERROR
    assert listed(session) == before
    assert recorded(server, ev.CommandRejected).reason == "malformed"


def test_a_number_that_no_field_holds_is_an_error_or_kept_whole(session: RawSession, process: RawProcess) -> None:
    answer = process.register("SYS/U", pid=LARGE)
    assert answer in (COMPLETE, ERROR)
    assert process.register("SYS/U") == COMPLETE
    assert listed(session)[process.uuid].pid == 4711


def test_a_long_payload_is_skipped_and_an_endless_one_ends_the_process(
    server: GraphServer, session: RawSession, process: RawProcess
) -> None:
    process.register("SYS/U")
    size = 16 * 2**20 + 1
    process.send(Command.PROCESS_SETTINGS_UPDATE, u64(size), b"x" * size)
    assert process.byte() == ERROR
    process.send(Command.PROCESS_SETTINGS_UPDATE, u64(SKIP_MAX + 1))
    process.expect_eof()
    assert recorded(server, ev.ProcessClosed).reason == "error"
    assert listed(session) == {}


def test_an_unknown_command_ends_the_process(server: GraphServer, session: RawSession, process: RawProcess) -> None:
    process.register("SYS/U")
    process.send(Command.SESSION_CONNECT, text("A"), text("B"))
    process.expect_eof()
    assert recorded(server, ev.CommandRejected).reason == "unknown_command"
    closed = recorded(server, ev.ProcessClosed)
    assert (closed.reason, closed.detail) == ("error", "unknown command")
    assert (listed(session), session.snapshot().edge_owners) == ({}, {})


def test_half_a_command_and_then_the_end(server: GraphServer, session: RawSession, process: RawProcess) -> None:
    process.register("SYS/U")
    process.send(Command.PROCESS_REGISTER, u64(10), b"half")
    process.end()
    assert recorded(server, ev.CommandRejected).command == "PROCESS_REGISTER"
    assert listed(session) == {}


def test_a_trace_of_another_process_counts_for_the_connection(server: GraphServer, process: RawProcess) -> None:
    batch = ProcessProfilingTraceBatch(UUID(int=1), 1, "host", 1.0, [])
    process.send(Command.PROCESS_PROFILING_TRACE_UPDATE, pickled(batch))
    assert process.register("SYS/U") == COMPLETE
    assert all_of(server, ev.CommandRejected) == []


# --- the end ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("how", "reason"), [("end", "closed"), ("reset", "lost")])
def test_the_end_frees_the_units_and_is_always_told(
    server: GraphServer, session: RawSession, process: RawProcess, how: str, reason: str
) -> None:
    stream = Raw(server.address, Command.SESSION_TOPOLOGY_SUBSCRIBE, text("0"))
    stream.text()
    assert stream.byte() == COMPLETE
    process.register("SYS/U")
    stream.pickle()
    getattr(process, how)()
    event = stream.pickle()
    assert (event.event_type, event.changed_topics) == (TopologyEventType.PROCESS_CHANGED, [])
    assert (event.source_process_id, event.source_session_id) == (process.uuid, None)
    assert recorded(server, ev.ProcessClosed).reason == reason
    assert listed(session) == {}
    silent = RawProcess(server.address)
    silent.close()
    assert stream.pickle().source_process_id == silent.uuid


# --- ezmsg's own client ----------------------------------------------------------------------------------------------


def test_with_ezmsgs_client(server: GraphServer, session: RawSession) -> None:
    async def run() -> None:
        first, second = ProcessControlClient(server.address), ProcessControlClient(server.address)
        await first.connect()
        await second.connect()
        await first.register(["SYS/U"])
        with pytest.raises(RuntimeError):
            await second.register(["SYS/U"])
        await second.update_ownership(added_units=["SYS/V"])
        await first.report_settings_update(component_address="SYS/U", value=settings({"gain": 3.0}), timestamp=5.0)
        with pytest.raises(RuntimeError):
            await second.report_settings_update(component_address="SYS/U", value=settings({}), timestamp=5.0)
        assert session.settings() == {"SYS/U": settings({"gain": 3.0})}
        assert sorted(process.units for process in listed(session).values()) == [["SYS/U"], ["SYS/V"]]
        await first.close()
        await second.close()

    asyncio.run(run())
    assert [event.reason for event in all_of(server, ev.CommandRejected)] == ["conflict", "not_owner"]


def test_a_response_that_nobody_asked_for_is_recorded(server: GraphServer, process: RawProcess) -> None:
    process.send(Command.PROCESS_ROUTE_RESPONSE, pickled(ProcessControlResponse("no-request", True)))
    assert process.register("SYS/U") == COMPLETE
    event = recorded(server, ev.CommandRejected)
    assert (event.reason, event.arguments) == ("not_asked", "no-request")
