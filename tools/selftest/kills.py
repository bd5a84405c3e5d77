"""Real processes that write to a real disk and are really killed, while others read what they write."""

import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from ezmsg.ledger.errors import LogError
from ezmsg.ledger.log import Ledger
from ezmsg.ledger.projections import GraphState, Timeline, fold
from ezmsg.ledger.projections.lifetimes import archive
from ezmsg.ledger.tools.selftest.broken import Broken
from ezmsg.ledger.tools.selftest.effort import Effort
from ezmsg.ledger.tools.selftest.victim import GROUP, REFUSED

LEVELS = ("none", "interval", "commit")

KILLS_MAX = 10**4
"""More than any amount of patience allows."""

KILLS_EACH = 20
"""Writers of one ledger: each reads it when it starts, so a long one would take more and more time, and the disk."""

APPENDS_MAX = 60
"""Acknowledged appends after which a victim is killed at the latest."""

PAUSE_MAX_S = 0.002
"""How long at most the killer waits after that, so that the blow falls anywhere in an append."""

CATCH_UP_S = 30.0
"""How long a follower may take for what is already there: a second, on a machine that has nothing else to do."""


class Follower:
    """Follows one ledger, and wants every seq once, in order, and whole appends."""

    def __init__(self, path: Path) -> None:
        self.seq = 0
        self._path = path

    def read(self, stop: threading.Event) -> None:
        with Ledger.open(self._path, "r") as ledger:
            for batch in ledger.tail(poll=0.002, stop=stop):
                seqs = [event.seq for event in batch]
                if seqs != list(range(self.seq + 1, self.seq + 1 + len(seqs))) or seqs[-1] % GROUP:
                    raise Broken(f"it saw {seqs[0]} to {seqs[-1]} after {self.seq}")
                self.seq = seqs[-1]

    def wait_for(self, seq: int) -> None:
        """Return when it has seen ``seq``. Raises Broken when that takes too long."""
        deadline = time.monotonic() + CATCH_UP_S
        while self.seq < seq:
            if time.monotonic() > deadline:
                raise Broken(f"a follower came to seq {self.seq} of {seq}, and no further")
            threading.Event().wait(0.002)


class Historian:
    """Asks about the past again and again, from an index that is made and kept meanwhile."""

    def __init__(self, path: Path, effort: Effort) -> None:
        self._path = path
        self._effort = effort

    def read(self, stop: threading.Event) -> None:
        while not stop.wait(0.05):
            self.ask()

    def ask(self) -> None:
        """Compare what the index tells with what the ledger does. Raises Broken."""
        with Ledger.open(self._path, "r") as ledger:
            past = Timeline(ledger).lifetimes
            told = set(past.edges_at(past.seq))
            there = {edge for edge, _ in fold(ledger.read(until=past.seq), GraphState()).ownership.edges()}
        if told != there:
            raise Broken(f"at seq {past.seq} the index tells of {len(told)} edges, the ledger of {len(there)}")
        self._effort.figures["answers from an index"] += 1


@contextmanager
def _small_indexes() -> Iterator[None]:
    """An index is kept of short ledgers, too, and often made anew."""
    real = archive.SAVE_EVERY
    archive.SAVE_EVERY = 10 * GROUP
    try:
        yield
    finally:
        archive.SAVE_EVERY = real


def explore(effort: Effort, folder: Path, kills: int = KILLS_MAX, *, seed: int = 0) -> None:
    """Kill writers in ``folder`` until time is up, or ``kills`` of them, and look at the ledger after each.

    Raises Broken; LogError when the disk is full.
    """
    dice = random.Random(seed)
    path = folder / "killed.ledger"
    with _small_indexes():
        while effort.figures["kills"] < kills:
            _kill_some(path, min(KILLS_EACH, kills - effort.figures["kills"]), dice, effort)
            for left in folder.glob(f"{path.name}*"):
                left.unlink()
            if effort.over:
                return


def _kill_some(path: Path, kills: int, dice: random.Random, effort: Effort) -> None:
    """The writers of one ledger, one after the other, while two others read it through all their deaths."""
    Ledger.open(path).close()
    follower, historian, stop = Follower(path), Historian(path, effort), threading.Event()
    with ThreadPoolExecutor() as threads:
        beside = {
            threads.submit(follower.read, stop): "a follower",
            threads.submit(historian.read, stop): "a historian",
        }
        try:
            for number in range(kills):
                _kill_one(path, LEVELS[number % len(LEVELS)], dice, effort)
                _check(each for each in beside.items() if each[0].done())
                if effort.over:
                    break
            with Ledger.open(path, "r") as ledger:
                found = ledger.verify()
            if not found.sound or found.events % GROUP or not found.events:
                raise Broken(f"after {effort.figures['kills']} kills: {found.problems or found.events}")
            follower.wait_for(found.seq)
            historian.ask()
        finally:
            stop.set()
    _check(beside.items())


def _check(ended: Iterable[tuple[Future[None], str]]) -> None:
    """Raise what went wrong for those who read, as Broken."""
    for future, name in ended:
        if (error := future.exception()) is not None:
            raise Broken(f"{name} failed: {type(error).__name__}: {error}") from error


def _kill_one(path: Path, level: str, dice: random.Random, effort: Effort) -> None:
    command = [sys.executable, "-m", "ezmsg.ledger.tools.selftest.victim", str(path), level]
    # a session of its own: Ctrl-C is for the process that waits, which ends this one
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as victim:
        assert victim.stdout is not None
        try:
            opened = _told(victim.stdout.readline())
            if opened is None:
                raise Broken(f"a writer could not start after {effort.figures['kills']} kills")
            lines = [victim.stdout.readline() for _ in range(dice.randint(0, APPENDS_MAX))]
            threading.Event().wait(dice.random() * PAUSE_MAX_S)
        finally:
            victim.kill()
        lines += victim.stdout.read().splitlines(keepends=True)  # it was told so much before it died
    acknowledged = [seq for line in lines if not line.startswith(REFUSED) and (seq := _told(line)) is not None]
    told = max(acknowledged, default=opened)
    with Ledger.open(path, "r") as reader:
        shown, torn = reader.head, reader.tail_bytes > 0
    with Ledger.open(path, durability="none") as ledger:
        if ledger.head < told or ledger.head != shown or ledger.head % GROUP:
            raise Broken(f"level {level}: {told} events were acknowledged, {shown} shown, {ledger.head} are there")
    effort.figures["torn ends cut"] += torn
    effort.figures["kills"] += 1
    effort.figures["appends acknowledged before a kill"] += (told - opened) // GROUP
    for line in lines:
        _told(line)


def _told(line: str) -> int | None:
    """The seq that a victim was told; None when it died before it had said it. Raises LogError when it was refused."""
    if line.startswith(REFUSED):
        raise LogError(line.removeprefix(REFUSED).strip())
    return int(line) if line.endswith("\n") else None
