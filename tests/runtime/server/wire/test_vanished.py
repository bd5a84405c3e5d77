"""A client whose machine is gone says no goodbye; it ends all the same, and those that are there stay.

A network of its own, whose cable is pulled: nothing is dropped by a stand-in.
"""

import asyncio
import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ezmsg.core.graphserver import GraphService

from ezmsg.ledger import Ledger
from ezmsg.ledger import events as ev
from ezmsg.ledger.runtime import GraphServer
from ezmsg.ledger.runtime.server.wire.admission import Limits

HERE, THERE = "10.231.77.1", "10.231.77.2"
SILENT_S = 3.0
PATIENCE_S = 20.0

CLIENT = """
import asyncio, sys
from ezmsg.core.graphcontext import GraphContext

async def main():
    async with GraphContext((sys.argv[1], int(sys.argv[2])), auto_start=False) as context:
        await context.connect("A", "B")
        await context.subscriber("B")
        print("there", flush=True)
        await asyncio.sleep(600)

asyncio.run(main())
"""


@pytest.fixture
def cable(request: pytest.FixtureRequest) -> Iterator[tuple[Callable[..., Any], Callable[[], None]]]:
    """Another machine: a function that starts a program on it, and one that pulls its cable."""
    space, near, far = "ledger-vanished", "ezlv0", "ezlv1"

    def ip(*words: str, inside: bool = False) -> None:
        before = ["ip", "netns", "exec", space] if inside else []
        subprocess.run([*before, "ip", *words], check=True, capture_output=True, timeout=PATIENCE_S)

    programs = []

    def start(*command: str) -> "subprocess.Popen[str]":
        program = subprocess.Popen(["ip", "netns", "exec", space, *command], stdout=subprocess.PIPE, text=True)
        programs.append(program)
        return program

    with contextlib.ExitStack() as cleanup:
        try:
            ip("netns", "add", space)
            cleanup.callback(ip, "netns", "del", space)
            ip("link", "add", near, "type", "veth", "peer", "name", far, "netns", space)
            cleanup.callback(lambda: subprocess.run(["ip", "link", "del", near], capture_output=True))
            ip("addr", "add", f"{HERE}/30", "dev", near)
            ip("link", "set", near, "up")
            ip("addr", "add", f"{THERE}/30", "dev", far, inside=True)
            ip("link", "set", far, "up", inside=True)
            ip("link", "set", "lo", "up", inside=True)
        except (OSError, subprocess.CalledProcessError) as error:
            pytest.skip(f"no second network can be made here: {error}")

        def pull() -> None:
            ip("link", "set", far, "down", inside=True)

        yield start, pull
        for program in programs:
            with contextlib.suppress(ProcessLookupError):
                program.send_signal(signal.SIGCONT)
            program.kill()
            program.communicate()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GraphServer]:
    server = GraphServer(tmp_path / "x.ledger", limits=Limits(silent_s=SILENT_S))
    try:
        server.start((HERE, 0))
    except OSError as error:
        pytest.skip(f"no second network can be made here: {error}")
    yield server
    server.stop()


def closings(path: Path) -> list[Any]:
    with Ledger.open(path, "r") as ledger:
        return [event for event in ledger.entries() if isinstance(event, ev.SessionClosed | ev.EndpointClosed)]


@pytest.mark.parametrize("unacknowledged", [False, True])
def test_a_client_whose_cable_was_pulled(cable: Any, server: GraphServer, tmp_path: Path, unacknowledged: bool) -> None:
    """At rest, and when it is just being sent something, which it can no longer acknowledge."""
    start, pull = cable
    client = start(sys.executable, "-c", CLIENT, HERE, str(server.address.port))
    assert client.stdout.readline() == "there\n"
    pull()
    pulled = time.monotonic()
    if unacknowledged:
        asyncio.run(GraphService(server.address).connect("C", "B"))  # its subscriber is told of it
    while len(closings(tmp_path / "x.ledger")) < 2:
        assert time.monotonic() - pulled < PATIENCE_S, "it is there for ever"
        time.sleep(0.1)
    assert time.monotonic() - pulled < 3 * SILENT_S + 2
    ends = closings(tmp_path / "x.ledger")
    [session] = [event for event in ends if isinstance(event, ev.SessionClosed)]
    assert (session.reason, session.detail) == ("lost", "timeout")
    assert [event.reason for event in ends if isinstance(event, ev.EndpointClosed)] == ["lost"]


def test_a_client_that_is_stopped_is_still_there(cable: Any, server: GraphServer, tmp_path: Path) -> None:
    """As in a debugger: its program does nothing, but its machine answers."""
    start, _ = cable
    client = start(sys.executable, "-c", CLIENT, HERE, str(server.address.port))
    assert client.stdout.readline() == "there\n"
    client.send_signal(signal.SIGSTOP)
    time.sleep(3 * SILENT_S)
    assert closings(tmp_path / "x.ledger") == []
