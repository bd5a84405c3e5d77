"""Commands that come in one turn of the server's loop share a commit, and are answered when that is written."""

import asyncio
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from ezmsg.core.graphcontext import GraphContext

from ezmsg.ledger import Ledger
from ezmsg.ledger import events as ev
from ezmsg.ledger.errors import LedgerClosed
from ezmsg.ledger.runtime.recorder.control_client import ask
from ezmsg.ledger.runtime.server import shared_commits
from ezmsg.ledger.runtime.server.server import GraphServer
from tests.runtime.server.conftest import Serve
from tests.runtime.server.examined import ANSWER_S, Examined, in_loop
from tests.runtime.server.raw import COMPLETE, Raw, RawSession, text

CONNECT = b"\x16"
CLIENTS = 20


def commits(path: Path) -> list[int]:
    """How many events each commit of a ledger file has."""
    return [msgspec.json.decode(line)["count"] for line in path.read_bytes().splitlines() if b"ledger.commit" in line]


def at_once(server: GraphServer, sessions: Sequence[Raw], requests: Sequence[bytes]) -> None:
    """Send each session's request while the server's loop is busy, so that it finds all of them in its next turn."""
    sent, busy = threading.Event(), threading.Event()

    def wait() -> None:
        busy.set()
        assert sent.wait(ANSWER_S)

    assert server._loop is not None
    server._loop.call_soon_threadsafe(wait)
    assert busy.wait(ANSWER_S)
    for session, request in zip(sessions, requests, strict=True):
        session.send(request)
    sent.set()


def edge(number: int) -> bytes:
    return CONNECT + text(f"A{number}") + text(f"B{number}")


@pytest.mark.parametrize("durability", ["interval", "commit", "none"])
def test_clients_that_send_at_once_share_commits(serve: Serve, tmp_path: Path, durability: str) -> None:
    server = serve(tmp_path / "x.ledger", durability=durability)
    sessions = [RawSession(server.address) for _ in range(CLIENTS)]
    before = len(commits(tmp_path / "x.ledger"))
    at_once(server, sessions, [edge(number) for number in range(CLIENTS)])
    for number, session in enumerate(sessions):
        assert session.read(1) == COMPLETE
        with Ledger.open(tmp_path / "x.ledger", "r") as reader:  # what was acknowledged is in the file
            held = {event.from_topic for event in reader.entries() if isinstance(event, ev.EdgeConnected)}
        assert f"A{number}" in held
    added = commits(tmp_path / "x.ledger")[before:]
    assert sum(added) == CLIENTS
    assert max(added) > 1, "nothing was shared"
    assert len(added) <= CLIENTS // 2
    server.stop()
    with Ledger.open(tmp_path / "x.ledger", "r") as reader:
        assert reader.verify().sound
        edges = [event for event in reader.entries() if isinstance(event, ev.EdgeConnected)]
    assert len({event.owner for event in edges}) == CLIENTS


def test_a_client_that_is_alone_has_a_commit_for_each_command(serve: Serve, tmp_path: Path) -> None:
    server = serve(tmp_path / "x.ledger")

    async def wire() -> None:
        async with GraphContext(server.address, auto_start=False) as context:
            for number in range(50):
                await context.connect(f"A{number}", f"B{number}")

    asyncio.run(wire())
    server.stop()
    counts = commits(tmp_path / "x.ledger")
    with Ledger.open(tmp_path / "x.ledger", "r") as reader:
        first = next(event.seq for event in reader.entries() if isinstance(event, ev.EdgeConnected))
    ends = [sum(counts[: place + 1]) for place in range(len(counts))]
    assert {first + number for number in range(50)} <= set(ends)


def test_answers_keep_their_order(server: GraphServer) -> None:
    """A client that sends many commands at once gets its answers in their order, whatever others send."""
    sessions = [RawSession(server.address) for _ in range(4)]
    requests = [
        b"".join(edge(100 * number + place) + CONNECT + text("X") + text("X") for place in range(10))
        for number in range(4)
    ]
    at_once(server, sessions, requests)
    for session in sessions:
        assert session.read(20) == (COMPLETE + b"\x05") * 10


def test_who_asks_meanwhile_is_shown_what_is_written_alone(server: GraphServer) -> None:
    """A snapshot, a receipt and a status settle what is held before they show it."""
    sessions = [RawSession(server.address) for _ in range(3)]
    live = server.live
    assert live is not None

    def hold() -> tuple[int, int, int]:
        live.holding = True
        owner = next(iter(live.state.sessions))
        live.connect("HELD", "HERE", owner)
        live.holding = False
        seen = live.spool.held, live.state.seq, live.ledger.head
        live.spool.read(0).__next__()
        assert (live.spool.held, live.ledger.head) == (0, live.state.seq)
        live.holding = True
        live.connect("HELD", "THERE", owner)
        live.holding = False
        return seen

    held, lived, written = in_loop(server, hold)
    assert (held, lived, written) == (1, lived, lived - 1)
    receipt = ask(str(server.address), "receipt")
    upto = int(receipt["receipt"].split('"upto":')[1].split(",")[0])
    assert upto == live.state.seq
    assert sessions[0].snapshot().graph["HELD"] == ["HERE", "THERE"]


def test_a_fault_cuts_off_who_was_not_answered(
    serve: Serve, examined: Examined, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What cannot be recorded, and not for the disk's sake, is never acknowledged."""
    monkeypatch.setattr(shared_commits, "CROWD_S", ANSWER_S)  # a busy machine may take a millisecond for each command
    server = serve()
    sessions = [RawSession(server.address) for _ in range(3)]
    live = server.live
    assert live is not None
    examined.faults.expected.append("could not be recorded")
    append_late: Any = live.ledger.append_late

    def fail(events: list[Any]) -> None:
        monkeypatch.setattr(live.ledger, "append_late", append_late)
        raise LedgerClosed("closed by somebody else")

    monkeypatch.setattr(live.ledger, "append_late", fail)
    at_once(server, sessions, [edge(number) for number in range(3)])
    answers = [session.socket.recv(1) for session in sessions]
    assert sorted(answers) == [b"", b"", COMPLETE], "the first one was alone, and is recorded"
