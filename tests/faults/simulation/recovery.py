"""Recovery of what a crash left: read it as it is, open it for append, go on with it, and look at all of it."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from ezmsg.ledger.errors import DamagedLedger, LedgerError
from ezmsg.ledger.events import Mark
from ezmsg.ledger.log import Ledger
from ezmsg.ledger.reader import LedgerReader
from ezmsg.ledger.tools.selftest.broken import Broken

from .disk import SimulatedDisk
from .ledgers import PATH, names_of, open_simulated, segments_in
from .survivors import Image

AFTER = "appended after the crash"


class Found(NamedTuple):
    """A recovered image: the ``names`` of its events, of which the ``first`` one has that seq.

    ``kept``: of the bytes of each segment, by its number, how many stand unchanged; ``starts``: the checkpoints that a
    fold could start from, each with its seq.
    """

    names: tuple[str, ...]
    first: int
    kept: dict[int, int]
    starts: tuple[tuple[int, tuple[bytes, ...]], ...]


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
                raise Broken(f"{len(tail)} bytes after offset {kept[number]} were cut, and are kept nowhere")
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
