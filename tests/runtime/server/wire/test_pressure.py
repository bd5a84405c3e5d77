"""What clients leave pending is bounded for all together: those with the most go first, and nobody else notices."""

import time

import pytest
from ezmsg.core.netprotocol import Command

from ezmsg.ledger import events as ev
from ezmsg.ledger.runtime.recorder.control_client import ask
from ezmsg.ledger.runtime.server import server as server_module
from ezmsg.ledger.runtime.server.server import GraphServer
from ezmsg.ledger.runtime.server.wire.admission import Limits
from ezmsg.ledger.runtime.server.wire.pressure import STEP
from tests.runtime.server.conftest import Serve, all_of
from tests.runtime.server.examined import ANSWER_S
from tests.runtime.server.raw import COMPLETE, Raw, RawSession, u64

MIB = 2**20


def test_a_crowd_that_sends_without_an_end_is_cut_off_from_the_largest_on(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "TEND_S", 0.01)
    server = serve(limits=Limits(pending_bytes=10 * MIB))
    session = RawSession(server.address)
    small = _unfinished(server.address, 1)
    large = [_unfinished(server.address, 4) for _ in range(4)]
    ended = 0
    for raw in large:
        raw.socket.settimeout(0.5)
        try:
            raw.expect_eof()
            ended += 1
        except TimeoutError:
            continue
    assert ended == 2, "16 MiB of the four, less two, are within bounds with the one"
    assert small.is_silent()
    assert session.connect("A", "B") == COMPLETE
    assert 9 * MIB <= ask(str(server.address), "status")["pending_bytes"] <= 10 * MIB


def test_what_is_within_bounds_is_left_alone(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "TEND_S", 0.01)
    server = serve(limits=Limits(pending_bytes=10 * MIB))
    raws = [_unfinished(server.address, 3) for _ in range(3)]
    deadline = time.monotonic() + 5.0
    while ask(str(server.address), "status")["pending_bytes"] < 9 * MIB:
        assert time.monotonic() < deadline
    assert all(raw.is_silent(0.02) for raw in raws)


def _never_tend(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "TEND_S", 3600.0)


def test_a_crowd_that_sends_is_cut_off_as_its_bytes_come_and_not_when_somebody_looks(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    _never_tend(monkeypatch)
    server = serve(limits=Limits(pending_bytes=10 * MIB))
    for _ in range(8):
        _unfinished(server.address, 4)
    _until_cut_off(server, 6)
    assert 4 * MIB <= ask(str(server.address), "status")["pending_bytes"] <= 10 * MIB * (1 + 1 / STEP)


def test_a_crowd_that_does_not_read_is_cut_off_as_it_is_written_to(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    _never_tend(monkeypatch)
    monkeypatch.setattr(Raw, "receive_buffer", 4096)
    server = serve(limits=Limits(pending_bytes=20 * MIB))
    session = RawSession(server.address)
    for number in range(40):
        session.connect("A", f"{number}" + "x" * 60_000)
    for _ in range(10):
        RawSession(server.address).send(Command.SESSION_SNAPSHOT)  # seven MiB, and never read
    _until_cut_off(server, 5)
    assert 8 * MIB <= ask(str(server.address), "status")["pending_bytes"] <= 20 * MIB * (1 + 1 / STEP)
    assert session.connect("A", "B") == COMPLETE


def _until_cut_off(server: GraphServer, count: int) -> None:
    deadline = time.monotonic() + ANSWER_S
    while len(closed := all_of(server, ev.SessionClosed)) < count:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    assert all(event.detail is not None and event.detail.startswith("cut off: clients left") for event in closed)


def _unfinished(address: tuple[str, int], mib: int) -> Raw:
    """A session that sends so much of a registration of 16 MiB, and then nothing."""
    session = RawSession(address)
    try:
        session.send(Command.SESSION_REGISTER, u64(16 * MIB), bytes(mib * MIB))
    except ConnectionError:  # cut off already
        pass
    return session
