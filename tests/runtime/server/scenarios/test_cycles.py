"""Clients of every kind come and go, and nothing is left of them.

A few of each with the suite; ``EZMSG_LEDGER_CYCLES=1000`` makes it a thousand.
"""

import gc
import os
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ezmsg.core.graphmeta import ProcessProfilingTraceBatch, ProfilingStreamControl
from ezmsg.core.netprotocol import Command

from ezmsg.ledger.runtime.server.hub import Hub
from ezmsg.ledger.runtime.server.server import _OPENERS, GraphServer
from tests.runtime.server.examined import ANSWER_S, HANDLES, Examined, handles, in_loop
from tests.runtime.server.raw import (
    COMPLETE,
    Raw,
    RawProcess,
    RawPublisher,
    RawSession,
    RawSubscriber,
    blob,
    metadata,
    pickled,
    text,
    u64,
)

CYCLES = int(os.environ.get("EZMSG_LEDGER_CYCLES", "40"))


class Others:
    """Who is there all the time: clients of some kinds are about others."""

    def __init__(self, server: GraphServer) -> None:
        self.address = server.address
        self.publisher = RawPublisher(self.address, "A")
        self.process = RawProcess(self.address)
        self.process.register("SYS/ASKED")
        self.lease = Raw(self.address, Command.SHM_CREATE, u64(2), u64(100))
        assert self.lease.byte() == COMPLETE
        self.segment = self.lease.text()
        gone = RawPublisher(self.address, "A")
        gone.end()
        self.gone = gone.uuid
        self.clients = (self.publisher, self.process, self.lease)


def session(others: Others) -> Raw:
    raw = RawSession(others.address)
    raw.connect("A", "B")
    raw.register(metadata("SYS/U"))
    raw.snapshot()
    return raw


def asking_session(others: Others) -> Raw:
    """It leaves before it has its answer."""
    raw = RawSession(others.address)
    raw.send_request("SYS/ASKED", "SLOW", 60.0, b"payload")
    others.process.next_request()
    return raw


def process(others: Others) -> Raw:
    raw = RawProcess(others.address)
    raw.register("SYS/U")
    raw.report("SYS/U", {"gain": 1.0})
    raw.send(Command.PROCESS_PROFILING_TRACE_UPDATE, pickled(ProcessProfilingTraceBatch(raw.uuid, 1, "host", 0.0, [])))
    return raw


def sync(others: Others) -> Raw:
    raw = Raw(others.address, Command.SYNC)
    assert others.publisher.byte() == Command.SYNC.value
    others.publisher.send(COMPLETE)
    assert raw.byte() == COMPLETE
    return raw


def told(command: Command) -> Callable[[Others], Raw]:
    """PAUSE and RESUME, which have no answer, but are passed on."""

    def opened(others: Others) -> Raw:
        raw = Raw(others.address, command)
        assert others.publisher.byte() == command.value
        return raw

    return opened


def answered(command: Command, *arguments: bytes) -> Callable[[Others], Raw]:
    """A kind that is answered by a byte and what may be behind it."""

    def opened(others: Others) -> Raw:
        raw = Raw(others.address, command, *arguments)
        raw.byte()
        return raw

    return opened


def stream(command: Command, argument: bytes) -> Callable[[Others], Raw]:
    def opened(others: Others) -> Raw:
        raw = Raw(others.address, command, argument)
        raw.text()
        assert raw.byte() == COMPLETE
        return raw

    return opened


KINDS: dict[str, Callable[[Others], Raw]] = {
    "sync": sync,
    "pause": told(Command.PAUSE),
    "resume": told(Command.RESUME),
    "silent": lambda others: Raw(others.address),
    "unknown": lambda others: Raw(others.address, b"\x63"),
    "half": lambda others: Raw(others.address, Command.CONNECT, text("A")),
    "session": session,
    "asking session": asking_session,
    "process": process,
    "publisher": lambda others: RawPublisher(others.address, "B"),
    "publisher without an address": lambda others: RawPublisher(others.address, "B", port=None),
    "subscriber": lambda others: RawSubscriber(others.address, "X"),
    "silent subscriber": lambda others: RawSubscriber(others.address, "A", acknowledge=False),
    "channel": lambda others: answered(Command.CHANNEL, text(others.publisher.uuid))(others),
    "late channel": lambda others: answered(Command.CHANNEL, text(others.gone))(others),
    "segment": answered(Command.SHM_CREATE, u64(2), u64(100)),
    "lease": lambda others: answered(Command.SHM_ATTACH, text(others.segment))(others),
    "topology": stream(Command.SESSION_TOPOLOGY_SUBSCRIBE, text("0")),
    "settings": stream(Command.SESSION_SETTINGS_SUBSCRIBE, text("0")),
    "profiling": stream(Command.SESSION_PROFILING_SUBSCRIBE, pickled(ProfilingStreamControl(interval=0.01))),
    "connect": answered(Command.CONNECT, text("P"), text("Q")),
    "disconnect": answered(Command.DISCONNECT, text("P"), text("Q")),
    "graph": answered(Command.DAG),
    "private": lambda others: Raw(others.address, b"\xf0", blob(b'{"do": "status"}')),
}


def kept(server: GraphServer) -> dict[str, int]:
    """How much the server has of everything that a connection brings."""
    [hub] = [each for each in gc.get_objects() if type(each) is Hub and each.live is server.live]
    state, history = hub.live.state, hub.history
    return {
        "connections": len(server._tasks) + len(hub.connections) + len(hub.admission),
        "records": sum(map(len, (state.sessions, state.processes, state.endpoints, state.registrations, state.units))),
        "requests": len(state.requests) + len(hub.requests._pending) + hub.requests._waiting,
        "settings": len(state.settings) + len(state.components),
        "edges": len(state.ownership.nodes) + len(state.ownership.known()),
        "links": len(hub.notices.publishers) + sum(map(len, hub.notices.subscribers.values())),
        "syncs": sum(len(link._syncs._waiting) for link in hub.notices.publishers.values()),
        "processes": len(hub.requests.processes) + len(hub.traces.connected),
        "streams": len(hub.streams) + len(hub.traces.streams) + history._readers,
        "history": len(history._replays) + len(history._made),
        "refusals": len(hub.live._refusals._windows),
        "segments": len(hub.leases._segments) + hub.leases.bytes,
        "waiting": len(hub._durable_waiters._waiting) + len(history._waiters),
    }


def found(examined: Examined) -> tuple[Counter[str], list[str]]:
    """Open files of this process, in which the server runs as well, and segments that it made."""
    return handles(), [name for name in examined.segments if Path("/dev/shm", name).exists()]


@pytest.fixture
def openers(monkeypatch: pytest.MonkeyPatch) -> set[bytes]:
    """What the connections of a test began with."""
    sent: set[bytes] = set()
    connect = Raw.__init__

    def noted(self: Raw, address: Any, opener: Command | bytes = b"", *parts: bytes, **options: Any) -> None:
        sent.add(opener.value if isinstance(opener, Command) else opener)
        connect(self, address, opener, *parts, **options)

    monkeypatch.setattr(Raw, "__init__", noted)
    return sent


@pytest.mark.skipif(not Path(HANDLES).exists(), reason="needs /proc")
def test_nothing_is_left_of_clients_of_every_kind(
    server: GraphServer, examined: Examined, openers: set[bytes]
) -> None:
    others = Others(server)
    openers.clear()
    for make in KINDS.values():  # what a first one brings for good: the kind of a refusal, say
        make(others).end()
    assert openers >= set(_OPENERS) - {Command.SHUTDOWN.value}
    deadline = time.monotonic() + ANSWER_S
    while in_loop(server, lambda: len(server._tasks)) > len(others.clients):
        assert time.monotonic() < deadline
    before, files = in_loop(server, lambda: kept(server)), found(examined)
    for number in range(CYCLES):
        for place, raw in enumerate([make(others) for make in KINDS.values()]):
            raw.reset() if (number + place) % 2 else raw.end()
    deadline = time.monotonic() + ANSWER_S
    while (after := in_loop(server, lambda: kept(server))) != before or found(examined) != files:
        assert time.monotonic() < deadline, (before, after, files, found(examined))
        time.sleep(0.005)
