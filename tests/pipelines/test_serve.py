"""``ezmsg-ledger serve``: several programs, one graph, and ezmsg's own commands against it."""

import os
import signal
import time
from typing import Any

import pytest

from ezmsg.ledger import Ledger
from ezmsg.ledger import events as ev

STOP_MAX_S = 2.0


def served(desk: Any, *arguments: Any) -> tuple[Any, str]:
    """A server that runs, and its address."""
    server = desk.start("ezmsg-ledger", "serve", *arguments, "--address", desk.free)
    address = server.until(r"EZMSG_GRAPHSERVER_ADDR=(\S+)")[1]
    return server, address


def test_two_pipelines_and_the_commands_of_ezmsg(desk: Any) -> None:
    ledger = desk.folder / "x.ledger"
    server, address = served(desk, ledger)
    here = {"EZMSG_GRAPHSERVER_ADDR": address}

    endless = desk.start("python", desk.program("endless.py"), "--root", "ONE", **here)
    endless.until("heard 20")
    graphviz = desk.start("python", "-m", "ezmsg.core", "graphviz", **here)
    mermaid = desk.start("python", "-m", "ezmsg.core", "mermaid", "-n", **here)
    other = desk.do("python", desk.program("pipeline.py"), "--root", "TWO", "--split", "fork", **here)
    assert other.code == 0, other.err
    assert '"wrong": 0' in other.out
    for drawing, arrow in ((graphviz.end(), "digraph"), (mermaid.end(), "flowchart")):
        assert drawing.code == 0, drawing.err
        assert arrow in drawing.out
        assert "TICKER" in drawing.out
        assert "http" not in drawing.out
    endless.interrupt()
    assert endless.end().code == 0

    begun = time.monotonic()
    server.interrupt()
    told = server.end()
    assert told.code == 0, told.err
    assert time.monotonic() - begun < STOP_MAX_S
    assert "ezmsg-ledger: recorded 2 sessions, 4 edges, 3 processes, 1 settings update, 0 refusals, 0 lost; " in told.err
    said = desk.account(ledger)
    assert said.runs == ["signal"]
    assert said.sessions == [("TWO", "closed"), ("ONE", "closed")]
    assert said.edges == {
        ("ONE/TICKER/OUTPUT", "ONE/HEARER/INPUT"): ["ONE"],
        ("TWO/SOURCE/OUTPUT", "TWO/SCALE/INPUT"): ["TWO"],
        ("TWO/SOURCE/OUTPUT_SETTINGS", "TWO/SCALE/INPUT_SETTINGS"): ["TWO"],
        ("TWO/SCALE/OUTPUT", "TWO/SINK/INPUT"): ["TWO"],
    }
    assert said.processes == [
        (("ONE/HEARER", "ONE/TICKER"), "closed"),
        (("TWO/SCALE", "TWO/SOURCE"), "closed"),
        (("TWO/SINK",), "closed"),
    ]
    assert (said.refused, said.torn) == ([], set())


def test_two_pipelines_of_one_name_collide_as_with_ezmsg(desk: Any) -> None:
    """The second is refused, and that stands in the ledger; SIGTERM stops the server though a pipeline still runs."""
    ledger = desk.folder / "x.ledger"
    server, address = served(desk, ledger)
    here = {"EZMSG_GRAPHSERVER_ADDR": address}
    endless = desk.start("python", desk.program("endless.py"), **here)
    endless.until("heard 20")
    second = desk.do("python", desk.program("endless.py"), **here)
    assert second.code == 1
    assert "address collision(s): CLOCK, CLOCK/HEARER, CLOCK/TICKER" in second.err
    begun = time.monotonic()
    os.kill(server.pid, signal.SIGTERM)
    told = server.end()
    assert told.code == 0, told.err
    assert time.monotonic() - begun < STOP_MAX_S
    assert "1 refusal, " in told.err
    said = desk.account(ledger)
    assert said.refused == ["register: collision"]
    assert said.sessions == [(None, "closed"), ("CLOCK", "server_stopped")]
    assert said.edges == {("CLOCK/TICKER/OUTPUT", "CLOCK/HEARER/INPUT"): ["CLOCK", None]}
    assert said.processes == [(("CLOCK/HEARER", "CLOCK/TICKER"), "server_stopped")]
    endless.interrupt()
    assert endless.end().code == 0


def test_fresh_drops_what_was_connected_for_good(desk: Any) -> None:
    """Also: ``ezmsg shutdown`` stops the server, and the ledger says who asked."""
    ledger = desk.folder / "x.ledger"
    for options, command in (((), ("connect", "A/OUT", "B/IN")), (("--fresh",), ("list",))):
        server, address = served(desk, ledger, *options)
        client = desk.do("python", desk.program("persistent.py"), *command, EZMSG_GRAPHSERVER_ADDR=address)
        assert (client.code, client.out) == (0, ""), client.err
        assert desk.do("python", "-m", "ezmsg.core", "shutdown", "--address", address).code == 0
        told = server.end()
        assert told.code == 0, told.err
        assert "ezmsg-ledger: the graph server was shut down from 127.0.0.1:" in told.err
    said = desk.account(ledger)
    assert said.runs == ["shutdown", "shutdown"]
    assert said.edges == {("A/OUT", "B/IN"): ["persistent"]}
    with Ledger.open(ledger, "r") as opened:
        events: list[Any] = list(opened.entries())
    kinds = [type(event).__name__ for event in events]
    assert kinds == ["ServerStarted", "EdgeConnected", "ServerStopped", "ServerStarted", "GraphCleared", "ServerStopped"]
    assert all(event.by.startswith("127.0.0.1:") for event in events if isinstance(event, ev.ServerStopped))
