"""A shipped ledger as a file again: the same bytes, checked as they come; an earlier fetch is gone on with."""

import os
from typing import NamedTuple

from ezmsg.ledger.errors import DamagedLedger, LedgerLocked, NotALedger, OtherHistory
from ezmsg.ledger.folder.segments import number_of, segment_name
from ezmsg.ledger.storage.compression import SUFFIX as PACKED
from ezmsg.ledger.storage.disk import OS_DISK, sync_file, write_all
from ezmsg.ledger.storage.file_access import explained
from ezmsg.ledger.storage.reading.open_file import LedgerFile
from ezmsg.ledger.storage.reading.reader import Reader
from ezmsg.ledger.storage.reading.scan import Place, hash_file, last_commit, read_at
from ezmsg.ledger.tools.exits import Misuse
from ezmsg.ledger.tools.fleet.errors import Unreachable
from ezmsg.ledger.tools.fleet.jetstream.nats_broker import NatsBroker
from ezmsg.ledger.tools.fleet.jetstream.place import Place as StreamPlace
from ezmsg.ledger.tools.fleet.message import Malformed, Message, Stored, stored
from ezmsg.ledger.tools.fleet.reading.mirror import Mirror
from ezmsg.ledger.tools.fleet.reading.reader import told_order


class Fetched(NamedTuple):
    """The outcome of a fetch: ``path`` has the ledger ``id`` up to event ``seq``; ``bytes`` of its ``size`` are new."""

    path: str
    id: str
    seq: int
    bytes: int
    size: int
    segments: int


class _Files:
    """The files that are written: one, or the segments of a folder. Each is locked while it is written."""

    def __init__(self, path: str, folder: bool) -> None:
        self.path = path
        self.folder = folder
        self.written = 0
        self._open: tuple[int, int] | None = None  # segment, descriptor
        if folder and OS_DISK.kind(path) is None:
            with explained(path, "made", "Name a folder that exists, and that you may write to."):
                OS_DISK.make_folder(path)

    def path_of(self, segment: int) -> str:
        return os.path.join(self.path, segment_name(segment)) if self.folder else self.path

    def write(self, segment: int, offset: int, data: bytes) -> None:
        """Keep the bytes of a segment; see Sink. Raises LogError, LedgerLocked."""
        path = self.path_of(segment)
        with explained(path, "written"):
            if self._open is None or self._open[0] != segment:
                self.close()
                new = OS_DISK.kind(path) is None
                handle = OS_DISK.create(path) if new else OS_DISK.open(path, write=True)
                if not OS_DISK.lock(handle):
                    OS_DISK.close(handle)
                    raise LedgerLocked(f"{path} is being written by another program", hint="Fetch to another file.")
                self._open = segment, handle
            handle = self._open[1]
            there = read_at(OS_DISK, handle, offset, len(data))  # what a fetch that was killed left of this message
            if not data.startswith(there):
                raise OtherHistory(f"{path} differs from the stream after offset {offset}", hint=_DIFFERS)
            write_all(OS_DISK, handle, data[len(there) :], offset + len(there))
        self.written += len(data) - len(there)

    def cut(self, segment: int, offset: int) -> None:
        """Take back what was written of a segment after its last whole commit: nothing has confirmed it."""
        if self._open is not None and self._open[0] == segment:
            with explained(self.path_of(segment), "cut"):
                OS_DISK.truncate(self._open[1], offset)

    def close(self) -> None:
        """Sync what was written, and let it go."""
        if self._open is not None:
            (_, handle), self._open = self._open, None
            try:
                with explained(self.path, "synced"):
                    sync_file(OS_DISK, handle)
            finally:
                OS_DISK.close(handle)


def fetch(broker: NatsBroker, ledger: str, path: str) -> Fetched:
    """Bring all that a stream holds of a ledger to ``path``, which may hold the beginning of it.

    A ledger of several segments becomes a folder. Whole messages are written one after the other, each when it was
    checked, so whatever ends a fetch leaves the sound beginning of the ledger, and the next one goes on from there.
    Raises NotALedger, DamagedLedger (all before it is there), OtherHistory, Misuse, LogError, LedgerLocked.
    """
    address = StreamPlace(broker.place.servers, broker.place.stream, ledger).shown
    first, last = broker.first_after(ledger, 0), broker.last(ledger)
    if first is None or last is None:
        raise NotALedger(f"{address}: no ledger of this id is in the stream")
    there = OS_DISK.kind(path)
    folder = there == "folder" or (there is None and _segment(first) != _segment(last))
    if there == "file" and _segment(first) != _segment(last):
        raise Misuse(f"{address} has several segments by now, and {path} is a file", hint="Name a new place: a folder.")
    files = _Files(path, folder)
    mirror = Mirror(ledger, address, files)
    try:
        if there is not None and (not folder or os.listdir(path)):
            _go_on(broker, mirror, files)
        while more := broker.after(ledger, mirror.sequence):
            for message in more:
                try:
                    mirror.take(message)
                except DamagedLedger as error:
                    files.cut(mirror.segment, mirror.place.offset)
                    raise told_order(broker, mirror, error) from None
        if mirror.sequence < last.sequence:
            raise Unreachable(f"{address}: message {last.sequence} was announced, and no replica hands it out")
    finally:
        files.close()
    size = _size(path)
    return Fetched(path, ledger, mirror.place.seq, files.written, size, 1 if not folder else len(os.listdir(path)))


def file_name(name: str, ledger: str) -> str:
    """A name for the file of a ledger: that of its rig, as far as it can stand there, and the beginning of its id.

    >>> file_name("rig 3", "0195f3c2-7c11-7000-8000-000000000000")
    'rig-3-0195f3c2.ledger'
    """
    safe = "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in name).strip(".-")
    return f"{safe or 'ledger'}-{ledger[:8]}.ledger"


def _segment(message: Message) -> int:
    try:
        return stored(message).piece.segment
    except Malformed:
        return 1


def _size(path: str) -> int:
    if OS_DISK.kind(path) != "folder":
        return os.path.getsize(path)
    return sum(os.path.getsize(os.path.join(path, name)) for name in os.listdir(path))


def _go_on(broker: NatsBroker, mirror: Mirror, files: _Files) -> None:
    """Let ``mirror`` begin where the files end that are there. Raises OtherHistory when they are of another ledger."""
    path = files.path
    if files.folder:
        numbers = [number for name in os.listdir(path) if (number := number_of(name)) is not None]
        if not numbers:
            raise Misuse(f"{path} is a folder, and holds no segment of a ledger", hint="Name a new place.")
        path = files.path_of(max(numbers))
        if OS_DISK.kind(path) is None:
            raise Misuse(
                f"the last segment in {files.path} is compressed", hint=f"Unpack {path}{PACKED}, or fetch anew."
            )
    try:
        file = LedgerFile(OS_DISK, path)
    except NotALedger as error:
        if os.path.getsize(path) == 0 and not files.folder:  # made, and killed before the first message
            return
        raise Misuse(
            f"{path} exists, and cannot be gone on with: {error}", hint="Nothing is written over. Name another place."
        ) from error
    with file:
        if file.header.id != mirror.ledger:
            raise OtherHistory(f"{path} is ledger {file.header.id}, not {mirror.ledger}", hint="Name another place.")
        before = _before(broker, mirror.ledger, file.number, Reader(file).last().offset)
        if before is None:
            return
        piece = before.piece
        if read_at(file.disk, file.handle, piece.offset, len(piece.data)) != piece.data:
            raise OtherHistory(f"{path} differs from the stream after offset {piece.offset}", hint=_DIFFERS)
        place = last_commit(file.disk, file.handle, piece.end, file.start.offset) or Place(0, file.start.seq, b"")
        begun = read_at(file.disk, file.handle, place.offset, piece.end - place.offset)
        mirror.go_on(file.number, before.sequence, place, hash_file(OS_DISK, file.handle, place.offset), begun)


_DIFFERS = "It was changed, or goes on by itself. Fetch to another place and compare the two."


def _before(broker: NatsBroker, ledger: str, segment: int, offset: int) -> Stored | None:
    """The last message that ends at or before a place in a ledger; None when there is none.

    Cost: O(log(messages)) requests.
    """
    last = broker.last(ledger)
    low, high = 0, 0 if last is None else last.sequence  # the message sought has a number above `low`, or is `found`
    found: Stored | None = None
    while low < high:
        middle = (low + high) // 2
        message = broker.first_after(ledger, middle)
        each = None if message is None else stored(message)
        if each is not None and (each.piece.segment, each.piece.end) <= (segment, offset):
            found, low = each, each.sequence
        else:
            high = middle
    return found
