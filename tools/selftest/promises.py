"""What must hold of the ledger on a disk after a crash, and what it says when it does not."""

import errno
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from typing import Any, NamedTuple

from ezmsg.ledger.disk import Disk
from ezmsg.ledger.errors import DamagedLedger, LedgerError
from ezmsg.ledger.events import Mark
from ezmsg.ledger.file import FileLedger
from ezmsg.ledger.flusher import Flusher
from ezmsg.ledger.log import Ledger
from ezmsg.ledger.tools.selftest.disk import SimulatedDisk
from ezmsg.ledger.tools.selftest.survivors import Image

FOLDER = "/disk"
PATH = f"{FOLDER}/x.ledger"
AFTER = "appended after the crash"
NOW = 1_795_525_400 * 10**9
"""What the clock says in a simulation: always the same, so that equal histories give equal bytes."""


class Broken(AssertionError):
    """A promise does not hold. ``str`` says which and where; ``replay`` is what shows it again."""

    def __init__(self, message: str, replay: str = "") -> None:
        super().__init__(message)
        self.replay = replay


class Found(NamedTuple):
    """What recovery made of an image: the names of the events, and of the ledger's bytes how many stand unchanged."""

    names: tuple[str, ...]
    kept: int


def clock() -> int:
    return NOW


def open_simulated(disk: Disk, durability: Any = "commit") -> Ledger:
    return Ledger.open(PATH, durability=durability, disk=disk, clock=clock)


def short(name: str) -> str:
    """A name, or what stands for it when it is too long to be kept a thousand times."""
    return name if len(name) < 64 else sha256(name.encode()).hexdigest()


def names_of(ledger: Ledger) -> tuple[str, ...]:
    return tuple(short(event.name) if isinstance(event, Mark) else type(event).__name__ for event in ledger.entries())


def matters(name: str) -> bool:
    """Whether it makes a difference what becomes of a file: a lock file is for people."""
    return not name.endswith(".lock")


@contextmanager
def simulation() -> Iterator[None]:
    """No flusher's thread: syncs happen where a history has them, and not at a time of their own. Nor a word in the
    program's log about a thousand disks that fail."""
    logger = logging.getLogger("ezmsg.ledger")
    real, level = Flusher.wake, logger.level
    Flusher.wake = lambda self: None  # type: ignore[method-assign]
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        Flusher.wake = real  # type: ignore[method-assign]
        logger.setLevel(level)


def forget(ledger: Ledger, disk: SimulatedDisk) -> None:
    """Let go of a writer whose process is thought of as dead: this one must neither write, seal, nor keep its lock."""
    if isinstance(ledger, FileLedger):
        disk.fault = _refuse
        ledger._writer.closed = True
        ledger._writer.lock_file.release()


def _refuse(call: str, about: str) -> None:
    raise OSError(errno.EIO, os.strerror(errno.EIO))


def look(image: Image) -> None:
    """Read what a crash left, without recovering it. Raises Broken when that fails, writes, or shows a gap."""
    disk = SimulatedDisk(image)
    try:
        with Ledger.open(PATH, "r", disk=disk) as ledger:
            seqs = [event.seq for event in ledger.entries()]
            ledger.verify()
            ledger.check()
    except DamagedLedger as error:
        raise Broken(f"what a power cut left was taken for damage by a reader: {error}") from error
    if seqs != list(range(1, len(seqs) + 1)):
        raise Broken(f"a reader saw seqs {seqs[:20]}")
    if disk.contents() != image or disk.open_handles:
        raise Broken("a reader wrote, or left a handle open")


def recover(image: Image, step: Callable[[SimulatedDisk], object] | None = None) -> Found:
    """Open what a crash left, append to it, close it, and look at all of it.

    ``step`` is called after each step of the recovery, with the disk. Raises Broken.
    """
    disk = SimulatedDisk(image)
    if step is not None:
        disk.step = lambda call: step(disk)
    before = image.get(PATH, b"")
    try:
        ledger = open_simulated(disk)
    except LedgerError as error:
        raise Broken(f"what a power cut left cannot be opened: {type(error).__name__}: {error}") from error
    disk.step = lambda call: None
    names = names_of(ledger)
    ledger.check()
    recovered = disk.contents()
    if step is not None:
        step(disk)  # the instant when all is done
    ledger.append([Mark(name=AFTER)])
    ledger.close()
    _check_tail(before, recovered)
    with Ledger.open(PATH, "r", disk=disk) as reader:
        found = reader.verify()
        if not (found.sound and found.sealed) or names_of(reader) != (*names, AFTER):
            raise Broken(f"after the recovery: {found.problems or 'other events'}")
    if disk.open_handles:
        raise Broken(f"{disk.open_handles} handles were left open")
    return Found(names, _common(before, recovered[PATH]))


def _check_tail(before: bytes, recovered: Image) -> None:
    """What was cut must be in a file beside the ledger."""
    kept = _common(before, recovered[PATH])
    tail = before[kept:]
    if not tail:
        return
    tails = [content for name, content in recovered.items() if name.startswith(f"{PATH}.tail-")]
    # the first bytes of a tail can be those of the note that took its place
    if not any(content.endswith(tail) and before.endswith(content) for content in tails):
        raise Broken(f"{len(tail)} bytes behind offset {kept} were cut, and are kept nowhere")


def _common(a: bytes, b: bytes) -> int:
    """The bytes that two files have in common at their beginning."""
    if b.startswith(a):
        return len(a)
    low, high = 0, min(len(a), len(b))
    while low < high:
        middle = (low + high + 1) // 2
        if a[:middle] == b[:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def check_legal(found: Found, commits: Sequence[Sequence[str]], promised: int, durable: int) -> None:
    """Raise Broken unless ``found`` is a prefix of whole ``commits``, with all of the first ``promised`` in it, and
    nothing of the first ``durable`` bytes was cut."""
    names: list[str] = []
    legal = []
    for place, commit in enumerate([(), *commits]):
        names += commit
        if place >= promised:
            legal.append(tuple(names))
    if found.names not in legal:
        raise Broken(f"found {found.names!r:.300}; legal: {legal!r:.600}")
    if found.kept < durable:
        raise Broken(f"cut at offset {found.kept}, although {durable} bytes were known to be on the disk")
