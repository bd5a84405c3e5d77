"""A session whose program is dead, and whose forked child keeps it: named by the refusal, ended by ``evict``."""

import json
import os
import re
import signal
from pathlib import Path
from typing import Any

import psutil
import pytest

from ezmsg.ledger import Ledger
from ezmsg.ledger import events as ev

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


@pytest.fixture
def ghost(desk: Any) -> Any:
    """A server, and the forked child of a pipeline whose main process was killed: address, ledger, its pid."""
    ledger = desk.folder / "x.ledger"
    server = desk.start("ezmsg-ledger", "serve", ledger, "--address", desk.free)
    address = server.until(r"EZMSG_GRAPHSERVER_ADDR=(\S+)")[1]
    endless = desk.start("python", desk.program("endless.py"), "--split", "fork", EZMSG_GRAPHSERVER_ADDR=address)
    endless.until("heard 20")
    [child] = [each.pid for each in psutil.Process(endless.pid).children() if "endless" in " ".join(each.cmdline())]
    os.kill(endless.pid, signal.SIGKILL)
    endless.process.wait(10)
    yield address, ledger, child
    psutil.Process(child).kill()


def closed(ledger: Path) -> list[Any]:
    with Ledger.open(ledger, "r") as reader:
        return [event for event in reader.entries() if isinstance(event, ev.SessionClosed)]


def test_the_refusal_names_who_is_in_the_way_and_evict_ends_it(desk: Any, ghost: Any) -> None:
    """ezmsg#252: the child of a killed program holds its session."""
    address, ledger, child = ghost
    again = ("python", desk.program("endless.py"))
    assert closed(ledger) == []
    refused = desk.start(*again, EZMSG_GRAPHSERVER_ADDR=address)
    assert refused.end().code != 0
    told = desk.do("ezmsg-ledger", "log", ledger, "--refused")
    assert told.code == 0, told.err
    said = told.out
    found = re.search(r"session (\d+), open for [\d.]+ m?s, held by process (\d+) \(", said)
    assert found is not None, said
    assert int(found[2]) == child

    told = desk.do("ezmsg-ledger", "evict", found[1], address, "--author", "anna")
    assert told.code == 0, told.err
    assert told.out.startswith(f"evicted session {found[1]} (CLOCK) from 127.0.0.1:")
    [gone] = [event for event in closed(ledger) if event.session == int(found[1])]
    assert gone.reason == "lost"
    assert re.fullmatch(r"evicted by anna \(127\.0\.0\.1:\d+\)", gone.detail)
    assert "evicted by anna" in desk.do("ezmsg-ledger", "sessions", ledger).out

    if desk.do("ezmsg-ledger", "evict", str(child), address).code == 0:  # it may have left with its session
        with Ledger.open(ledger, "r") as reader:
            [process] = [
                event
                for event in reader.entries()
                if isinstance(event, ev.ProcessClosed) and "evicted" in (event.detail or "")
            ]
        assert process.reason == "lost"
    runs = desk.start(*again, EZMSG_GRAPHSERVER_ADDR=address)
    runs.until("heard 20")
    runs.interrupt()
    assert runs.end().took_ctrl_c


def test_evicting_nobody(desk: Any, ghost: Any) -> None:
    address, ledger, child = ghost
    told = desk.do("ezmsg-ledger", "evict", "nobody", address)
    assert told.code == 1
    assert re.search(r"there is no session or process 'nobody'; there is session \d+ CLOCK, process ", told.err)
    assert f"pid {child}" in told.err
    assert closed(ledger) == []
    told = desk.do("ezmsg-ledger", "evict", str(child), address, "--json")
    assert json.loads(told.out)["kind"] == "process"
