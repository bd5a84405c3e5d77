"""A ledger of one file, open for append."""

import logging
import os
from collections.abc import Callable, Iterable

from ezmsg.ledger.clock import Clock
from ezmsg.ledger.errors import LedgerError, LogError, WriteFailed
from ezmsg.ledger.events import Event
from ezmsg.ledger.folder.reader import FolderReader
from ezmsg.ledger.folder.rotation import check_begins
from ezmsg.ledger.lock.debt import owed_by
from ezmsg.ledger.lock.holder import Unwritten
from ezmsg.ledger.lock.lock import WriterLock, network_file_system
from ezmsg.ledger.log import Ledger
from ezmsg.ledger.storage.disk import Disk, Space, sync_file
from ezmsg.ledger.storage.durability import Durability
from ezmsg.ledger.storage.file_access import closing_handle, create, explained
from ezmsg.ledger.storage.header import first_bytes, new_header, refuse_foreign
from ezmsg.ledger.storage.reading.open_file import LedgerFile
from ezmsg.ledger.storage.reading.reader import Reader, Stop
from ezmsg.ledger.storage.reading.scan import Place
from ezmsg.ledger.storage.reading.verify import Verification
from ezmsg.ledger.storage.writing.recovery import is_missing_or_empty, open_for_append
from ezmsg.ledger.storage.writing.writer import Writer
from ezmsg.ledger.stores.disk_reader import OnDisk
from ezmsg.ledger.wording import seqs_text

logger = logging.getLogger("ezmsg.ledger")


class FileLedger(OnDisk, Ledger):
    """A file open for append: its one writer, and readers beside it."""

    def __init__(self, disk: Disk, path: str, durability: Durability, clock: Clock) -> None:
        super().__init__()
        self.location = path
        self.durability = durability
        self._disk = disk
        self.clock = clock
        refuse_foreign(disk, path)  # before there is a lock file: beside what is not ours nothing is left
        file_system = network_file_system(disk, path)
        if file_system is not None:
            logger.warning("%s is on a network file system (%s). %s", path, file_system, _NETWORK)
        lock = WriterLock(disk, path)
        try:
            with explained(path, "made ready for writing", "Nothing of it is lost. Check the disk."):
                ready = self._make_ready()
            opened = open_for_append(disk, lock, ready, clock.real)
            with self._reading():
                self._reader = self._make_reader(lock)
        except BaseException:
            lock.release()
            raise
        self.previous_writer_seen = lock.previous_seen
        self.previous_writer_told = lock.previous_told
        self._owed: list[Event] = []
        self.header = opened.header
        self._writer = writer = Writer(disk, lock, opened, durability, clock.real)
        self._flusher = writer.flusher

    def _make_ready(self) -> str:
        """The path of the file to write, made when it is missing or empty."""
        if is_missing_or_empty(self._disk, self.location):
            create(self._disk, self.location, first_bytes(new_header(self.clock.real())))
        elif self._disk.kind(self.location) == "file":
            check_begins(self._disk, self.location)
        return self.location

    def _make_reader(self, lock: WriterLock) -> Reader | FolderReader:
        # a handle of its own: iterators duplicate it, and one that a forked child inherits would keep the lock
        file = LedgerFile(self._disk, self.location)
        lock.guard(file.handle)
        return Reader(file, named=False)

    # --- what the writer before could not write ---

    def make_good(self) -> None:
        """Append what is owed, if there is room now."""
        left = self._writer.lock_file.unwritten
        if left is None:
            return
        if left.ledger == self.header.id:
            self._owed = owed_by(left, self.head)
        else:
            logger.warning("%s: another ledger of this name had events that could not be written: LOST", self.location)
        try:
            self._settle()
        except WriteFailed as error:
            logger.error("%s: what the writer before has lost cannot be noted yet: %s", self.location, error)

    def _settle(self) -> None:
        if self._owed:
            first, last = self.head + 1, self._writer.append(self._owed, None, True)[0].seq - 1
            self._owed = []
            what = "the writer before ended while it could not write: what it gave out is LOST (%s)"
            logger.error(f"%s: {what}", self.location, seqs_text(first, last))
        try:
            self.note(None)
        except OSError as error:  # it will be found again, and that nothing of it is owed any more
            logger.warning("%s: %s", self.location, error)

    @property
    def owed(self) -> list[Event]:
        return list(self._owed)

    def note(self, unwritten: Unwritten | None) -> None:
        self._writer.lock_file.note(unwritten)

    # --- write ---

    def append(
        self, events: Iterable[Event], expected_seq: int | None = None, wait: bool = True, time: int | None = None
    ) -> list[Event]:
        events = list(events)
        if self._owed and events[: len(self._owed)] != self._owed:
            self._settle()
        stored = self._writer.append(events, expected_seq, wait, time)
        self._owed = []
        return stored

    def append_late(self, events: list[Event]) -> None:
        self._writer.append_late(events)
        self._owed = []

    @property
    def space(self) -> Space | None:
        try:
            return self._disk.space(os.path.dirname(self._writer.path))
        except OSError:
            return None

    def probe(self, size: int) -> None:
        if self._writer.closed or self.failure is not None or not self.in_place:
            self._probe_anew()
        else:
            self._writer.probe(size)

    def _probe_anew(self) -> None:
        """Whether the disk under a broken or lost file would let it be opened anew, as far as one sync tells."""
        folder, file = os.path.dirname(self.location), self._file_to_write()
        if file is None:
            if self._disk.kind(folder) is None:
                raise LogError(f"{folder} is no longer there: it was removed")
            return
        try:
            with closing_handle(self._disk, self._disk.open(file, write=True)) as handle:
                sync_file(self._disk, handle)
        except OSError as error:
            raise LogError(f"{file} cannot be synced: {error.strerror or error}") from error

    def _file_to_write(self) -> str | None:
        """The file that would be written were the ledger opened anew; None when there is none now."""
        return None if self._disk.kind(self.location) is None else self.location

    def reopen(self) -> Ledger:
        try:
            self.close()
        except LedgerError as error:
            logger.warning("%s: not closed in good order: %s", self.location, error)
        return type(self)(self._disk, self.location, self.durability, self.clock)

    @property
    def in_place(self) -> bool:
        with self._writer.lock:
            if self._writer.closed:
                return False
            return self._disk.identity_at(self._writer.path) == self._disk.identity(self._writer.handle)

    @property
    def loss(self) -> str:
        return self._writer.lost()

    def sync(self) -> None:
        self._writer.check_usable()
        self._flusher.sync()

    def wait_durable(self, seq: int, timeout: float | None = None) -> bool:
        self._writer.check_usable()
        return self._flusher.wait(seq, timeout)

    def on_durable(
        self, durable: Callable[[int], object], failed: Callable[[LedgerError], object] | None = None
    ) -> None:
        self._flusher.on_durable(durable, failed)

    @property
    def durable_seq(self) -> int:
        return self._flusher.durable_seq

    @property
    def failure(self) -> WriteFailed | None:
        return self._flusher.failure

    def touch(self) -> None:
        self._writer.lock_file.touch()

    # --- read ---

    tail_bytes = 0

    def _check_usable(self) -> None:
        self._writer.check_usable()

    def _waiter(self, stop: Stop, poll: float) -> Callable[[Place], None]:
        return self._writer.waiter(poll)

    def verify(self) -> Verification:
        self._check_usable()
        with self._writer.lock:
            path, place = self._writer.path, self._writer.place
        with self._reading():
            return self._reader.verify_up_to(place, path)

    @property
    def tip(self) -> str:
        return self._writer.path

    @property
    def appended(self) -> int:
        return self._writer.appended

    @property
    def bytes_on_disk(self) -> int:
        return self._writer.place.offset

    @property
    def grown(self) -> int:
        return self._writer.place.offset - self._writer.began.offset

    def check(self) -> None:
        self._writer.check()

    @property
    def place(self) -> Place:
        return self._writer.place

    def holds(self, place: Place) -> bool:
        return True

    @property
    def being_written(self) -> bool:
        return not self._writer.closed

    def close(self) -> None:
        self._reader.closed = True  # its file is the lock's to close
        self._writer.close()


_NETWORK = "Locks and syncs may not hold what they promise there: record to a disk of this machine."
