"""Calls of the log to the system that fail: one by one, each with every error that it can have."""

import errno
import os
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from ezmsg.ledger.errors import LedgerError
from ezmsg.ledger.events import Mark
from ezmsg.ledger.log import Ledger
from ezmsg.ledger.storage.durability import Durability
from ezmsg.ledger.tools.selftest.broken import Broken
from ezmsg.ledger.tools.selftest.effort import Effort

from .damage import small_ledger
from .disk import SimulatedDisk, no_fault
from .faults import ERRORS
from .ledgers import PATH, matters, names_of, open_simulated, segments_in, simulation
from .recovery import recover
from .survivors import Image, images

CALLS_MAX = 200
"""Calls of one situation: none makes nearly as many."""

ERRORS_MAX = max(map(len, ERRORS.values()))


class Attempt:
    """Work on a ledger while calls fail. ``told``: what was acknowledged; ``durable``: how much of it is known to be on
    the disk."""

    def __init__(self, disk: SimulatedDisk, level: Durability, segmented: bool) -> None:
        self.disk = disk
        self.level = level
        self.segmented = segmented
        self.told: list[str] = []
        self.durable = 0

    def write(self) -> None:
        """Open, append, sync, close, and rotate where there are segments: as much of it as is allowed."""
        ledger = self._allowed(lambda: open_simulated(self.disk, self.level, segmented=self.segmented))
        if ledger is None:
            return
        head = ledger.head
        for names in (["a"], ["b", "c", "d"], ["e"]):
            if self._allowed(partial(ledger.append, [Mark(name=name) for name in names])):
                self.told += names
            if self.segmented:
                self._allowed(lambda: ledger.rotate([b"{}"]))
        self._allowed(ledger.sync)
        self._allowed(ledger.close)
        self.durable = max(0, ledger.durable_seq - head)

    def read(self) -> None:
        """Open for reading, and ask for everything."""
        ledger = self._allowed(lambda: Ledger.open(PATH, "r", disk=self.disk))
        if ledger is None:
            return
        for call in (lambda: list(ledger.entries()), ledger.verify, lambda: ledger.head, lambda: ledger.being_written):
            self._allowed(call)
        ledger.close()

    def _allowed(self, call: Callable[[], Any]) -> Any:
        try:
            return call()
        except LedgerError:
            return None


class Situation(NamedTuple):
    """A piece of work in which a call fails: the disk before, what is done, and the level."""

    name: str
    image: Image
    do: Callable[[Attempt], None]
    level: Durability
    segmented: bool = False


def situations() -> list[Situation]:
    sound = {PATH: small_ledger()}
    torn = {PATH: small_ledger()[:-30]}
    begun = _begun(sound)
    return [
        Situation("making a ledger", {}, Attempt.write, "interval"),
        Situation("writing at level none", sound, Attempt.write, "none"),
        Situation("writing at level interval", sound, Attempt.write, "interval"),
        Situation("writing at level commit", sound, Attempt.write, "commit"),
        Situation("recovering a torn end", torn, Attempt.write, "commit"),
        Situation("making a folder", {}, Attempt.write, "commit", segmented=True),
        Situation("making a folder of a file", sound, Attempt.write, "interval", segmented=True),
        Situation("recovering a segment that was begun", begun, Attempt.write, "commit", segmented=True),
        Situation("reading", sound, Attempt.read, "none"),
        Situation("reading a folder", begun, Attempt.read, "none"),
        Situation("reading a torn end", torn, Attempt.read, "none"),
    ]


def _begun(image: Image) -> Image:
    """A folder whose last segment was just begun by a writer that died, with half a commit in it."""
    disk = SimulatedDisk(image)
    with simulation(), open_simulated(disk, segmented=True) as ledger:
        ledger.rotate([b"{}"])
        left = disk.contents()
        tip = ledger.tip
    return {**left, tip: left[tip] + b'{"type":"mark","seq"'}


def explore(effort: Effort, errors: int = ERRORS_MAX, every: int = 1) -> None:
    """Every call of every situation, or each ``every``-th; every error, or the first ``errors``; once and from then on.

    Raises Broken.
    """
    with simulation():
        for situation in situations():
            for nth in range(0, CALLS_MAX, every):
                runs = [
                    _attempt(situation, nth, error, lasting) for lasting in (False, True) for error in range(errors)
                ]
                if max(runs) < 0:
                    break
                effort.figures["calls failed"] += 1
                effort.figures["faults injected"] += sum(count for count in runs if count > 0)
                if effort.over:
                    return


def _attempt(situation: Situation, nth: int, error: int, lasting: bool) -> int:
    """One run in which the ``nth`` call fails with its ``error``-th error; how often that was so; -1 without such a
    call."""
    disk = SimulatedDisk(situation.image)
    struck: list[str] = []
    seen = 0

    def fault(call: str, about: str) -> None:
        nonlocal seen
        again = lasting and struck and call == struck[0]
        seen += 1
        if (seen == nth + 1 or again) and error < len(ERRORS.get(call, ())):
            struck.append(call)
            if ERRORS[call][error] == errno.EINTR and again:  # a signal does not come for ever
                return
            raise OSError(ERRORS[call][error], os.strerror(ERRORS[call][error]))

    attempt = Attempt(disk, situation.level, situation.segmented)
    disk.fault = fault
    try:
        situation.do(attempt)
        disk.fault = no_fault
        if struck:
            _check(attempt, situation.image)
    except Exception as broken:
        what = f"{situation.name}, call {nth} ({struck[:1]}) fails with {error}{' and goes on' if lasting else ''}"
        raise Broken(f"{what}: {type(broken).__name__}: {broken}", what) from broken
    return len(struck) if nth < seen else -1


def _check(attempt: Attempt, image: Image) -> None:
    disk = attempt.disk
    if disk.open_handles:
        raise Broken(f"{disk.open_handles} handles were left open")
    before = _names_in(image)
    lost_syncs = attempt.durable < len(attempt.told)
    for left in images(disk.tree, matters, corners=True):
        if segments_in(left) or attempt.durable:
            names = recover(left, segmented=attempt.segmented).names
            _check_found(before, attempt.told, names, attempt.durable)
    if segments_in(disk.contents()):
        found = recover(disk.contents(), segmented=attempt.segmented).names
        _check_found(before, attempt.told, found, attempt.durable if lost_syncs else len(attempt.told))


def _check_found(before: tuple[str, ...], told: list[str], found: tuple[str, ...], durable: int) -> None:
    """Raise Broken unless there is what was there before, then what was acknowledged, in order; what was refused may
    stand at the end."""
    if found[: len(before)] != before:
        raise Broken(f"what was there before is not: {found!r:.200}")
    new = list(found[len(before) :])
    if new[:durable] != told[:durable]:
        raise Broken(f"{told[:durable]} was on the disk, {new} is found")
    if not (new == told[: len(new)] or new[: len(told)] == told):
        raise Broken(f"{told} was acknowledged, {new} is found")


def _names_in(image: Image) -> tuple[str, ...]:
    if not any(segments_in(image).values()):
        return ()
    with Ledger.open(PATH, "r", disk=SimulatedDisk(image)) as ledger:
        return names_of(ledger)
