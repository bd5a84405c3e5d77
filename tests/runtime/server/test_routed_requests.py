"""Requests of sessions to the process that runs a unit: every way in which they can end."""

import asyncio
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from ezmsg.core.graphcontext import GraphContext
from ezmsg.core.graphmeta import (
    ProcessControlErrorCode,
    ProcessControlOperation,
    ProcessControlRequest,
    ProcessControlResponse,
)
from ezmsg.core.netprotocol import Command
from ezmsg.core.processclient import ProcessControlClient

from ezmsg.ledger import events as ev
from ezmsg.ledger.runtime.live import PAYLOAD_KEPT
from ezmsg.ledger.runtime.server import routed_requests as requests_module
from ezmsg.ledger.runtime.server.server import GraphServer
from ezmsg.ledger.runtime.server.wire import connection as connection_module
from ezmsg.ledger.runtime.server.wire.reader import Reader

from .conftest import Serve, all_of, recorded
from .raw import COMPLETE, Raw, RawProcess, RawSession, text


@pytest.fixture
def session(server: GraphServer) -> RawSession:
    return RawSession(server.address)


@pytest.fixture
def process(server: GraphServer) -> RawProcess:
    process = RawProcess(server.address)
    process.register("SYS/U")
    return process


def answered(server: GraphServer) -> list[tuple[bool, str | None]]:
    return [(event.ok, event.error_code) for event in all_of(server, ev.RequestAnswered)]


# --- every outcome ---------------------------------------------------------------------------------------------------


def test_the_owners_answer_is_forwarded_as_it_is(
    server: GraphServer, session: RawSession, process: RawProcess
) -> None:
    session.send_request("SYS/U", "ECHO", 5.0, b"question")
    request = process.next_request()
    assert request == ProcessControlRequest(request.request_id, "SYS/U", "ECHO", b"question")
    assert type(request.operation) is str
    code = ProcessControlErrorCode.HANDLER_ERROR
    process.answer(request.request_id, b"answer", ok=False, error="as it is", error_code=code)
    response = session.response()
    assert response == ProcessControlResponse(request.request_id, False, b"answer", "as it is", code, process.uuid)
    routed = recorded(server, ev.RequestRouted)
    assert (routed.unit, routed.operation, routed.payload, routed.size) == ("SYS/U", "ECHO", b"question", 8)
    event = recorded(server, ev.RequestAnswered)
    assert (event.request, event.ok, event.error_code) == (routed.seq, False, "HANDLER_ERROR")
    assert event.took > 0


def test_an_empty_payload_is_none(session: RawSession, process: RawProcess) -> None:
    session.send_request("SYS/U", "ECHO")
    request = process.next_request()
    assert request.payload is None
    process.answer(request.request_id)
    assert session.response().payload is None


def test_a_large_payload_arrives_whole_and_is_recorded_in_part(
    server: GraphServer, session: RawSession, process: RawProcess
) -> None:
    payload = bytes(range(256)) * (PAYLOAD_KEPT // 128)
    session.send_request("SYS/U", "ECHO", 5.0, payload)
    request = process.next_request()
    assert request.payload == payload
    process.answer(request.request_id, payload)
    assert session.response().payload == payload
    routed = recorded(server, ev.RequestRouted)
    assert (routed.payload, routed.size) == (payload[:PAYLOAD_KEPT], len(payload))


def test_nobody_runs_the_unit(server: GraphServer, session: RawSession, process: RawProcess) -> None:
    response = session.request("SYS/V", "PING")
    assert response.error_code is ProcessControlErrorCode.UNROUTABLE_UNIT
    assert (response.ok, response.process_id) == (False, None)
    assert response.error == "No process owns unit 'SYS/V'"
    assert answered(server) == [(False, "UNROUTABLE_UNIT")]
    assert process.is_silent()


def test_the_owner_does_not_answer_in_time_and_its_late_answer_is_dropped(
    server: GraphServer, session: RawSession, process: RawProcess
) -> None:
    began = time.monotonic()
    response = session.request("SYS/U", "SLOW", timeout=0.05)
    assert 0.05 <= time.monotonic() - began < 5.0
    assert response.error_code is ProcessControlErrorCode.TIMEOUT
    assert response.process_id == process.uuid
    assert response.error is not None
    assert response.error.startswith("Timed out waiting for process response")
    late = process.next_request()
    process.answer(late.request_id)
    session.send_request("SYS/U", "ECHO")
    request = process.next_request()
    assert request.request_id != late.request_id
    process.answer(late.request_id, b"again, and still too late")
    process.answer(request.request_id, b"in time")
    assert session.response().payload == b"in time"
    assert answered(server) == [(False, "TIMEOUT"), (True, None)]
    assert [event.reason for event in all_of(server, ev.CommandRejected)] == ["not_asked", "not_asked"]


@pytest.mark.parametrize("timeout", ["0", "-1", "-inf"])
def test_no_time_at_all(session: RawSession, process: RawProcess, timeout: str) -> None:
    session.send_request("SYS/U", "SLOW", timeout)
    assert session.response().error_code is ProcessControlErrorCode.TIMEOUT
    process.next_request()


@pytest.mark.parametrize("timeout", ["inf", "1e308"])
def test_all_the_time_in_the_world(session: RawSession, process: RawProcess, timeout: str) -> None:
    session.send_request("SYS/U", "ECHO", timeout)
    process.answer(process.next_request().request_id)
    assert session.response().ok


@pytest.mark.parametrize("how", ["end", "reset"])
def test_the_owner_leaves_before_it_answers(
    server: GraphServer, session: RawSession, process: RawProcess, how: str
) -> None:
    session.send_request("SYS/U", "SLOW", 60.0)
    request = process.next_request()
    getattr(process, how)()
    response = session.response()
    assert response.error_code is ProcessControlErrorCode.PROCESS_DISCONNECTED
    assert (response.request_id, response.process_id) == (request.request_id, process.uuid)
    assert answered(server) == [(False, "PROCESS_DISCONNECTED")]


def test_the_answer_of_another_process_is_refused_and_the_request_stays_open(
    server: GraphServer, session: RawSession, process: RawProcess
) -> None:
    """Stock tells the asker that the response is invalid, and drops the true one."""
    other = RawProcess(server.address)
    session.send_request("SYS/U", "ECHO")
    request = process.next_request()
    other.answer(request.request_id, b"forged")
    assert other.register("SYS/X") == COMPLETE
    assert session.is_silent()
    process.answer(request.request_id, b"true")
    assert session.response().payload == b"true"
    event = recorded(server, ev.CommandRejected)
    assert (event.reason, event.arguments) == ("not_asked", request.request_id)
    assert recorded(server, ev.ProcessOpened, seq=event.actor).peer == other.peer


def test_an_owner_that_does_not_read_is_given_up(
    server: GraphServer, session: RawSession, process: RawProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_module, "PENDING_MAX", 64 * 1024)
    payload = b"x" * 2**20
    codes = [session.request("SYS/U", "SLOW", 0.01, payload).error_code for _ in range(12)]
    assert ProcessControlErrorCode.ROUTE_WRITE_FAILED in codes
    assert codes[0] is ProcessControlErrorCode.TIMEOUT
    closed = recorded(server, ev.ProcessClosed)
    assert closed.reason == "lost"
    assert closed.detail is not None
    assert "unread" in closed.detail
    assert session.request("SYS/U", "SLOW").error_code is ProcessControlErrorCode.UNROUTABLE_UNIT


def test_what_waits_for_an_answer_is_bounded(
    session: RawSession, process: RawProcess, server: GraphServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that takes all it is sent, and answers nothing, must not fill the memory."""
    monkeypatch.setattr(requests_module, "WAITING_MAX", 2**20)
    session.send_request("SYS/U", "SLOW", 60.0, b"x" * 600_000)
    first = process.next_request()
    other = RawSession(server.address)
    refused = other.request("SYS/U", "SLOW", 60.0, b"x" * 600_000)
    assert refused.error_code is ProcessControlErrorCode.ROUTE_WRITE_FAILED
    assert "1200000 bytes of requests wait" in str(refused.error)
    process.answer(first.request_id)
    assert session.response().ok
    other.send_request("SYS/U", "SLOW", 60.0, b"x" * 600_000)
    process.answer(process.next_request().request_id)
    assert other.response().ok


# --- what a waiting request does not hold up -------------------------------------------------------------------------


def test_other_sessions_and_the_process_go_on(server: GraphServer, session: RawSession, process: RawProcess) -> None:
    session.send_request("SYS/U", "SLOW", 60.0)
    slow = process.next_request()
    other = RawSession(server.address)
    assert other.connect("A", "B") == COMPLETE
    assert process.report("SYS/U", {"gain": 2.0}) == COMPLETE
    other.send_request("SYS/U", "ECHO")
    process.answer(process.next_request().request_id, b"quick")
    assert other.response().payload == b"quick"
    process.answer(slow.request_id, b"slow")
    assert session.response().payload == b"slow"


@pytest.mark.parametrize("behind", [b"", Command.SESSION_CONNECT.value, Command.SESSION_CLEAR.value * 1000])
@pytest.mark.parametrize("how", ["end", "reset", "close"])
def test_a_session_that_leaves_while_it_waits_loses_its_edges_at_once(
    server: GraphServer, session: RawSession, process: RawProcess, how: str, behind: bytes
) -> None:
    """Whatever it had sent already for when its turn comes."""
    session.connect("A", "B")
    session.send_request("SYS/U", "SLOW", 60.0)
    session.send(behind)
    request = process.next_request()
    other = RawSession(server.address)
    assert len(other.snapshot().edge_owners) == 1
    began = time.monotonic()
    getattr(session, how)()
    assert recorded(server, ev.SessionClosed).reason == "lost"
    assert other.snapshot().edge_owners == {}
    assert time.monotonic() - began < 5.0, "the request may take a minute"
    assert answered(server) == [(False, "SESSION_CLOSED")]
    process.answer(request.request_id)
    assert process.register("SYS/U") == COMPLETE
    assert [event.reason for event in all_of(server, ev.CommandRejected)] == ["not_asked"]


def test_commands_behind_a_request_are_answered_behind_it(session: RawSession, process: RawProcess) -> None:
    session.send_request("SYS/U", "SLOW", 60.0)
    session.send(Command.SESSION_CONNECT, text("A"), text("B"))
    session.send_request("SYS/U", "ECHO")
    session.send(Command.SESSION_SNAPSHOT)
    first = process.next_request()
    assert session.is_silent()
    process.answer(first.request_id, b"1")
    process.answer(process.next_request().request_id, b"2")
    assert session.response().payload == b"1"
    assert session.byte() == COMPLETE
    assert session.response().payload == b"2"
    assert len(session.reply().edge_owners) == 1


def test_the_clock_of_a_command_behind_a_request_starts_when_its_turn_comes(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_module, "Reader", partial(Reader, timeout=0.1))
    server = serve()
    session, process = RawSession(server.address), RawProcess(server.address)
    process.register("SYS/U")
    session.send_request("SYS/U", "SLOW", 60.0)
    session.send(Command.SESSION_CONNECT, text("A"))
    request = process.next_request()
    assert session.is_silent(0.15)
    process.answer(request.request_id)
    assert session.response().ok
    session.send(text("B"))
    assert session.byte() == COMPLETE


def test_stopping_answers_what_waits_by_closing(server: GraphServer, session: RawSession, process: RawProcess) -> None:
    session.send_request("SYS/U", "SLOW", 60.0)
    process.next_request()
    server.stop()
    session.expect_eof()
    process.expect_eof()


# --- ezmsg's own clients ---------------------------------------------------------------------------------------------


def test_with_ezmsgs_clients(server: GraphServer) -> None:
    async def serve(request: ProcessControlRequest) -> ProcessControlResponse:
        if request.operation == "FAIL":
            raise ZeroDivisionError
        return ProcessControlResponse(request.request_id, True, request.payload)

    async def run() -> None:
        process = ProcessControlClient(server.address)
        process.set_request_handler(serve)
        await process.connect()
        await process.register(["SYS/U"])
        async with GraphContext(server.address, auto_start=False) as context:
            ask: Callable[..., Any] = context.process_request
            assert (await ask("SYS/U", "ECHO", payload=b"x")).payload == b"x"
            assert (await ask("SYS/U", "FAIL")).error_code is ProcessControlErrorCode.HANDLER_ERROR
            assert (await ask("SYS/X", "ECHO")).error_code is ProcessControlErrorCode.UNROUTABLE_UNIT
            assert (await ask("SYS/U", ProcessControlOperation.PING)).ok
            ping = await context.process_ping("SYS/U")
            assert ping.process_id == process.client_id
            stats = await context.process_stats("SYS/U")
            assert stats.owned_units == ["SYS/U"]
        await process.close()

    asyncio.run(run())
    assert [event.operation for event in all_of(server, ev.RequestRouted)] == [
        *("ECHO", "FAIL", "ECHO", "PING"),
        *("PING", "GET_PROCESS_STATS"),
    ]


def test_a_session_with_a_raw_opener_for_each_request(server: GraphServer, process: RawProcess) -> None:
    """Many at once: every answer finds its asker, whatever the order."""
    sessions = [RawSession(server.address) for _ in range(20)]
    for number, session in enumerate(sessions):
        session.send_request("SYS/U", "ECHO", 60.0, str(number).encode())
    requests = [process.next_request() for _ in sessions]
    for request in reversed(requests):
        process.answer(request.request_id, request.payload)
    assert [session.response().payload for session in sessions] == [str(number).encode() for number in range(20)]
    assert isinstance(sessions[0], Raw)
