"""Runs the demonstration's programs beside a recorder, waiting for what the ledger says and never for time to pass."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ezmsg.ledger import events as ev
from ezmsg.ledger.errors import LedgerError
from ezmsg.ledger.log import Ledger
from ezmsg.ledger.runtime.recorder import Recorder

HERE = Path(__file__).parent
PATIENCE_S = 30.0
"""How long any single step may take: starting three processes on a slow machine takes a few seconds."""

UNITS = {
    "RIG/AMP/SOURCE",
    "RIG/AMP/GAIN",
    "RIG/TUNER",
    "RIG/MONITOR/SINK",
}
SHARED = ("RIG/AMP/OUTPUT", "RIG/MONITOR/INPUT")
OWN = ("RIG/AMP/OUTPUT", "VISITOR/SCOPE")
GAINS = (2.0, 4.0)
RIG_EDGES = {
    ("RIG/AMP/SOURCE/OUTPUT", "RIG/AMP/GAIN/INPUT"),
    ("RIG/AMP/INPUT_SETTINGS", "RIG/AMP/GAIN/INPUT_SETTINGS"),
    ("RIG/AMP/GAIN/OUTPUT", "RIG/AMP/OUTPUT"),
    ("RIG/AMP/OUTPUT", "RIG/MONITOR/INPUT"),
    ("RIG/TUNER/OUTPUT_SETTINGS", "RIG/AMP/INPUT_SETTINGS"),
    ("RIG/MONITOR/INPUT", "RIG/MONITOR/__relay_in_INPUT/INPUT"),
    ("RIG/MONITOR/__relay_in_INPUT/OUTPUT", "RIG/MONITOR/SINK/INPUT"),
}
"""What the system wires up; ezmsg itself puts a unit into a relay."""


class DemoFailed(LedgerError):
    """A step of the demonstration did not happen in time, or was not recorded as it happened."""


class Moments:
    """The seqs between which the demonstration tells its story, and what was seen of its programs."""

    wired = 0
    visited = 0
    lost = 0
    system_pid = 0
    visitor_session = 0


def record_demo(location: Path, say: Callable[[str], None]) -> Moments:
    """Record the demonstration to ``location``; returns when all its programs have ended and the ledger is sealed."""
    recorder = Recorder(location)
    recorder.start()
    moments = Moments()
    children: list[subprocess.Popen[str]] = []
    try:
        with Ledger.open(location, "r") as ledger:
            watch = Watch(ledger)
            say("starting an ezmsg system of nested collections, in three processes ...")
            system = _start("system.py", recorder.address)
            children.append(system)
            moments.system_pid = system.pid
            moments.wired = watch.until(_all_units(), "the system is up")
            say("a unit turns the gain of another one up, while it runs ...")
            watch.until(_gain_is(GAINS[-1]), "the gain was changed")
            say("a second program connects: an edge that the system has already, and one of its own ...")
            visitor = _start("visitor.py", recorder.address, *SHARED, *OWN)
            children.append(visitor)
            _expect_line(visitor, "connected")
            moments.visited = watch.until(_connected(OWN), "the second program connected")
            moments.visitor_session = watch.last_owner
            say(f"... and is killed (SIGKILL, pid {visitor.pid}), as a crash would end it.")
            visitor.kill()
            moments.lost = watch.until(_closed(moments.visitor_session), "its session was lost")
            say("Ctrl-C for the system.")
            _interrupt(system)
            system.wait(PATIENCE_S)
    finally:
        for child in children:
            if child.poll() is None:
                child.kill()
            child.communicate()
        recorder.stop()
    return moments


def _start(script: str, address: str, *arguments: str) -> "subprocess.Popen[str]":
    environment = {**os.environ, "EZMSG_GRAPHSERVER_ADDR": address, "EZMSG_LOGLEVEL": "WARNING"}
    command = [sys.executable, str(HERE / script), *arguments]
    return subprocess.Popen(
        command,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,  # a group of its own, for the Ctrl-C
    )


def _interrupt(child: "subprocess.Popen[str]") -> None:
    """What a terminal does at Ctrl-C: every process of the group gets the signal."""
    if sys.platform == "win32":
        child.terminate()
    else:
        os.killpg(child.pid, signal.SIGINT)


def _expect_line(child: "subprocess.Popen[str]", line: str) -> None:
    assert child.stdout is not None
    said = child.stdout.readline().strip()
    if said != line:
        raise DemoFailed(f"the second program said {said!r} instead of {line!r}")


class Watch:
    """Follows a ledger until something stands in it."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._seq = 0
        self.last_owner = 0

    def until(self, wanted: Callable[[Any], bool], what: str) -> int:
        """Read on until ``wanted`` is true of an event; returns its seq. Raises DemoFailed after PATIENCE_S."""
        stop = threading.Event()
        timer = threading.Timer(PATIENCE_S, stop.set)
        timer.start()
        try:
            for batch in self._ledger.tail(self._seq, stop=stop):
                for event in batch:
                    self._seq = event.seq
                    if isinstance(event, ev.EdgeConnected) and event.owner is not None:
                        self.last_owner = event.owner
                    if wanted(event):
                        return event.seq
        finally:
            timer.cancel()
        raise DemoFailed(f"after {PATIENCE_S:g} s the ledger still does not say that {what}")


def _all_units() -> Callable[[Any], bool]:
    missing = set(UNITS)

    def seen(event: Any) -> bool:
        if isinstance(event, ev.ProcessRegistered):
            missing.difference_update(event.units)
        return not missing

    return seen


def _gain_is(gain: float) -> Callable[[Any], bool]:
    return lambda event: isinstance(event, ev.SettingsUpdated) and event.value.structured_value == {"gain": gain}


def _connected(edge: tuple[str, str]) -> Callable[[Any], bool]:
    return lambda event: isinstance(event, ev.EdgeConnected) and (event.from_topic, event.to_topic) == edge


def _closed(session: int) -> Callable[[Any], bool]:
    return lambda event: isinstance(event, ev.SessionClosed) and event.session == session
