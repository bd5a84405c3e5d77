"""Reading a ledger file, from any process, while it is written. Takes no lock and never writes."""

import threading
import time
from bisect import bisect_right
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from operator import attrgetter
from typing import TypeAlias

from ezmsg.ledger.errors import DamagedLedger, HistoryChanged
from ezmsg.ledger.events import AnyEvent
from ezmsg.ledger.lock.lock import is_written
from ezmsg.ledger.storage.file_access import closing_handle
from ezmsg.ledger.storage.reading.cursor import Cursor, fits
from ezmsg.ledger.storage.reading.damage import damage_after
from ezmsg.ledger.storage.reading.open_file import LedgerFile, Start
from ezmsg.ledger.storage.reading.scan import PIECE, Place, commits, last_commit, stands
from ezmsg.ledger.storage.reading.verify import Verification, verify_file
from ezmsg.ledger.structural import Origin

Stop: TypeAlias = Callable[[], bool] | threading.Event | None
"""The end of a ``tail``: when a function returns True, or an event is set; None: nothing but closing ends it."""

SETTLE_S = 0.05
"""How long a writer may take from the first byte of a commit to its last, before a reader calls it torn."""

SEEK_PIECE = 16 * 1024
"""Bytes read at a time while seeking: enough for many small commits, and little to pay for one step."""

FEW = 32
"""Events of which no more than these are looked up: to find them costs less than to decode a whole piece for them."""

_seq_of = attrgetter("seq")


def batches(cursor: Cursor, size: int, after: int, until: int | None) -> Iterator[list[AnyEvent]]:
    """The events that a cursor finds up to offset ``size``, with ``after`` < seq <= ``until``."""
    while cursor.place.offset < size and (until is None or cursor.place.seq < until):
        batch = cursor.next()
        if batch is None:
            return
        if batch := clip(batch, after, until):
            yield batch


def clip(batch: list[AnyEvent], after: int, until: int | None) -> list[AnyEvent]:
    """The events of ``batch`` with ``after`` < seq <= ``until``. Cost: O(log(n)), plus the copy of what is kept."""
    if batch and batch[0].seq <= after:
        batch = batch[bisect_right(batch, after, key=_seq_of) :]
    if until is not None and batch and batch[-1].seq > until:
        batch = batch[: bisect_right(batch, until, key=_seq_of)]
    return batch


def is_set(stop: Stop) -> bool:
    return stop is not None and (stop.is_set() if isinstance(stop, threading.Event) else stop())


def pause(stop: Stop, seconds: float) -> None:
    """Wait; a set event ends it at once."""
    if isinstance(stop, threading.Event):
        stop.wait(seconds)
    else:
        time.sleep(seconds)


class Reader:
    """Reads one open ledger file. Readers and their iterators are independent of each other.

    ``named``: what is to be read is the file that has this name, so a tail ends with an error when it has lost it. A
    writer's own tails go on with the file that it writes.
    """

    def __init__(self, file: LedgerFile, *, named: bool = True) -> None:
        self.path = file.path
        self.header = file.header
        self.closed = False
        self._file = file
        self._disk = file.disk
        self._handle = file.handle
        self._start = file.start
        self._named = named

    @property
    def first(self) -> int:
        """The seq of the first event that is there, or would be."""
        return self._start.seq + 1

    hole = ""

    def start(self, seq: int | None) -> Start | None:
        """See ``LedgerReader.start``."""
        return self._file.checkpoint() if seq is None or self._start.seq <= seq else None

    def origins(self) -> tuple[Origin, ...]:
        """See ``LedgerReader.origins``."""
        return self._file.origins()

    @property
    def tip(self) -> str:
        """The file itself."""
        return self.path

    def last(self) -> Place:
        """The place after the last commit that looks sound, now. Cost: O(bytes of that commit and of the tail)."""
        size = self._disk.size(self._handle)
        while (place := last_commit(self._disk, self._handle, size, self._start.offset)) is not None:
            if fits(self._disk, self._handle, self._start, place):
                return place
            size = place.at
        return self._start

    def damage(self) -> DamagedLedger | None:
        """The damage after ``last``; None when there is none, or only a torn tail. Cost: that of ``last``."""
        for _ in range(2):  # look again: the writer may have been in the middle of it at the first look
            found = damage_after(self._disk, self._handle, self.path, self.last())
            if found is None:
                return None
        return found

    def mark(self) -> tuple[int, int]:
        """The number of the segment and its bytes, which change whenever something was written."""
        return 1, self._disk.size(self._handle)

    @property
    def in_place(self) -> bool:
        """Whether the file has still its name."""
        return self._disk.identity_at(self.path) == self._disk.identity(self._handle)

    def size_on_disk(self) -> int:
        """The bytes of the file now."""
        return self._disk.size(self._handle)

    def holds(self, place: Place) -> bool:
        """True when the commit that ended at ``place`` still stands there."""
        return stands(self._disk, self._handle, place)

    def verify(self, written: str | None = None) -> Verification:
        """Check the file up to the last commit line of now, and what is after it, unless it is being written.

        ``written``: the path of the ledger whose lock says so, where that is not the file itself.
        """
        size, end = self._file.size, self.last().offset
        found = verify_file(self._file, size)
        if found.tail_bytes and is_written(self._disk, written or self.path, self.path):
            time.sleep(SETTLE_S)
            if self.last().offset > end:  # not torn: it was in the middle of being written
                return verify_file(self._file, end)
        return found

    def verify_up_to(self, place: Place, path: str) -> Verification:
        """Check the file up to ``place``: what a writer knows to be whole."""
        return verify_file(self._file, place.offset)

    def cursor(self, handle: int, after: int = 0, piece: int = PIECE) -> Cursor:
        """A cursor at a commit that ends at or before seq ``after``, at most about ``piece`` bytes before it.

        Cost: O(log(bytes)) reads of a piece: commit lines are places to start from wherever they stand.
        """
        low, high = self._start, self._disk.size(handle)
        while after > self._start.seq and high - low.offset > piece:
            middle = (low.offset + high) // 2
            _, place = next(commits(self._disk, handle, middle, SEEK_PIECE), (None, None))
            if place is None or place.seq > after or place.offset >= high:
                high = middle
            else:
                low = place
        return Cursor(self._disk, handle, self.path, low, piece)

    def place_before(self, seq: int) -> Place:
        """See ``LedgerReader.place_before``."""
        return self.cursor(self._handle, seq, SEEK_PIECE).place

    def read(self, after: int, until: int | None) -> Iterator[list[AnyEvent]]:
        """See ``LedgerReader.read``."""
        piece = PIECE if until is None or until - after > FEW else SEEK_PIECE
        with self._second_handle() as handle:
            yield from batches(self.cursor(handle, after, piece), self._disk.size(handle), after, until)

    def tail(self, after: int, stop: Stop, wait: Callable[[Place], None]) -> Iterator[list[AnyEvent]]:
        """See ``LedgerReader.tail``. ``wait`` returns when there may be more after the place that it is given."""
        with self._second_handle() as handle:
            cursor = self.cursor(handle, after)
            while not is_set(stop):
                self._check_same(handle, cursor)
                closed = self.closed
                batch = cursor.next()
                if batch is None:
                    if closed:
                        return
                    wait(cursor.place)
                elif batch := clip(batch, after, None):
                    yield batch

    def _check_same(self, handle: int, cursor: Cursor) -> None:
        if self._named and self._disk.identity_at(self.path) != self._disk.identity(handle):
            raise HistoryChanged(f"{self.path} was removed or replaced while it was followed")
        cursor.check_place()

    def _second_handle(self) -> AbstractContextManager[int]:
        return closing_handle(self._disk, self._disk.duplicate(self._handle, self.path))

    def close(self) -> None:
        """Let the file go. Iterators that are under way have their own handle."""
        if not self.closed:
            self.closed = True
            self._file.close()
