"""Real pipelines of several processes go on, whatever becomes of the disk under the process that records them."""

import json
import os
import re
import shutil
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ezmsg.ledger import Ledger
from ezmsg.ledger import events as ev
from ezmsg.ledger.projections import GraphState, fold
from ezmsg.ledger.runtime.recorder.control_client import ask

from .conftest import fill

if sys.platform == "win32":
    pytest.skip("there are no signals to end a server with", allow_module_level=True)

DEGRADABLE = Path(__file__).with_name("degradable.py")
SMALL_QUEUE = "2048"  # bytes of events: less than a second pipeline brings


@dataclass
class Trouble:
    """Something that is wrong with the disk of a server, and can be put right; ``reason`` is what it says of it."""

    begin: Callable[[Path], None]
    end: Callable[[Path], None]
    reason: str


def flag(ledger: Path, name: str) -> Path:
    """The file that makes a call fail while it is there: not in the folder that is removed."""
    return ledger.parent.parent / name


TROUBLES = {
    "full": Trouble(
        lambda ledger: flag(ledger, "full").touch(), lambda ledger: flag(ledger, "full").unlink(), "No space left"
    ),
    "sync": Trouble(
        lambda ledger: flag(ledger, "sync").touch(),
        lambda ledger: flag(ledger, "sync").unlink(),
        "Input/output error",
    ),
    "removed": Trouble(lambda ledger: shutil.rmtree(ledger.parent), lambda ledger: ledger.parent.mkdir(), "removed"),
}


@dataclass
class Served:
    """A recording server, and a pipeline of two processes that goes on."""

    server: Any
    endless: Any
    address: str
    ledger: Path


@pytest.fixture
def served(desk: Any) -> Callable[..., Served]:
    def serve(*options: str) -> Served:
        ledger = desk.folder / "records" / "x.ledger"
        ledger.parent.mkdir()
        flags = ("--full-while", flag(ledger, "full"), "--syncs-fail-while", flag(ledger, "sync"))
        server = desk.start("python", DEGRADABLE, *options, *flags, "--", "serve", ledger, "--address", desk.free)
        address = server.until(r"EZMSG_GRAPHSERVER_ADDR=(\S+)")[1]
        endless = desk.start("python", desk.program("endless.py"), "--split", "spawn", EZMSG_GRAPHSERVER_ADDR=address)
        endless.until("heard 20")
        return Served(server, endless, address, ledger)

    return serve


@pytest.mark.parametrize(("what", "dropped"), [("full", False), ("full", True), ("sync", False), ("removed", False)])
def test_messages_flow_and_the_ledger_makes_up_for_it(
    desk: Any, served: Callable[..., Served], what: str, dropped: bool
) -> None:
    trouble = TROUBLES[what]
    here = served(*(["--queue", SMALL_QUEUE] if dropped else []))
    trouble.begin(here.ledger)
    run_another(desk, here.address)
    desk.poll(lambda: ask(here.address, "status")["degraded"] is not None, "the server has noticed")
    here.endless.until("heard")
    told = desk.do("ezmsg-ledger", "status", here.address)
    assert told.code == 7
    assert re.search(rf"DEGRADED +since .*{trouble.reason}", told.out)
    assert ("LOST" in told.out) == dropped

    trouble.end(here.ledger)
    desk.poll(lambda: ask(here.address, "status")["degraded"] is None, "it records again")
    here.endless.until("heard")
    os.kill(here.server.pid, signal.SIGTERM)
    told = here.server.end()
    assert told.code == 0, told.err
    assert told.err.count("CANNOT RECORD") == 1
    assert told.err.count("recording again") == 1
    assert told.err.count("LOST") == dropped

    [gap] = [event for event in replayed(here.ledger, told.err) if isinstance(event, ev.Gap)]
    assert trouble.reason in gap.reason
    if what == "removed":
        assert (gap.first, gap.lost) == (1, gap.last)
    else:
        assert (gap.lost > 0) == dropped
        assert gap.lost + gap.late == gap.last - gap.first + 1


def run_another(desk: Any, address: str) -> None:
    """A second pipeline comes, changes settings, ends: two processes, whose every message is checked."""
    told = desk.do(
        "python", desk.program("pipeline.py"), "--root", "TWO", "--split", "fork", EZMSG_GRAPHSERVER_ADDR=address
    )
    assert told.code == 0, told.err
    assert json.loads(told.out)["wrong"] == 0


def replayed(path: Path, said: str) -> list[Any]:
    """Check that the ledger is whole, and that its replay is what was lived; its events."""
    lived = re.search(r"lived (\d+) (\w+)", said)
    assert lived is not None
    with Ledger.open(path, "r") as ledger:
        assert ledger.verify().sound
        state = fold(ledger.read(until=int(lived[1])), GraphState())
        assert state.digest() == lived[2]
        assert state.sessions, "the pipeline was still there"
        return list(ledger.entries())


def test_a_server_that_stops_on_a_full_disk_says_what_is_lost(desk: Any, served: Callable[..., Served]) -> None:
    here = served()
    TROUBLES["full"].begin(here.ledger)
    here.endless.interrupt()
    assert here.endless.end().took_ctrl_c
    os.kill(here.server.pid, signal.SIGTERM)
    told = here.server.end()
    assert told.code == 6
    assert re.search(r"STOPPED WHILE IT COULD NOT BE WRITTEN: .* The last \d+ events are LOST\.", told.err)
    with Ledger.open(here.ledger, "r") as ledger:
        assert ledger.verify().sound


def test_run_on_a_disk_that_is_really_full(desk: Any, small_disk: Path) -> None:
    """And stays so to the end. The script never learns of it, and its exit code is that of ``run``."""
    ledger, ballast = small_disk / "x.ledger", small_disk / "ballast"
    words = ("run", "--ledger", ledger, "--address", desk.free, desk.program("endless.py"), "--split", "spawn")
    running = desk.start("ezmsg-ledger", *words)
    address = running.until(r"graph server at (\S+)\)")[1]
    running.until("heard 20")
    fill(ballast)
    desk.poll(lambda: bool(mark(address)["degraded"]), "the last page of the file is full")
    run_another(desk, address)
    assert desk.do("ezmsg-ledger", "status", address).code == 7
    running.until("heard")
    running.interrupt()
    told = running.end()
    assert told.took_ctrl_c, told.err
    assert told.err.count("CANNOT RECORD") == 1
    assert told.err.count("STOPPED WHILE IT COULD NOT BE WRITTEN") == 1
    with Ledger.open(ledger, "r") as opened:
        assert opened.verify().sound


def mark(address: str) -> Any:
    """Bring an event; how the recorder is then."""
    ask(address, "mark", name="m" * 200)
    return ask(address, "status")
