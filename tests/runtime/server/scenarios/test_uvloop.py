"""The server in a program whose event loops are uvloop's: real clients, ends of all kinds, large and slow ones."""

import asyncio
import socket
import sys

import pytest
from ezmsg.core.graphcontext import GraphContext

from ezmsg.ledger import events as ev
from ezmsg.ledger.runtime.server.server import GraphServer
from ezmsg.ledger.runtime.server.wire import connection
from tests.runtime.server.conftest import Serve, all_of, recorded
from tests.runtime.server.examined import in_loop
from tests.runtime.server.raw import COMPLETE, Raw, RawProcess, RawSession, metadata, text

if sys.platform == "win32":
    pytest.skip("there is no uvloop for Windows", allow_module_level=True)

import uvloop


@pytest.fixture(autouse=True, scope="module")
def warm() -> None:
    """Make one loop before any test counts what is open: uvloop keeps a pipe for signals for ever."""
    uvloop.new_event_loop().close()


@pytest.fixture
def served(serve: Serve) -> GraphServer:
    before = asyncio.get_event_loop_policy()
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    try:
        server = serve()
    finally:
        asyncio.set_event_loop_policy(before)
    assert isinstance(server._loop, uvloop.Loop)
    return server


def test_a_client_of_ezmsg(served: GraphServer) -> None:
    async def use() -> None:
        async with GraphContext(served.address, auto_start=False) as context:
            await context.connect("PUB", "SUB")
            publisher, subscriber = await context.publisher("PUB"), await context.subscriber("SUB")
            await publisher.broadcast("hello")
            assert await asyncio.wait_for(subscriber.recv(), 10) == "hello"
            assert (await context.snapshot()).graph == {"PUB": ["SUB"], "SUB": []}

    asyncio.run(use())
    assert [event.from_topic for event in all_of(served, ev.EdgeConnected)] == ["PUB"]


def test_registrations_and_settings(served: GraphServer) -> None:
    session, process = RawSession(served.address), RawProcess(served.address)
    large = {"x" * 200_000: 1.0}  # comes in many pieces
    assert session.register(metadata("SYS/A", **{"A": large})) == COMPLETE
    assert process.register("SYS/A") == COMPLETE
    for number in range(5):
        assert process.report("SYS/A", {"gain": float(number)}) == COMPLETE
    assert session.settings()["SYS/A"].repr_value == {"gain": 4.0}


def test_clients_that_leave_in_any_way(served: GraphServer) -> None:
    good, hasty, half = (RawSession(served.address) for _ in range(3))
    good.end()
    recorded(served, ev.SessionClosed, detail="eof")
    hasty.reset()
    recorded(served, ev.SessionClosed, detail="reset")
    half.send(b"\x16" + text("A"))
    half.end()
    assert [event.reason for event in all_of(served, ev.SessionClosed)] == ["closed"] * 3


def test_one_that_does_not_read_is_cut_off(served: GraphServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "PENDING_MAX", 2**20)
    monkeypatch.setattr(Raw, "receive_buffer", 4096)
    deaf = RawSession(served.address)
    deaf.socket.settimeout(0.2)
    deaf.connect("A" * 30_000, "B" * 30_000)
    try:
        for _ in range(2000):  # answers of 60 kB, none of which is taken
            deaf.send(b"\x1a")
    except (TimeoutError, ConnectionError):
        pass
    assert in_loop(served, lambda: max(each.pending for each in served._hub.connections)) < 2**22  # type: ignore[union-attr]
    other = RawSession(served.address)
    assert other.connect("C", "D") == COMPLETE


def test_those_that_vanish_are_looked_for(served: GraphServer) -> None:
    session = RawSession(served.address)
    in_loop(served, lambda: [each.end_if_vanished(0.0) for each in served._hub.connections])  # type: ignore[union-attr]
    assert session.connect("A", "B") == COMPLETE
    assert session.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
