"""Every short history of a ledger, a power cut at every point of it, and every set of what may survive that.

An operation is an entry of OPERATIONS. A history is a sequence of their names; those that make no sense (an append to a
closed ledger) are left out.
"""

import os
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import Literal, NamedTuple

from ezmsg.ledger.events import Mark
from ezmsg.ledger.folder.segments import MOVING, number_of
from ezmsg.ledger.log import Ledger
from ezmsg.ledger.storage.durability import Durability
from ezmsg.ledger.storage.reading.open_file import FIRST
from ezmsg.ledger.tools.selftest.broken import Broken
from ezmsg.ledger.tools.selftest.effort import Effort

from .disk import SimulatedDisk
from .ledgers import NOW, PATH, forget, matters, open_simulated, segments_in, short, simulation, state_of
from .promises import Promise, check_legal
from .recovery import Found, look, recover
from .survivors import Image, images

LARGE = 2**20
"""Bytes of a large event: two thousand sectors, several pieces of a reader."""

LARGE_LESS = 2**15
"""The same where there is little time: 64 sectors go through the same classes in a quarter of it."""

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
        self.begins: list[int] = []  # the first seq of each segment but the first
        self.firsts = {1}  # that the history may begin with
        self.dropped = FIRST  # the segments before this one may be gone
        self.operations = 0
        self.ledger: Ledger = open_simulated(self.disk, level)
        self.closed = False

    def append(self, *names: str) -> None:
        self.commits.append(tuple(map(short, names)))  # from the first byte on it may be found, and need not be
        self.ledger.append([Mark(name=name) for name in names])
        if self.level == "commit":
            self.promised = len(self.commits)

    @property
    def promise(self) -> Promise:
        return Promise(tuple(self.commits), self.promised, self._durable(), tuple(self.firsts))

    def _durable(self) -> dict[int, int]:
        """The bytes of each segment that its writer knows to be on the disk: no recovery may cut them."""
        flusher = getattr(self.ledger, "_flusher", None)
        if flusher is None:
            return {}
        number = number_of(os.path.basename(flusher._path)) or FIRST
        sealed = segments_in(self.disk.contents()) if number > FIRST else {}
        before = {each: len(data) for each, data in sealed.items() if self.dropped <= each < number}
        return {**before, number: flusher.durable}


def _sync(world: World) -> None:
    world.ledger.sync()
    world.promised = len(world.commits)


def _close(world: World) -> None:
    world.closed = True
    world.ledger.close()
    world.promised = len(world.commits)


def _reopen(world: World, segmented: bool = False) -> None:
    if not world.closed:
        _close(world)
    world.ledger = open_simulated(world.disk, world.level, segmented=segmented)
    world.closed = False


def _rotate(world: World) -> None:
    """Rotate; a ledger of one file becomes a folder first."""
    if not world.ledger.segmented:
        _reopen(world, segmented=True)
    names = [name for commit in world.commits for name in commit]
    if world.ledger.rotate(since=lambda seq: [state_of(names[:seq])]):
        world.begins.append(len(names) + 1)
        world.promised = len(world.commits)


def _compress(world: World) -> None:
    world.ledger.pack()


def _drop(world: World) -> None:
    if world.begins:
        world.firsts |= set(world.begins)
        world.dropped = FIRST + len(world.begins)
        world.ledger.drop(NOW + 1)
        world.firsts = {world.begins[-1]}


History = tuple[str, ...]


class Operation(NamedTuple):
    """One thing that can be done. ``when``: on an open ledger, on any, or on an open one that has been rotated."""

    do: Callable[[World], None]
    when: Literal["open", "any", "rotated"] = "open"


OPERATIONS: dict[str, Operation] = {
    "append 1": Operation(lambda world: world.append(f"{world.operations}")),
    "append 3": Operation(lambda world: world.append(*(f"{world.operations}.{n}" for n in range(3)))),
    LARGE_APPEND: Operation(lambda world: world.append(f"{world.operations}" * world.large)),
    "sync": Operation(_sync),
    "close": Operation(_close),
    "reopen": Operation(_reopen, "any"),
    "rotate": Operation(_rotate),
    "drop": Operation(_drop, "rotated"),
}
"""What histories are made of. Whatever else can be done to a ledger that is written is to be added here."""

if find_spec("zstandard") is not None:
    OPERATIONS["compress"] = Operation(_compress, "rotated")

ALONE = {"rotate", "drop", "compress"}
"""What does nothing when it has just been done."""


def histories(length: int) -> Iterator[History]:
    """Every history of exactly ``length`` operations that makes sense."""
    if length == 0:
        yield ()
        return
    for before in histories(length - 1):
        for name, operation in OPERATIONS.items():
            if _makes_sense(before, name, operation):
                yield (*before, name)


def _makes_sense(before: History, name: str, operation: Operation) -> bool:
    last = before[-1] if before else ""
    if operation.when == "rotated" and "rotate" not in before:
        return False
    return (operation.when == "any" or last != "close") and not (name in ALONE and name == last)


class Explorer:
    """Runs histories, cuts the power, and keeps account. What became of an image is remembered: most come again."""

    def __init__(self, effort: Effort, *, again_every: int = 1, large: int = LARGE) -> None:
        """``large``: bytes of a large append. ``again_every``: of every so many images one is recovered with a power
        cut at each step of that, too."""
        self.effort = effort
        self.again_every = again_every
        self._large = large
        self._outcomes: dict[int, Found] = {}
        self._first = _new_ledger()

    def explore(self, history: History, level: Durability) -> None:
        """Every crash point of the last operation of ``history``: those of the others are those of shorter ones."""
        world = World(self._first, level, self._large)
        try:
            self._explore(world, history, f"{level}: {', '.join(history) or 'open'}")
        except BaseException:
            forget(world.ledger, world.disk)
            raise
        if not world.closed:
            world.ledger.close()

    def _explore(self, world: World, history: History, replay: str) -> None:
        for name in history[:-1]:
            self._do(world, name)
        if history:
            self._cut_here(world, f"{replay}, before the last")
            world.disk.step = lambda call: self._cut_here(world, f"{replay}, at a {call} of the last")
            try:
                self._do(world, history[-1])
            finally:
                world.disk.step = lambda call: None
        self._cut_here(world, f"{replay}, at the end")

    def _do(self, world: World, name: str) -> None:
        world.operations += 1
        OPERATIONS[name].do(world)

    def _cut_here(self, world: World, replay: str) -> None:
        figures = self.effort.figures
        figures["crash points"] += 1
        promise = world.promise
        for image in images(world.disk.tree, matters):
            figures["crash states"] += 1
            try:
                check_legal(self._outcome(image), promise)
            except Broken as error:
                raise Broken(f"{replay}: {error}", replay) from error
            self.effort.spend()

    def _outcome(self, image: Image) -> Found:
        key = _key(image)
        if key not in self._outcomes:
            self.effort.figures["distinct images"] += 1
            look(image)
            rarely = LARGE_SELDOM if sum(map(len, image.values())) > LARGE_LESS else 1
            if len(self._outcomes) % (self.again_every * rarely) == 0:
                self._outcomes[key] = self._recover_with_cuts(image)
            else:
                self._outcomes[key] = recover(image)
            if any(name.startswith(PATH + MOVING) for name in image):  # it was to become a folder: let it
                self._check_same(recover(image, segmented=True), self._outcomes[key])
        return self._outcomes[key]

    def _check_same(self, second: Found, found: Found) -> None:
        if (second.names, second.first) != (found.names, found.first):
            raise Broken(f"recovered in another way: {second.names!r:.200}; at first: {found.names!r:.200}")

    def _recover_with_cuts(self, image: Image) -> Found:
        """Recover, with a power cut at each step of that, and recover what it left: the same must be found."""
        again: dict[int, Found] = {}

        def cut(disk: SimulatedDisk) -> None:
            for left in images(disk.tree, matters, corners=True):
                if (key := _key(left)) not in again:
                    again[key] = recover(left)

        found = recover(image, cut)
        self.effort.figures["crash states during recovery"] += len(again)
        for second in again.values():
            self._check_same(second, found)
        return found


def _key(image: Image) -> int:
    """A hash of an image: 64 bits. That two of a million share one is 1 in 30 million."""
    return hash(frozenset((name, content) for name, content in image.items() if matters(name)))


def _new_ledger() -> Image:
    """A disk with a ledger that was just made, and on which nothing is pending."""
    disk = SimulatedDisk()
    open_simulated(disk).close()
    (content,) = (content for name, content in disk.contents().items() if name == PATH)
    return {PATH: content}


def creations(effort: Effort) -> None:
    """A power cut at every step of making a ledger: it is there and empty, or not there, and can be made again."""
    for leftover in ({}, {PATH: b""}, {f"{PATH}.new": b'{"type":"ledger.hea'}):
        _create(effort, leftover, PATH, segmented=False)
    first = f"{PATH}/000001.ledger"
    for leftover in ({}, {f"{PATH}/": b""}, {f"{PATH}{MOVING}/": b""}, {f"{first}.new": b'{"type":"ledger.hea'}):
        _create(effort, leftover, first, segmented=True)


def _create(effort: Effort, leftover: Image, path: str, *, segmented: bool) -> None:
    disk = SimulatedDisk(leftover)
    disk.step = lambda call: _cut_creation(effort, disk, path, segmented=segmented)
    ledger = open_simulated(disk, segmented=segmented)
    _cut_creation(effort, disk, path, segmented=segmented, done=True)
    disk.step = lambda call: None
    ledger.close()


def _cut_creation(effort: Effort, disk: SimulatedDisk, path: str, *, segmented: bool, done: bool = False) -> None:
    effort.figures["crash points"] += 1
    for image in images(disk.tree, matters):
        effort.figures["crash states"] += 1
        if done and path not in image:
            raise Broken("a ledger that was opened is gone after a power cut", "creation")
        after = SimulatedDisk(image)
        with open_simulated(after, segmented=segmented) as ledger:
            if ledger.head != 0 or not ledger.verify().sound:
                raise Broken("a new ledger holds something after a power cut", "creation")
        if sorted(after.files) != sorted([path, f"{PATH}.lock"]):
            raise Broken(f"files that are left over: {sorted(after.files)}", "creation")


def explore(
    effort: Effort,
    longest: int,
    *,
    again_every: int = 1,
    large: int = LARGE,
    which: Callable[[History], bool] = lambda history: True,
) -> None:
    """Histories of up to ``longest`` operations, the cheap and short ones first, until the effort's time is over; those
    that ``which`` says. One explorer has them all: at other levels most images come again.

    Raises Broken.
    """
    with simulation():
        if which(()):
            creations(effort)
        explorer = Explorer(effort, again_every=again_every, large=large)
        every = [history for length in range(longest + 1) for history in histories(length) if which(history)]
        for history in sorted(every, key=lambda history: history.count(LARGE_APPEND)):
            for level in LEVELS:
                if effort.over:
                    return
                explorer.explore(history, level)
                effort.figures["histories"] += 1
