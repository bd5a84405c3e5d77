"""Real traffic, spoiled: the server stays up, answers others at once, runs nothing, and its ledger tells its state.

A short share runs with the suite, the same on each run. ``EZMSG_LEDGER_FUZZ=20000`` runs that many examples, new ones
each time.
"""

import os
import socket
import sys
import time
from pathlib import Path

import psutil
import pytest
from ezmsg.core.netprotocol import Command
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ezmsg.ledger.projections.graph.state import GraphState
from ezmsg.ledger.projections.projection import fold
from ezmsg.ledger.runtime.recorder.control_client import ask
from ezmsg.ledger.runtime.server.server import GraphServer
from tests.runtime.server.examined import in_loop
from tests.runtime.server.raw import COMPLETE, Raw, RawPublisher, RawSession, u64

from .mutations import hostile, mutated
from .traffic import Traffic, openers, record

LONG = os.environ.get("EZMSG_LEDGER_FUZZ")
EXAMPLES = int(LONG) if LONG else 300
CHECK_EVERY = 50
"""Examples after which the state is compared with its ledger, which takes longer the longer the ledger is."""

ANSWER_MAX_S = 1.0
MEMORY_MAX = 96 * 2**20 + EXAMPLES * 8 * 2**10
"""What the process may have more at the end: no example may leave its megabytes behind. The kilobytes are those of the
test itself, which keeps what the server logs."""


@pytest.fixture(scope="module")
def traffic(tmp_path_factory: pytest.TempPathFactory) -> Traffic:
    return record(tmp_path_factory.mktemp("traffic"))


def test_every_kind_of_client_was_recorded(traffic: Traffic) -> None:
    alone = {"SHUTDOWN"}
    own = {"TX_", "RX_", "SESSION_", "PROCESS_", "SHM_OK", "SHM_ATTACH_F", "COMPLETE", "CYCLIC", "UPDATE", "ERROR"}
    own |= {"ELIDE_", "AXIS_"}  # of ezmsg 3.10, from a channel to its publisher
    every = {command.name for command in Command if not command.name.startswith(tuple(own))} - alone
    streams = {f"SESSION_{kind}_SUBSCRIBE" for kind in ("TOPOLOGY", "SETTINGS", "PROFILING")}
    assert openers(traffic.streams) == every | streams | {"PRIVATE"}


def replay(server: GraphServer, stream: bytes) -> None:
    """Say it all, end, and wait until the server has closed: it has no reason to keep whoever has left."""
    with socket.create_connection(server.address, timeout=5.0) as client:
        try:
            client.sendall(stream)
            client.shutdown(socket.SHUT_WR)
            while client.recv(65536):
                pass
        except TimeoutError:
            raise
        except OSError:  # cut off
            pass


def test_nothing_that_can_be_sent_harms_the_server(server: GraphServer, traffic: Traffic, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    pickles = hostile(str(canary))
    publisher = RawPublisher(server.address, "A")
    lease = Raw(server.address, Command.SHM_CREATE, u64(4), u64(1000))
    assert lease.byte() == COMPLETE
    streams = traffic.aimed_at(publisher.uuid, lease.text())
    healthy = RawSession(server.address)
    process, memory = psutil.Process(), psutil.Process().memory_info().rss
    done = 0
    imported = "this" in sys.modules

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=LONG is None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.data())
    def spoil(data: st.DataObject) -> None:
        nonlocal done
        stream = mutated(data, data.draw(st.sampled_from(streams), "stream"), pickles)
        if stream[:1] == Command.SHUTDOWN.value:  # which is obeyed
            return
        replay(server, stream)
        began = time.monotonic()
        topic = f"{done % 7}"
        assert healthy.connect("H", topic) == COMPLETE
        assert healthy.disconnect("H", topic) == COMPLETE
        assert time.monotonic() - began < ANSWER_MAX_S
        assert not canary.exists(), "it ran what it was sent"
        done += 1
        if done % CHECK_EVERY == 0:
            in_loop(server, lambda: _check(server))

    spoil()
    assert done > EXAMPLES // 2
    assert ("this" in sys.modules) == imported, "it imported what it was told to"
    answer = ask(str(server.address), "status")
    assert answer["last_error"] is None
    assert answer["sessions"] == 1
    grown = process.memory_info().rss - memory
    assert grown < MEMORY_MAX, f"{grown} bytes more after {done} examples"


def _check(server: GraphServer) -> None:
    assert server.live is not None
    server.live.check()
    assert server.live.state.digest() == fold(server.live.ledger.read(), GraphState()).digest()
