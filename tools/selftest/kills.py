"""Real processes that write to a real disk and are really killed, while somebody follows what they write."""

import random
import subprocess
import sys
import threading
from pathlib import Path

from ezmsg.ledger.log import Ledger
from ezmsg.ledger.tools.selftest.effort import Effort
from ezmsg.ledger.tools.selftest.promises import Broken
from ezmsg.ledger.tools.selftest.victim import GROUP

LEVELS = ("none", "interval", "commit")

APPENDS_MAX = 60
"""Acknowledged appends after which a victim is killed at the latest."""

PAUSE_MAX_S = 0.002
"""How long at most the killer waits after that, so that the blow falls anywhere in an append."""


class Follower:
    """A reader that follows one ledger through all deaths of its writers, and wants every seq once, in order."""

    def __init__(self, path: Path) -> None:
        self.seq = 0
        self.error: Exception | None = None
        self._path = path
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="follower", daemon=True)
        self._thread.start()

    def _follow(self) -> None:
        try:
            with Ledger.open(self._path, "r") as ledger:
                for batch in ledger.tail(poll=0.002, stop=self._stop):
                    seqs = [event.seq for event in batch]
                    if seqs != list(range(self.seq + 1, self.seq + 1 + len(seqs))) or seqs[-1] % GROUP:
                        raise Broken(f"a follower saw {seqs[0]} to {seqs[-1]} behind {self.seq}")
                    self.seq = seqs[-1]
        except Exception as error:  # told to whoever asks: this is a thread
            self.error = error

    def end(self) -> None:
        """Stop following. Raises what went wrong."""
        self._stop.set()
        self._thread.join()
        if self.error is not None:
            raise Broken(f"a follower failed: {type(self.error).__name__}: {self.error}") from self.error


def explore(effort: Effort, folder: Path, kills: int, *, seed: int = 0) -> None:
    """Kill ``kills`` writers of one ledger in ``folder``, and look at it after each. Raises Broken."""
    dice = random.Random(seed)
    path = folder / "killed.ledger"
    Ledger.open(path).close()
    follower = Follower(path)
    try:
        for number in range(kills):
            if effort.over:
                break
            _kill_one(path, LEVELS[number % len(LEVELS)], dice, effort)
            if follower.error is not None:
                break
    finally:
        follower.end()
    with Ledger.open(path, "r") as ledger:
        found = ledger.verify()
        if not found.sound or found.events % GROUP or (kills and not found.events):
            raise Broken(f"after {kills} kills: {found.problems or found.events}")


def _kill_one(path: Path, level: str, dice: random.Random, effort: Effort) -> None:
    command = [sys.executable, "-m", "ezmsg.ledger.tools.selftest.victim", str(path), level]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as victim:
        assert victim.stdout is not None
        opened = victim.stdout.readline().split()
        if opened[:1] != ["open"]:
            raise Broken(f"a writer could not start after {effort.figures['kills']} kills")
        before = told = int(opened[1])
        for _ in range(dice.randint(0, APPENDS_MAX)):
            told = int(victim.stdout.readline())
        threading.Event().wait(dice.random() * PAUSE_MAX_S)
        victim.kill()
        victim.wait()
        for line in victim.stdout.read().split("\n")[:-1]:  # it was told so much before it died
            told = int(line)
    with Ledger.open(path, "r") as reader:
        shown, torn = reader.head, reader.tail_bytes > 0
    with Ledger.open(path, durability="none") as ledger:
        if ledger.head < told or ledger.head != shown or ledger.head % GROUP:
            raise Broken(f"level {level}: {told} events were acknowledged, {shown} shown, {ledger.head} are there")
    effort.figures["torn ends cut"] += torn
    effort.figures["kills"] += 1
    effort.figures["appends acknowledged before a kill"] += (told - before) // GROUP
