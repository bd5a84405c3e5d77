"""Clients of every kind come and go a thousand times, and nothing is left of them."""

import gc
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ezmsg.core.graphmeta import ProfilingStreamControl
from ezmsg.core.netprotocol import Command

from ezmsg.ledger.runtime.server.hub import Hub
from ezmsg.ledger.runtime.server.server import GraphServer

from .examined import HANDLES, Examined, in_loop
from .raw import COMPLETE, Raw, RawProcess, RawPublisher, RawSession, RawSubscriber, metadata, pickled, text, u64

CYCLES = 100
"""Of each of ten kinds."""


def session(address: Any, publisher: RawPublisher) -> Raw:
    raw = RawSession(address)
    raw.connect("A", "B")
    raw.register(metadata("SYS/U"))
    return raw


def process(address: Any, publisher: RawPublisher) -> Raw:
    raw = RawProcess(address)
    raw.register("SYS/U")
    raw.report("SYS/U", {"gain": 1.0})
    return raw


def stream(command: Command, argument: bytes) -> Callable[[Any, RawPublisher], Raw]:
    def opened(address: Any, publisher: RawPublisher) -> Raw:
        raw = Raw(address, command, argument)
        raw.text()
        assert raw.byte() == COMPLETE
        return raw

    return opened


def channel(address: Any, publisher: RawPublisher) -> Raw:
    raw = Raw(address, Command.CHANNEL, text(publisher.uuid))
    assert raw.byte() == COMPLETE
    return raw


def segment(address: Any, publisher: RawPublisher) -> Raw:
    raw = Raw(address, Command.SHM_CREATE, u64(2), u64(100))
    assert raw.byte() == COMPLETE
    return raw


KINDS: dict[str, Callable[[Any, RawPublisher], Raw]] = {
    "silent": lambda address, publisher: Raw(address),
    "session": session,
    "process": process,
    "publisher": lambda address, publisher: RawPublisher(address, "B"),
    "subscriber": lambda address, publisher: RawSubscriber(address, "X"),
    "channel": channel,
    "segment": segment,
    "topology": stream(Command.SESSION_TOPOLOGY_SUBSCRIBE, text("0")),
    "settings": stream(Command.SESSION_SETTINGS_SUBSCRIBE, text("0")),
    "profiling": stream(Command.SESSION_PROFILING_SUBSCRIBE, pickled(ProfilingStreamControl(interval=0.01))),
}


def kept(server: GraphServer) -> dict[str, int]:
    """How much the server has of everything that a connection brings."""
    [hub] = [each for each in gc.get_objects() if type(each) is Hub and each.live is server.live]
    state, history = hub.live.state, hub.history
    return {
        "tasks": len(server._tasks),
        "records": sum(map(len, (state.sessions, state.processes, state.endpoints, state.registrations, state.units))),
        "settings": len(state.settings) + len(state.components),
        "edges": len(state.ownership.nodes) + len(state.ownership.known()),
        "links": len(hub.router.publishers) + sum(map(len, hub.router.subscribers.values())),
        "processes": len(hub.requests.processes) + len(hub.requests._pending) + len(hub.traces.connected),
        "streams": len(hub.traces.streams) + history._readers + len(history._replays) + len(history._made),
        "segments": len(hub.leases._segments),
        "waiting": len(hub._durable_waiters) + len(history._waiters),
    }


def found(examined: Examined) -> tuple[int, list[str]]:
    """Open files of this process, in which the server runs as well, and segments that it made."""
    return len(os.listdir(HANDLES)), [name for name in examined.segments if Path("/dev/shm", name).exists()]


@pytest.mark.skipif(not Path(HANDLES).exists(), reason="needs /proc")
def test_nothing_is_left_of_a_thousand_clients_of_every_kind(server: GraphServer, examined: Examined) -> None:
    publisher = RawPublisher(server.address, "A")
    before, files = in_loop(server, lambda: kept(server)), found(examined)
    for number in range(CYCLES):
        raws = [make(server.address, publisher) for make in KINDS.values()]
        for place, raw in enumerate(raws):
            raw.reset() if (number + place) % 2 else raw.end()
    deadline = time.monotonic() + 5.0
    while (after := in_loop(server, lambda: kept(server))) != before or found(examined) != files:
        left = {key: value for key, value in after.items() if value != before[key]}
        assert time.monotonic() < deadline, (left, found(examined), files)
        time.sleep(0.005)
