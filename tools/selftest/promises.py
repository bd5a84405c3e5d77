"""What must hold of the ledger on a disk after a crash, and what it says when it does not."""

import errno
import json
import logging
import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import sha256
from typing import Any, NamedTuple

from ezmsg.ledger.errors import DamagedLedger, LedgerError
from ezmsg.ledger.events import Mark
from ezmsg.ledger.file import FileLedger
from ezmsg.ledger.folder.rotation import MOVING
from ezmsg.ledger.folder.segments import number_of
from ezmsg.ledger.log import Ledger, LedgerReader
from ezmsg.ledger.storage import compression, reader
from ezmsg.ledger.storage.disk import Disk
from ezmsg.ledger.storage.flusher import Flusher
from ezmsg.ledger.storage.ledger_file import FIRST
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
    """What recovery made of an image: the ``names`` of the events, of which the ``first`` one has that seq.

    ``kept``: of the bytes of each segment, by its number, how many stand unchanged; ``starts``: the checkpoints that a
    fold could start from, each with its seq.
    """

    names: tuple[str, ...]
    first: int
    kept: dict[int, int]
    starts: tuple[tuple[int, tuple[bytes, ...]], ...]


def clock() -> int:
    return NOW


def open_simulated(disk: Disk, durability: Any = "commit", *, segmented: bool = False) -> Ledger:
    return Ledger.open(PATH, durability=durability, disk=disk, clock=clock, segmented=segmented)


def segments_in(image: Image) -> dict[int, bytes]:
    """The bytes of each segment of the ledger, unpacked, by its number: a ledger of one file is the first one.

    Empty when there is no ledger.
    """
    if PATH in image:
        return {FIRST: image[PATH]}
    folder = PATH if any(name.startswith(f"{PATH}/") for name in image) else PATH + MOVING
    found: dict[int, bytes] = {}
    for name in sorted(image):  # what is not compressed comes before what is
        within, base = os.path.split(name)
        if within == folder and (number := number_of(base)) is not None and number not in found:
            found[number] = _unpacked(image[name]) if name.endswith(compression.SUFFIX) else image[name]
    return found


def _unpacked(data: bytes) -> bytes:
    unpacker = compression.library().ZstdDecompressor().decompressobj(read_across_frames=True)
    return bytes(unpacker.decompress(data))


def state_of(names: Sequence[str]) -> bytes:
    """A fold of events as short as can be, for a checkpoint."""
    return json.dumps({"events": len(names), "sha256": sha256("\n".join(names).encode()).hexdigest()}).encode()


def short(name: str) -> str:
    """A name, or what stands for it when it is too long to be kept a thousand times."""
    return name if len(name) < 64 else sha256(name.encode()).hexdigest()


def names_of(ledger: LedgerReader) -> tuple[str, ...]:
    return tuple(short(event.name) if isinstance(event, Mark) else type(event).__name__ for event in ledger.entries())


def matters(name: str) -> bool:
    """Whether it makes a difference what becomes of a file: a lock file is for people."""
    return not name.endswith(".lock")


@contextmanager
def simulation() -> Iterator[None]:
    """No flusher's thread: syncs happen where a history has them, and not at a time of their own. Nor a word in the
    program's log about a thousand disks that fail."""
    logger = logging.getLogger("ezmsg.ledger")
    real, settle, level = Flusher.wake, reader.SETTLE_S, logger.level
    Flusher.wake = lambda self: None  # type: ignore[method-assign]
    reader.SETTLE_S = 0.0  # nobody writes meanwhile
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        Flusher.wake = real  # type: ignore[method-assign]
        reader.SETTLE_S = settle
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
            first = ledger.first
            seqs = [event.seq for event in ledger.entries()]
            ledger.verify()
            ledger.check()
    except DamagedLedger as error:
        raise Broken(f"what a power cut left was taken for damage by a reader: {error}") from error
    except LedgerError as error:
        raise Broken(f"what a power cut left cannot be read: {type(error).__name__}: {error}") from error
    if seqs != list(range(first, first + len(seqs))):
        raise Broken(f"a reader saw seqs {seqs[:20]}")
    if disk.contents() != image or disk.open_handles:
        raise Broken("a reader wrote, or left a handle open")


def recover(image: Image, step: Callable[[SimulatedDisk], object] | None = None, *, segmented: bool = False) -> Found:
    """Open what a crash left, append to it, close it, and look at all of it. A folder gets one more segment.

    ``step`` is called after each step of the recovery, with the disk; ``segmented`` makes a folder of a file. Raises
    Broken.
    """
    disk = SimulatedDisk(image)
    if step is not None:
        disk.step = lambda call: step(disk)
    before = segments_in(image)
    try:
        ledger = open_simulated(disk, segmented=segmented)
    except LedgerError as error:
        raise Broken(f"what a power cut left cannot be opened: {type(error).__name__}: {error}") from error
    disk.step = lambda call: None
    names, first = names_of(ledger), ledger.first
    ledger.check()
    starts = tuple(_starts(ledger))
    recovered = disk.contents()
    if step is not None:
        step(disk)  # the instant when all is done
    ledger.append([Mark(name=AFTER)])
    ledger.rotate([b"{}"])
    ledger.close()
    kept = _kept(before, recovered)
    with Ledger.open(PATH, "r", disk=disk) as reader:
        found = reader.verify()
        if not (found.sound and found.sealed) or names_of(reader) != (*names, AFTER):
            raise Broken(f"after the recovery: {found.problems or 'other events'}")
    if disk.open_handles:
        raise Broken(f"{disk.open_handles} handles were left open")
    return Found(names, first, kept, starts)


def _starts(ledger: LedgerReader) -> Iterator[tuple[int, tuple[bytes, ...]]]:
    seq = ledger.head
    while seq >= ledger.first - 1 and (start := ledger.start(seq)) is not None:
        yield start.seq, tuple(start.states)
        seq = start.seq - 1


def _kept(before: dict[int, bytes], recovered: Image) -> dict[int, int]:
    """See Found. What was cut must be in a file beside the ledger, or beside the segment."""
    kept = {}
    after = segments_in(recovered)
    for number, data in before.items():
        if number not in after:  # one that stands before a hole, where others were being dropped
            continue
        kept[number] = _common(data, after[number])
        if tail := data[kept[number] :]:
            tails = [content for name, content in recovered.items() if ".tail-" in name]
            # the first bytes of a tail can be those of the note that took its place
            if not any(content.endswith(tail) and data.endswith(content) for content in tails):
                raise Broken(f"{len(tail)} bytes behind offset {kept[number]} were cut, and are kept nowhere")
    return kept


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


class Promise(NamedTuple):
    """What may be found after a crash, and what must be.

    ``commits``: what was appended, oldest first, of which the first ``promised`` must be there; ``durable``: of each
    segment, by its number, how many bytes no recovery may cut; ``firsts``: the seqs that the history may begin with.
    """

    commits: Sequence[Sequence[str]]
    promised: int
    durable: Mapping[int, int]
    firsts: Collection[int] = (1,)


def check_legal(found: Found, promise: Promise) -> None:
    """Raise Broken unless ``found`` is a prefix of whole commits that keeps the promise, with checkpoints that are what
    a fold of the events before leads to."""
    names: list[str] = []
    legal = []
    for place, commit in enumerate([(), *promise.commits]):
        names += commit
        if place >= promise.promised and len(names) >= found.first - 1:
            legal.append(tuple(names[found.first - 1 :]))
    if found.first not in promise.firsts:
        raise Broken(f"the history begins with seq {found.first}, not with one of {sorted(promise.firsts)}")
    if found.names not in legal:
        raise Broken(f"found {found.names!r:.300}; legal: {legal!r:.600}")
    for seq, states in found.starts:
        if states != (state_of(names[:seq]),):
            raise Broken(f"the checkpoint behind seq {seq} is not what a fold leads to: {states!r:.300}")
    for number, size in promise.durable.items():
        if found.kept.get(number, 0) < size:
            raise Broken(
                f"segment {number} was cut at offset {found.kept.get(number)}, although {size} bytes of it were known "
                "to be on the disk"
            )
