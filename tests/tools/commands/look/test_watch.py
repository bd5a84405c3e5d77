"""``watch``, as a script and as a person sees it: lines as they come, causes, exit codes."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ezmsg.ledger import events as ev
from ezmsg.ledger.log import Ledger
from ezmsg.ledger.tools import exits

Run = Callable[..., Any]
COMMAND = [sys.executable, "-m", "ezmsg.ledger.tools.cli", "watch"]
WAIT_S = 60


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(tmp_path / "rig.ledger") as ledger:
        ledger.append([ev.SessionOpened(uuid="u", label="viewer")])
        yield ledger


@pytest.fixture
def start(rig: Ledger) -> Iterator[Callable[..., "subprocess.Popen[str]"]]:
    begun: list[subprocess.Popen[str]] = []

    def start(*words: str) -> "subprocess.Popen[str]":
        command = [*COMMAND, rig.location, *words]
        begun.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        return begun[-1]

    yield start
    for each in begun:
        if each.poll() is None:
            each.kill()
        each.communicate(timeout=WAIT_S)


def line(watching: "subprocess.Popen[str]") -> str:
    assert watching.stdout is not None
    return watching.stdout.readline()


def test_each_change_is_printed_when_it_comes_with_who_did_it(rig: Ledger, start: Any) -> None:
    watching = start("A -> B")
    assert line(watching) == "edge A -> B is false at seq 1\n"
    rig.append([ev.EdgeConnected(from_topic="A", to_topic="B", owner=1)])
    assert line(watching).endswith('seq 2  true   session 1 "viewer" connected A -> B\n')
    rig.append([ev.SessionClosed(session=1, reason="lost", detail="reset")])
    assert line(watching).endswith('seq 3  false  session 1 "viewer" was lost (reset)\n')
    watching.send_signal(signal.SIGINT)
    assert watching.wait(WAIT_S) == exits.INTERRUPTED
    assert "there never was a topic 'A'; it is waited for" in watching.stderr.read()


def test_a_script_waits_until_it_is_so(rig: Ledger, start: Any) -> None:
    watching = start("A -> B", "--until", "true", "--json")
    assert json.loads(line(watching))["now"] is False
    rig.append([ev.EdgeConnected(from_topic="A", to_topic="B", owner=1)])
    told = json.loads(line(watching))
    assert (told["seq"], told["now"], told["cause"]["kind"], told["cause"]["session"]) == (2, True, "connected", 1)
    assert watching.wait(WAIT_S) == exits.OK


def test_exit_codes_are_for_scripts(run: Run, rig: Ledger) -> None:
    assert run("watch", rig.location, "session viewer", "--until", "true").code == exits.OK
    over = run("watch", rig.location, "session viewer", "--until", "false", "--timeout", "0.1")
    assert over.code == exits.NO
    assert "session viewer is still true after 0.1 s" in over.err
    assert run("watch", rig.location, "session viewer", "--timeout", "0.1").code == exits.OK
    mistake = run("watch", rig.location, "path A ->")
    assert mistake.code == exits.USAGE
    assert "the predicate ends where the name of a topic was expected" in mistake.err
    assert run("watch", rig.location).code == exits.USAGE


def test_a_ledger_that_goes_away_ends_it_with_one_message(rig: Ledger, start: Any) -> None:
    watching = start("A -> B")
    line(watching)
    Path(rig.location).unlink()
    assert watching.wait(WAIT_S) == exits.DAMAGED
    err = watching.stderr.read()
    assert "was removed or replaced while it was followed" in err
    assert "Traceback" not in err
