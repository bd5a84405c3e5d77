"""A ledger on a simulated disk: where it lies, how it is opened and let go of, and what of it is in an image."""

import errno
import json
import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from typing import Any

from ezmsg.ledger.events import Mark
from ezmsg.ledger.folder.segments import MOVING, number_of
from ezmsg.ledger.log import Ledger
from ezmsg.ledger.reader import LedgerReader
from ezmsg.ledger.storage import compression
from ezmsg.ledger.storage.disk import Disk
from ezmsg.ledger.storage.reading import reader
from ezmsg.ledger.storage.reading.open_file import FIRST
from ezmsg.ledger.storage.writing.flusher import Flusher
from ezmsg.ledger.stores.file_ledger import FileLedger

from .disk import SimulatedDisk
from .survivors import Image

PATH = "/disk/x.ledger"
NOW = 1_795_525_400 * 10**9
"""What the clock says in a simulation: always the same, so that equal histories give equal bytes."""


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
    """No flusher's thread: syncs happen where a history has them, and not at a time of their own. Nor messages in the
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
