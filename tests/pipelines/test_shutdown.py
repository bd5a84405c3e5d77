"""However pipeline, runner or recorder end, the pipeline ends as it does without us, and nothing recorded is lost."""

import os
import signal
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from ezmsg.ledger import Ledger
from ezmsg.ledger import events as ev
from ezmsg.ledger.tools.commands.record.run import Signals

EDGE = {("CLOCK/TICKER/OUTPUT", "CLOCK/HEARER/INPUT"): ["CLOCK"]}
UNITS = ("CLOCK/HEARER", "CLOCK/TICKER")

PRESS_AGAIN_S = 5.0
"""After which a person presses Ctrl-C a second time."""


def started(desk: Any, ledger: Path, *before: str, split: str | None = None) -> Any:
    """endless.py under ``run``, at the point where messages arrive and the ledger says that all units run."""
    options = ["--split", split] if split else []
    command = ("ezmsg-ledger", "run", "-a", desk.free, "-l", ledger, desk.program("endless.py"), *options)
    program = desk.start(*before, *desk.command(*command) if before else command)
    program.until("heard 20")
    missing = set(UNITS)

    def whole(event: Any) -> bool:
        missing.difference_update(event.units if isinstance(event, ev.ProcessRegistered) else ())
        return not missing

    desk.follow(ledger, whole)
    return program


def run_pid(ledger: Path) -> int:
    """The process that records: the last one that said so."""
    with Ledger.open(ledger, "r") as opened:
        return [event.pid for event in opened.entries() if isinstance(event, ev.ServerStarted)][-1]


@pytest.mark.parametrize("split", [None, "fork"])
def test_ctrl_c(desk: Any, split: str | None) -> None:
    """ezmsg clears what it holds; so nothing is lost, and the exit code is ezmsg's own for a good end."""
    ledger = desk.folder / "x.ledger"
    program = started(desk, ledger, split=split)
    program.interrupt()
    told = program.end()
    assert told.code == 0, told.err
    assert "Attempting graceful shutdown" in told.err
    assert "Traceback" not in told.err.split("ezmsg-ledger: recorded")[1]
    said = desk.account(ledger)
    assert said.runs == ["stopped"]
    assert said.sessions == [("CLOCK", "closed")]
    assert said.edges == EDGE
    assert said.processes == ([((unit,), "closed") for unit in UNITS] if split else [(UNITS, "closed")])
    assert said.torn == set()
    assert ", 0 sessions lost; " in told.err


@pytest.mark.parametrize(
    ("number", "to", "code"),
    [
        (signal.SIGTERM, "runner", 143),
        (signal.SIGHUP, "runner", 129),
        (signal.SIGHUP, "group", 129),  # as when the terminal is closed
        (signal.SIGKILL, "script", 137),
    ],
)
def test_a_signal_that_kills_the_script(desk: Any, number: signal.Signals, to: str, code: int) -> None:
    """SIGTERM and SIGHUP to the runner reach the script; what it held is lost with it."""
    ledger = desk.folder / "x.ledger"
    program = started(desk, ledger)
    if to == "group":
        os.killpg(program.pid, number)
    else:
        os.kill(script_pid(ledger) if to == "script" else program.pid, number)
    told = program.end()
    assert told.code == code
    assert f"ezmsg-ledger: the script was ended by {number.name}" in told.err
    assert ", 1 session lost; " in told.err
    said = desk.account(ledger)
    assert said.runs == ["stopped"]
    assert said.sessions == [("CLOCK", "lost")]
    assert said.edges == EDGE
    assert [units for units, _ in said.processes] == [UNITS]


def script_pid(ledger: Path) -> int:
    with Ledger.open(ledger, "r") as opened:
        return next(event.pid for event in opened.entries() if isinstance(event, ev.ProcessRegistered))


def test_what_nohup_ignores_stays_ignored(desk: Any) -> None:
    ledger = desk.folder / "x.ledger"
    program = started(desk, ledger, "sh", "-c", "trap '' HUP; exec \"$@\"", "sh")
    os.killpg(program.pid, signal.SIGHUP)  # as at logging out
    program.until("heard .*00")
    os.kill(program.pid, signal.SIGTERM)
    assert program.end().code == 143
    assert desk.account(ledger).sessions == [("CLOCK", "lost")]


def test_a_killed_runner_leaves_no_recorder_behind(desk: Any) -> None:
    """The script goes on; the recorder waits for it a moment, then ends the run and seals the ledger by itself."""
    ledger = desk.folder / "x.ledger"
    program = started(desk, ledger)
    script, recorder = script_pid(ledger), run_pid(ledger)
    program.process.kill()
    program.until("heard .*00")
    stopped = desk.follow(ledger, lambda event: isinstance(event, ev.ServerStopped))
    assert stopped.reason == "stopped"
    desk.poll(lambda: not _runs(recorder), "the recorder ends")
    said = desk.account(ledger)
    assert said.sessions == [("CLOCK", "server_stopped")]
    assert said.edges == EDGE
    assert said.processes == [(UNITS, "server_stopped")]
    assert _runs(script)


def test_a_killed_recorder_leaves_the_pipeline_alone(desk: Any) -> None:
    """As with a killed server of ezmsg's own no more is heard, and Ctrl-C ends it well. The next run finds the loss."""
    ledger = desk.folder / "x.ledger"
    program = started(desk, ledger)
    os.kill(run_pid(ledger), signal.SIGKILL)
    desk.poll(lambda: not _runs(run_pid(ledger)), "the recorder is gone")
    assert program.process.poll() is None
    # ezmsg waits for ever for the answer to what it asked in the very moment that its server died; a second Ctrl-C ends
    # that, with the code that shells give it
    program.interrupt()
    if not program.ends_within(PRESS_AGAIN_S):
        program.interrupt()
    told = program.end()
    assert told.code in (0, 130), told.err
    assert "ezmsg-ledger: THE RECORDER ENDED BEFORE THE SCRIPT (killed by SIGKILL)" in told.err
    assert "ezmsg-ledger: recorded 1 session, 1 edge, 1 process" in told.err
    before = desk.account(ledger, sealed=False)
    assert before.runs == []
    assert before.edges == EDGE
    assert (before.sessions, before.processes) == ([], [])

    again = desk.do("ezmsg-ledger", "run", "-a", desk.free, "-l", ledger, desk.program("echo.py"), stdin="")
    assert again.code == 3, again.err
    after = desk.account(ledger)
    assert after.runs == ["lost", "stopped"]
    with Ledger.open(ledger, "r") as opened:
        events: list[Any] = list(opened.entries())
    first = next(event for event in events if isinstance(event, ev.ServerStarted))
    lost = next(event for event in events if isinstance(event, ev.ServerLost))
    assert lost.server == first.seq
    assert first.time < lost.last_seen <= lost.time


def test_ctrl_c_before_the_script_is_up(desk: Any) -> None:
    """The script dies of it as it would by itself; the runner stays to the end, and says what there is."""
    ledger = desk.folder / "x.ledger"
    slow = desk.folder / "slow.py"
    slow.write_text("import time\nprint('slow', flush=True)\ntime.sleep(60)\n")
    program = desk.start("ezmsg-ledger", "run", "-a", desk.free, "-l", ledger, slow)
    program.until("slow")
    program.interrupt()
    told = program.end()
    assert told.code == 130
    assert "KeyboardInterrupt" in told.err  # Python's, of the script
    assert told.err.count("Traceback") == 1
    assert "NOTHING WAS RECORDED" in told.err
    assert desk.account(ledger).runs == ["stopped"]


def test_a_signal_that_comes_before_the_script_is_there_is_kept_for_it() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with Signals() as signals:
        os.kill(os.getpid(), signal.SIGTERM)
        assert signals.run([sys.executable, "-c", "import time; time.sleep(60)"], dict(os.environ)) == -signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) is before


def _runs(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
