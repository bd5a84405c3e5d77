"""Runs the demonstration's programs beside a recorder, waiting for what the ledger says and never for time to pass."""

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any

from ezmsg.ledger import events as ev
from ezmsg.ledger.errors import LedgerError
from ezmsg.ledger.extras import needed
from ezmsg.ledger.log import Ledger
from ezmsg.ledger.reader import LedgerReader
from ezmsg.ledger.runtime.address import ADDRESS_ENV
from ezmsg.ledger.runtime.recorder.process import Recorder
from ezmsg.ledger.tools import exits

HERE = Path(__file__).parent
PATIENCE_S = 30.0
"""How long any single step may take: starting three processes on a slow machine takes a few seconds."""

AGAIN_S = 10.0
"""Time after which Ctrl-C is sent once more."""

UNITS = {
    "RIG/AMP/SOURCE",
    "RIG/AMP/GAIN",
    "RIG/TUNER",
    "RIG/MONITOR/SINK",
}
SHARED = ("RIG/AMP/OUTPUT", "RIG/MONITOR/INPUT")
OWN = ("RIG/AMP/OUTPUT", "VISITOR/SCOPE")
TUNED = "RIG/AMP/GAIN"
GAINS = (2.0, 4.0)
OWN_EDGES = {
    ("RIG/AMP/SOURCE/OUTPUT", "RIG/AMP/GAIN/INPUT"),
    ("RIG/AMP/INPUT_SETTINGS", "RIG/AMP/GAIN/INPUT_SETTINGS"),
    ("RIG/AMP/GAIN/OUTPUT", "RIG/AMP/OUTPUT"),
    ("RIG/AMP/OUTPUT", "RIG/MONITOR/INPUT"),
    ("RIG/TUNER/OUTPUT_SETTINGS", "RIG/AMP/INPUT_SETTINGS"),
}
RELAYS = ("RIG/MONITOR/__relay_in_INPUT", "RIG/MONITOR/__relays__/INPUT")
"""The places where ezmsg puts the monitor's relay: a unit before 3.10, a pair of topics since."""


def wiring(relay: str) -> set[tuple[str, str]]:
    """The edges of the system when ezmsg puts its relay there."""
    return OWN_EDGES | {
        ("RIG/MONITOR/INPUT", f"{relay}/INPUT"),
        (f"{relay}/OUTPUT", "RIG/MONITOR/SINK/INPUT"),
    }


class DemoFailed(LedgerError):
    """A step of the demonstration did not happen in time, or was not recorded as it happened."""


def check_messages_pass() -> None:
    """Raise MissingExtra where the demonstration's three processes could not send each other anything.

    ezmsg 3.10 loads its AxisArray for every message that leaves a process, and with it numpy, which only an extra of
    ezmsg brings. Without it the processes start, and stand.
    """
    if any(file.name == "axiselision.py" for file in metadata.files("ezmsg") or ()):
        what = f"ezmsg {metadata.version('ezmsg')}, with a system in several processes,"
        needed("numpy", "ezmsg[axisarray]", what, exits.MissingExtra)


class Moments:
    """The seqs between which the demonstration tells its story, and what was seen of its programs."""

    wired = 0
    visited = 0
    lost = 0
    system_pid = 0
    visitor_session = 0


def record_demo(location: Path, say: Callable[[str], None]) -> Moments:
    """Record the demonstration to ``location``; returns when all its programs have ended and the ledger is sealed.

    Raises DemoFailed when a step does not happen.
    """
    moments = Moments()
    with Recorder(location) as recorder, Cast(recorder.address) as cast, Ledger.open(location, "r") as ledger:
        watch = Watch(ledger, cast)
        say("starting an ezmsg system of nested collections, in three processes ...")
        system = cast.start("system.py")
        moments.system_pid = system.pid
        moments.wired = watch.until(_all_units(), "the system is up")
        say("a unit turns the gain of another one up, while it runs ...")
        watch.until(_gain_is(GAINS[-1]), "the gain was changed")
        say("a second program connects: an edge that the system has already, and one of its own ...")
        visitor = cast.start("visitor.py", *SHARED, *OWN)
        moments.visited = watch.until(_connected(OWN), "the second program connected")
        moments.visitor_session = watch.last_owner
        say(f"... and is killed (SIGKILL, pid {visitor.pid}), as a crash would end it.")
        cast.kill(visitor)
        moments.lost = watch.until(_closed(moments.visitor_session), "its session was lost")
        say("Ctrl-C for the system.")
        cast.interrupt(system)
    return moments


class Cast:
    """The programs of the demonstration, each in a process group of its own. As a context manager it ends them all."""

    def __init__(self, address: str) -> None:
        self._environment = {**os.environ, ADDRESS_ENV: address, "EZMSG_LOGLEVEL": "WARNING"}
        self._playing: list[subprocess.Popen[bytes]] = []
        self._before: Any = None
        self._complaints = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the cast

    def start(self, script: str, *arguments: str) -> "subprocess.Popen[bytes]":
        """Start one of the scripts beside this file."""
        program = subprocess.Popen(
            [sys.executable, str(HERE / script), *arguments],
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=self._complaints,
            start_new_session=True,  # a group of its own, for the Ctrl-C
        )
        self._playing.append(program)
        return program

    def kill(self, program: "subprocess.Popen[bytes]") -> None:
        """End a program as a crash does."""
        self._playing.remove(program)
        program.kill()
        program.wait()

    def interrupt(self, program: "subprocess.Popen[bytes]") -> None:
        """Send every process of the group what a terminal sends at Ctrl-C. Returns when the program has ended.

        An ezmsg that was busy at the first one may wait for ever: then it is sent once more, as a person would.
        """
        for patience in (AGAIN_S, PATIENCE_S):
            if sys.platform == "win32":
                program.terminate()
            else:
                os.killpg(program.pid, signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                program.wait(patience)
                return
        whole = AGAIN_S + PATIENCE_S
        raise DemoFailed(f"{whole:g} s after Ctrl-C the system has still not ended", hint=self.complaint)

    @property
    def missing(self) -> bool:
        """Whether one of the programs has ended that should still run."""
        return any(program.poll() is not None for program in self._playing)

    @property
    def complaint(self) -> str:
        """The last thing that one of the programs said on standard error; "" for nothing."""
        self._complaints.seek(0)
        lines = self._complaints.read().decode("utf-8", "replace").split("\n")
        return next((f"It said: {line.strip()}" for line in reversed(lines) if line.strip()), "")

    def __enter__(self) -> "Cast":
        # A shell lets its background jobs ignore Ctrl-C, and so would all programs that are started from here.
        if signal.getsignal(signal.SIGINT) is signal.SIG_IGN and threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, signal.default_int_handler)
        return self

    def __exit__(self, *raised: object) -> None:
        for program in self._playing:
            if program.poll() is None and sys.platform != "win32":
                os.killpg(program.pid, signal.SIGKILL)
            program.kill()
            program.wait()
        self._complaints.close()
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)


class Watch:
    """Follows a ledger until something stands in it."""

    def __init__(self, ledger: LedgerReader, cast: Cast) -> None:
        self._ledger = ledger
        self._cast = cast
        self._seq = 0
        self.last_owner = 0

    def until(self, wanted: Callable[[Any], bool], what: str) -> int:
        """Read on until ``wanted`` is true of an event; returns its seq.

        Raises DemoFailed after PATIENCE_S, or as soon as one of the programs has ended.
        """
        deadline = time.monotonic() + PATIENCE_S
        for batch in self._ledger.tail(self._seq, stop=lambda: time.monotonic() > deadline or self._cast.missing):
            for event in batch:
                self._seq = event.seq
                if isinstance(event, ev.EdgeConnected) and event.owner is not None:
                    self.last_owner = event.owner
                if wanted(event):
                    return event.seq
        why = "a program has ended, and" if self._cast.missing else f"after {PATIENCE_S:g} s"
        raise DemoFailed(f"{why} the ledger still does not say that {what}", hint=self._cast.complaint)


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
