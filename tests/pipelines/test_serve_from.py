"""``serve --from``: a new ledger that begins with the wiring of another one's past, and real programs that join it."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from ezmsg.ledger import Ledger
from ezmsg.ledger.projections import Timeline
from ezmsg.ledger.runtime.live import LiveGraph


@pytest.fixture
def old(desk: Any) -> Path:
    """Edges of the endless program, held by a session that is there at the mark and gone at the end; one persistent."""
    path: Path = desk.folder / "old@lab.ledger"
    with Ledger.open(path) as ledger:
        live = LiveGraph(ledger)
        clock = live.open_session(label="CLOCK")
        live.connect("CLOCK/TICKER/OUTPUT", "CLOCK/HEARER/INPUT", clock)
        live.connect("A", "B")
        live.note(mark("up"))
        live.close_session(clock)
        live.connect("B", "C")
        live.close()
    return path


def mark(name: str) -> Any:
    from ezmsg.ledger import events as ev

    return ev.Mark(name=name)


def test_persistent_edges_of_the_end(desk: Any, old: Path) -> None:
    new = desk.folder / "new.ledger"
    server = desk.start("ezmsg-ledger", "serve", new, "--from", old, "--address", desk.free)
    server.until(r"restored 2 persistent edges, as at end of")
    address = server.until(r"EZMSG_GRAPHSERVER_ADDR=(\S+)")[1]
    told = desk.do("python", "-m", "ezmsg.core", "graphviz", EZMSG_GRAPHSERVER_ADDR=address)
    assert "digraph" in told.out
    os.kill(server.pid, signal.SIGTERM)
    assert server.end().code == 0
    with Ledger.open(new, "r") as ledger, Ledger.open(old, "r") as before:
        assert ledger.origins[-1].ledger == before.id
        assert {edge for edge, _ in Timeline(ledger).at("end").ownership.edges()} == {("A", "B"), ("B", "C")}
    told = desk.do("ezmsg-ledger", "verify", new, "--origin", old)
    assert (told.code, "its origin is as it was" in told.out) == (0, True), told.out
    assert f"restored from {before.id}:" in desk.do("ezmsg-ledger", "why", new, "A", "B").out


def test_all_edges_are_held_until_the_program_is_there_and_the_session_is_evicted(desk: Any, old: Path) -> None:
    new = desk.folder / "new.ledger"
    words = ("serve", new, "--from", f"{old}@mark:up", "--hold", "--address", desk.free)
    server = desk.start("ezmsg-ledger", *words)
    server.until(r'restored 1 persistent edge, and 1 edge that session "restored" holds, as at mark:up of')
    address = server.until(r"EZMSG_GRAPHSERVER_ADDR=(\S+)")[1]
    endless = desk.start("python", desk.program("endless.py"), EZMSG_GRAPHSERVER_ADDR=address)
    endless.until("heard 20")
    told = desk.do("ezmsg-ledger", "evict", "restored", address)
    assert told.code == 0, told.err
    endless.until("heard")  # its own hold is enough
    endless.interrupt()
    assert endless.end().code == 0
    server.interrupt()
    assert server.end().code == 0
    told = desk.do("ezmsg-ledger", "history", new, "CLOCK/TICKER/OUTPUT -> CLOCK/HEARER/INPUT")
    assert '"restored"' in told.out
    assert '"CLOCK"' in told.out
    assert "evicted by" in told.out


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["new.ledger", "--from", "none.ledger@5"], "there is no ledger none.ledger"),
        (["new.ledger", "--from", "{old}@mark:none"], "mark"),
        (["{old}", "--from", "{old}"], "exists"),
        (["--from", "{old}"], "--from needs the name of the new ledger"),
        (["new.ledger", "--hold"], "--hold is about the edges of another ledger"),
        (["new.ledger", "--from", "{old}", "--fresh"], "--fresh drops the edges"),
    ],
)
def test_what_cannot_be(desk: Any, old: Path, words: list[str], why: str) -> None:
    told = desk.do("ezmsg-ledger", "serve", *(word.format(old=old) for word in words), "--address", desk.free)
    assert told.code == 2, told.err
    assert why in told.err
    assert not (desk.folder / "new.ledger").exists()


def test_a_taken_address_leaves_nothing(desk: Any, old: Path) -> None:
    server = desk.start("ezmsg-ledger", "serve", desk.folder / "x.ledger", "--address", desk.free)
    address = server.until(r"EZMSG_GRAPHSERVER_ADDR=(\S+)")[1]
    told = desk.do("ezmsg-ledger", "serve", desk.folder / "new.ledger", "--from", old, "--address", address)
    assert told.code == 2, told.err
    assert not (desk.folder / "new.ledger").exists()
    server.interrupt()
    assert server.end().code == 0
