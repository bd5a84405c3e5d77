"""The bytes of a ledger that another one is made of: its commits, line by line, and what proves them."""

from collections.abc import Iterator
from typing import NamedTuple

from ezmsg.ledger.audit.receipt import Receipt
from ezmsg.ledger.errors import DamagedLedger
from ezmsg.ledger.events import AnyEvent
from ezmsg.ledger.folder.segments import Segments
from ezmsg.ledger.storage.disk import Disk
from ezmsg.ledger.storage.reading.open_file import LedgerFile
from ezmsg.ledger.storage.reading.reader import Reader
from ezmsg.ledger.storage.reading.scan import commits, hash_file, read_at
from ezmsg.ledger.structural import COMMIT_PREFIX, STRUCTURAL_PREFIX


class Lines(NamedTuple):
    """The ``events`` of one commit and, for each, the ``lines`` that stand for them in the file, without newlines."""

    events: list[AnyEvent]
    lines: list[bytes]


class Source:
    """A ledger, file or folder, whose lines are taken over as they are."""

    def __init__(self, disk: Disk, path: str) -> None:
        self._disk = disk
        self.path = path

    def commits(self, after: int, until: int) -> Iterator[Lines]:
        """The events with ``after`` < seq <= ``until``, commit by commit; of one that is cut, what is inside.

        Raises DamagedLedger, HistoryDropped, LogError. Cost: that of reading.
        """
        for file in self._files(after, until):
            cursor, size = Reader(file).cursor(file.handle, after), file.size
            while cursor.place.offset < size and cursor.place.seq < until:
                before = cursor.place
                batch = cursor.next()
                if batch is None:
                    break
                data = read_at(file.disk, file.handle, before.offset, cursor.place.offset - before.offset)
                for found in _by_commit(batch, data):
                    kept = [pair for pair in zip(*found, strict=True) if after < pair[0].seq <= until]
                    if kept:
                        yield Lines([event for event, _ in kept], [line for _, line in kept])

    def lines(self, after: int, until: int) -> Iterator[tuple[AnyEvent, bytes]]:
        """The events with ``after`` < seq <= ``until``, each with its line, as ``commits`` reads them."""
        for found in self.commits(after, until):
            yield from zip(found.events, found.lines, strict=True)

    def prove(self, after: int, until: int, time: int) -> Receipt:
        """A receipt for the first commit that holds event ``until``, once all bytes that lead there from the file with
        event ``after`` + 1 were hashed. ``time``: ns since the epoch, UTC.

        Raises DamagedLedger when the bytes are not those that were written. Cost: 1.8 GB/s.
        """
        previous = ""
        for file in self._files(after, until):
            if previous and file.segment is not None and file.segment.previous != previous:
                raise _changed(file.path, f"the segment before it has the digest {previous}, which it does not state")
            place = Reader(file).cursor(file.handle, until - 1).place
            for commit, behind in commits(file.disk, file.handle, place.offset if place.line else file.start.offset):
                if commit.upto >= until:
                    digest = hash_file(file.disk, file.handle, commit.at)
                    if digest.hexdigest() != commit.sha256:
                        why = f"its bytes before offset {behind.offset} are not those that were written"
                        raise _changed(file.path, why)
                    id_ = file.header.id
                    return Receipt(
                        id=id_, size=commit.at, sha256=commit.sha256, segment=file.number, seq=commit.upto, time=time
                    )
            previous = hash_file(file.disk, file.handle, file.size).hexdigest()
        raise _changed(self.path, f"no commit line closes seq {until}")

    def _files(self, after: int, until: int) -> Iterator[LedgerFile]:
        """The files that hold the events after ``after`` and up to ``until``, in order."""
        if self._disk.kind(self.path) != "folder":
            with LedgerFile(self._disk, self.path) as file:
                yield file
            return
        segments = Segments(self._disk, self.path)
        numbers = segments.numbers()
        for number in range(segments.containing(after, numbers), numbers[-1] + 1):
            with segments.open(number) as file:
                if file.start.seq >= until:
                    return
                yield file


def _by_commit(events: list[AnyEvent], data: bytes) -> Iterator[Lines]:
    """Pair ``events``, of whole commits that were found sound, with the lines in ``data``, their bytes."""
    begin = 0
    lines: list[bytes] = []
    for line in data.split(b"\n")[:-1]:
        if line.startswith(COMMIT_PREFIX):
            yield Lines(events[begin : begin + len(lines)], lines)
            begin += len(lines)
            lines = []
        elif not line.startswith(STRUCTURAL_PREFIX):
            lines.append(line)
    assert begin == len(events), f"{len(events)} events in {begin} lines"


def _changed(path: str, why: str) -> DamagedLedger:
    return DamagedLedger(f"{path} is damaged: {why}", offset=0, seq=0)
