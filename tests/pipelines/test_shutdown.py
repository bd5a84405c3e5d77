"""However pipeline, runner or recorder end, the pipeline ends as it does without us, and nothing recorded is lost."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from ezmsg.ledger import Ledger
from ezmsg.ledger import events as ev
from ezmsg.ledger.runtime.recorder.control_client import ask
from ezmsg.ledger.runtime.server.__main__ import ALONE_S
from ezmsg.ledger.tools.commands.record.run import Signals

EDGE = {("CLOCK/TICKER/OUTPUT", "CLOCK/HEARER/INPUT"): ["CLOCK"]}
UNITS = ("CLOCK/HEARER", "CLOCK/TICKER")

PRESS_AGAIN_S = 5.0
"""After which a person presses Ctrl-C a second time."""


def started(desk: Any, ledger: Path, *before: str, split: str | None = None) -> Any:
    """endless.py under ``run``, at the point where messages arrive and the ledger says that all units run."""
    options = ["--split", split] if split else []
    command = ("ezmsg-ledger", "run", "-a", desk.free, "-l", ledger, desk.program("endless.py"), *options)
    program = desk.start(*before, *desk.command(*command) if before else command, EZMSG_LOGLEVEL="INFO")
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
    assert told.took_ctrl_c, told.err
    assert "Attempting graceful shutdown" in told.out + told.err
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


def test_a_killed_runner_leaves_its_recorder_to_the_script(desk: Any) -> None:
    """The script goes on, and so does its recorder: it ends the run and seals the ledger when the script is gone."""
    ledger = desk.folder / "x.ledger"
    program = started(desk, ledger)
    script, recorder = script_pid(ledger), run_pid(ledger)
    program.process.kill()
    program.process.wait(PRESS_AGAIN_S)
    time.sleep(ALONE_S + 1)  # longer than a recorder stays alone
    program.until("heard .*00")
    assert _runs(recorder)
    with Ledger.open(ledger, "r") as opened:
        address = next(event.address for event in opened.entries() if isinstance(event, ev.ServerStarted))
    ask(address, "mark", name="still recorded")
    os.kill(script, signal.SIGINT)
    stopped = desk.follow(ledger, lambda event: isinstance(event, ev.ServerStopped))
    assert (stopped.reason, stopped.exit_code, stopped.signal) == ("orphaned", None, None)
    desk.poll(lambda: not _runs(recorder), "the recorder ends")
    said = desk.account(ledger)
    assert said.sessions == [("CLOCK", "closed")]
    assert said.edges == EDGE
    assert said.processes == [(UNITS, "closed")]
    assert "stopped (orphaned)" in desk.do("ezmsg-ledger", "sessions", ledger).out
    assert "the program that had started it was killed" in desk.do("ezmsg-ledger", "log", ledger).out


def test_a_runner_killed_before_the_first_session(desk: Any) -> None:
    """A script that takes long to come to ez.run finds its recorder there."""
    ledger, gate = desk.folder / "x.ledger", desk.folder / "gate"
    os.mkfifo(gate)
    script = desk.folder / "late.py"
    script.write_text(
        f"open({str(gate)!r}).read()\nimport runpy, sys\nsys.argv = sys.argv[:1]\n"
        f"runpy.run_path({str(desk.program('endless.py'))!r}, run_name='__main__')\n"
    )
    program = desk.start("ezmsg-ledger", "run", "-a", desk.free, "-l", ledger, script)
    program.until("recording to")
    with gate.open("w"):  # the script runs: it has opened the other end
        program.process.kill()
        program.process.wait(PRESS_AGAIN_S)
        time.sleep(ALONE_S + 1)
    program.until("heard 20")
    os.kill(script_pid(ledger), signal.SIGINT)
    assert desk.follow(ledger, lambda event: isinstance(event, ev.ServerStopped)).reason == "orphaned"
    desk.poll(lambda: not _runs(run_pid(ledger)), "the recorder ends, which seals the ledger")
    assert desk.account(ledger).sessions == [("CLOCK", "closed")]


def test_a_runner_killed_as_soon_as_the_script_runs(desk: Any) -> None:
    """The recorder knows the script before that is one: there is no moment at which it does not stay for it."""
    ledger, begins, ends = (desk.folder / name for name in ("x.ledger", "begins", "ends"))
    os.mkfifo(begins)
    os.mkfifo(ends)
    script = desk.folder / "late.py"
    script.write_text(f"open({str(begins)!r}).read()\nopen({str(ends)!r}).read()\n")
    runner = desk.folder / "runner.py"
    runner.write_text(
        f"""
import subprocess, sys, time
from ezmsg.ledger.tools.cli import main

class Popen(subprocess.Popen):
    def __init__(self, command, *args, **more):
        super().__init__(command, *args, **more)
        if command[-1] == {str(script)!r}:
            time.sleep(1000)  # this process gets no further than that

subprocess.Popen = Popen
sys.exit(main(["run", "-a", {desk.free!r}, "-l", {str(ledger)!r}, {str(script)!r}]))
"""
    )
    program = desk.start(sys.executable, runner)
    program.until("recording to")
    with begins.open("w"):  # the script runs: it has opened the other end
        program.process.kill()
        program.process.wait(PRESS_AGAIN_S)
        time.sleep(ALONE_S + 1)
    with ends.open("w"), Ledger.open(ledger, "r") as opened:
        assert not any(isinstance(event, ev.ServerStopped) for event in opened.entries()), "the script still runs"
    assert desk.follow(ledger, lambda event: isinstance(event, ev.ServerStopped)).reason == "orphaned"


@pytest.mark.parametrize(
    ("code", "exit_code", "killed_by", "told"),
    [
        ("raise SystemExit(3)", 3, None, "the script ended with exit code 3"),
        ("import os; os.kill(os.getpid(), 9)", None, "SIGKILL", "the script was ended by SIGKILL"),
        ("pass", 0, None, None),
    ],
)
def test_how_the_script_ended_is_recorded(
    desk: Any, code: str, exit_code: int | None, killed_by: str | None, told: str | None
) -> None:
    ledger, script = desk.folder / "x.ledger", desk.folder / "ends.py"
    script.write_text(f"""
import asyncio
from ezmsg.core.graphserver import GraphService
asyncio.run(GraphService().connect("A", "B"))
{code}
""")
    desk.do("ezmsg-ledger", "run", "-a", desk.free, "-l", ledger, script)
    with Ledger.open(ledger, "r") as opened:
        stopped = list(opened.entries())[-1]
    assert isinstance(stopped, ev.ServerStopped)
    assert (stopped.reason, stopped.exit_code, stopped.signal) == ("stopped", exit_code, killed_by)
    assert "the script had" in desk.do("ezmsg-ledger", "log", ledger).out
    shown = desk.do("ezmsg-ledger", "sessions", ledger).out  # a persistent edge needs no session
    if told is None:
        assert shown == "no session ever connected\n"
    else:
        assert re.fullmatch(rf"run 1, .*, stopped at [\d.]+; {told}\nno session connected\n", shown), shown
    [run] = json.loads(desk.do("ezmsg-ledger", "sessions", ledger, "--json").out)["runs"]
    assert (run["reason"], run["exit_code"], run["signal"]) == ("stopped", exit_code, killed_by)


def test_a_killed_recorder_leaves_the_pipeline_alone(desk: Any) -> None:
    """As with a killed server of ezmsg's own no more is heard, and Ctrl-C ends it well. The next run finds the loss."""
    ledger = desk.folder / "x.ledger"
    program = started(desk, ledger)
    os.kill(run_pid(ledger), signal.SIGKILL)
    desk.poll(lambda: not _runs(run_pid(ledger)), "the recorder is gone")
    program.until(r"THE RECORDER HAS ENDED \(killed by SIGKILL\): NOTHING IS RECORDED")
    assert program.process.poll() is None, "said at once, not when the script has ended"
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
    assert "x.ledger is empty, and was removed" in told.err
    assert not ledger.exists()


def test_a_signal_that_comes_before_the_script_is_there_is_kept_for_it() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with Signals() as signals:
        os.kill(os.getpid(), signal.SIGTERM)
        command = [sys.executable, "-c", "import time; time.sleep(60)"]
        assert signals.run(lambda: subprocess.Popen(command)) == -signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) is before


def _runs(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
