"""Every short history of a ledger, a power cut at every point of it, and every set of what may survive that.

An operation is an entry of OPERATIONS. A history is a sequence of their names; those that make no sense (an append to a
closed ledger) are left out.
"""

from collections.abc import Callable, Iterator
from functools import partial
from hashlib import sha256
from typing import Literal, NamedTuple

from ezmsg.ledger.events import Mark
from ezmsg.ledger.flusher import Durability
from ezmsg.ledger.log import Ledger
from ezmsg.ledger.tools.selftest.disk import SimulatedDisk
from ezmsg.ledger.tools.selftest.effort import Effort
from ezmsg.ledger.tools.selftest.promises import (
    PATH,
    Broken,
    Found,
    check_legal,
    look,
    matters,
    open_simulated,
    recover,
    short,
    simulation,
)
from ezmsg.ledger.tools.selftest.survivors import Image, images

LARGE = 2**20
"""Bytes of a large event: two thousand sectors, several pieces of a reader."""

LARGE_LESS = 2**15
"""The same for longer histories: 64 sectors go through the same classes in a fraction of the time."""

LARGE_APPEND = "append large"
"""The slow one: histories with most of it come last."""

LARGE_SELDOM = 16
"""How much more seldom the power is cut during the recovery of large images, which takes ten times as long."""

LEVELS: tuple[Durability, ...] = ("none", "interval", "commit")


class World:
    """A ledger on a simulated disk, what was appended to it, and what of that must survive a power cut now."""

    def __init__(self, image: Image, level: Durability, large: int) -> None:
        self.large = large
        self.disk = SimulatedDisk(image)
        self.level = level
        self.commits: list[tuple[str, ...]] = []
        self.promised = 0
        self.operations = 0
        self.ledger: Ledger = open_simulated(self.disk, level)
        self.closed = False

    def append(self, *names: str) -> None:
        self.commits.append(tuple(map(short, names)))  # from the first byte on it may be found, and need not be
        self.ledger.append([Mark(name=name) for name in names])
        if self.level == "commit":
            self.promised = len(self.commits)

    def durable_bytes(self) -> int:
        """How much of the file the writer knows to be on the disk: what no recovery may cut."""
        flusher = getattr(self.ledger, "_flusher", None)
        return flusher.durable if flusher is not None else 0


def _sync(world: World) -> None:
    world.ledger.sync()
    world.promised = len(world.commits)


def _close(world: World) -> None:
    world.closed = True
    world.ledger.close()
    world.promised = len(world.commits)


def _reopen(world: World) -> None:
    if not world.closed:
        _close(world)
    world.ledger = open_simulated(world.disk, world.level)
    world.closed = False


class Operation(NamedTuple):
    """One thing that can be done. ``when``: on an open ledger, or on any."""

    do: Callable[[World], None]
    when: Literal["open", "any"] = "open"


OPERATIONS: dict[str, Operation] = {
    "append 1": Operation(lambda world: world.append(f"{world.operations}")),
    "append 3": Operation(lambda world: world.append(*(f"{world.operations}.{n}" for n in range(3)))),
    LARGE_APPEND: Operation(lambda world: world.append(f"{world.operations}" * world.large)),
    "sync": Operation(_sync),
    "close": Operation(_close),
    "reopen": Operation(_reopen, "any"),
}
"""What histories are made of. Whatever else can be done to a ledger that is written is to be added here."""

History = tuple[str, ...]


def histories(length: int) -> Iterator[History]:
    """Every history of exactly ``length`` operations that makes sense."""
    if length == 0:
        yield ()
        return
    for before in histories(length - 1):
        for name, operation in OPERATIONS.items():
            if operation.when == "any" or not (before and before[-1] == "close"):
                yield (*before, name)


class Explorer:
    """Runs histories, cuts the power, and keeps account. What became of an image is remembered: most come again."""

    def __init__(self, effort: Effort, *, again_every: int = 1, large: int = LARGE) -> None:
        """``large``: bytes of a large append. ``again_every``: of every so many images one is recovered with a power
        cut at each step of that, too."""
        self.effort = effort
        self.again_every = again_every
        self._large = large
        self._outcomes: dict[bytes, Found] = {}
        self._first = _new_ledger()

    def explore(self, history: History, level: Durability) -> None:
        """Every crash point of the last operation of ``history``: those of the others are those of shorter ones."""
        replay = f"{level}: {', '.join(history) or 'open'}"
        if history:
            world = World(self._first, level, self._large)
            for name in history[:-1]:
                self._do(world, name)
            self._cut_here(world, f"{replay}, before the last")
            world.disk.step = lambda call: self._cut_here(world, f"{replay}, at a {call} of the last")
            self._do(world, history[-1])
        else:
            world = World(self._first, level, self._large)
        world.disk.step = lambda call: None
        self._cut_here(world, f"{replay}, at the end")
        if not world.closed:
            world.ledger.close()

    def _do(self, world: World, name: str) -> None:
        world.operations += 1
        OPERATIONS[name].do(world)

    def _cut_here(self, world: World, replay: str) -> None:
        figures = self.effort.figures
        figures["crash points"] += 1
        for image in images(world.disk, matters):
            figures["crash states"] += 1
            try:
                found = self._outcome(image)
                check_legal(found, world.commits, world.promised, world.durable_bytes())
            except Broken as error:
                raise Broken(f"{replay}: {error}", replay) from error
            self.effort.spend()

    def _outcome(self, image: Image) -> Found:
        key = sha256(image[PATH]).digest()
        if key not in self._outcomes:
            self.effort.figures["distinct images"] += 1
            look(image)
            rarely = LARGE_SELDOM if len(image[PATH]) > LARGE_LESS else 1
            if len(self._outcomes) % (self.again_every * rarely) == 0:
                self._outcomes[key] = self._recover_with_cuts(image)
            else:
                self._outcomes[key] = recover(image)
        return self._outcomes[key]

    def _recover_with_cuts(self, image: Image) -> Found:
        """Recover, with a power cut at each step of that, and recover what it left: the same must be found."""
        left: dict[int, Image] = {}

        def cut(disk: SimulatedDisk) -> None:
            for again in images(disk, matters, corners=True):
                left.setdefault(hash(frozenset(again.items())), again)

        found = recover(image, cut)
        for again in left.values():
            self.effort.figures["crash states during recovery"] += 1
            second = recover(again)
            if second.names != found.names:
                raise Broken(f"recovered twice: {second.names!r:.200}; once: {found.names!r:.200}")
        return found


def _new_ledger() -> Image:
    """A disk with a ledger that was just made, and on which nothing is pending."""
    disk = SimulatedDisk()
    open_simulated(disk).close()
    (content,) = (content for name, content in disk.contents().items() if name == PATH)
    return {PATH: content}


def creations(effort: Effort) -> None:
    """A power cut at every step of making a ledger: it is there and empty, or not there, and can be made again."""
    for leftover in ({}, {PATH: b""}, {f"{PATH}.new": b'{"type":"ledger.hea'}):
        disk = SimulatedDisk(leftover)
        disk.step = partial(_cut_creation, effort, disk, False)
        ledger = open_simulated(disk)
        _cut_creation(effort, disk, True, "the end")
        disk.step = lambda call: None
        ledger.close()


def _cut_creation(effort: Effort, disk: SimulatedDisk, done: bool, call: str) -> None:
    effort.figures["crash points"] += 1
    for image in images(disk, matters):
        effort.figures["crash states"] += 1
        if done and PATH not in image:
            raise Broken(f"a ledger that was opened is gone after a power cut at {call}", "creation")
        after = SimulatedDisk(image)
        with open_simulated(after) as ledger:
            if ledger.head != 0 or not ledger.verify().sound:
                raise Broken(f"a new ledger holds something after a power cut at {call}", "creation")
        if sorted(after.files) != [PATH, f"{PATH}.lock"]:
            raise Broken(f"left behind: {sorted(after.files)}", "creation")


def explore(
    effort: Effort,
    longest: int,
    *,
    again_every: int = 1,
    large: int = LARGE,
    levels: tuple[Durability, ...] = LEVELS,
) -> None:
    """Histories of up to ``longest`` operations, the cheap and short ones first, until the effort's time is over.

    Raises Broken.
    """
    with simulation():
        creations(effort)
        explorer = Explorer(effort, again_every=again_every, large=large)
        every = [history for length in range(longest + 1) for history in histories(length)]
        for history in sorted(every, key=lambda history: history.count(LARGE_APPEND)):
            for level in levels:
                if effort.over:
                    effort.figures["histories left out"] += 1
                    continue
                explorer.explore(history, level)
                effort.figures["histories"] += 1
