"""Ledgers on a disk, open for reading alone: what loads nothing that writes."""

from abc import abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

from ezmsg.ledger.errors import DamagedLedger, LedgerClosed
from ezmsg.ledger.events import AnyEvent
from ezmsg.ledger.folder.reader import FolderReader
from ezmsg.ledger.lock.lock import is_written
from ezmsg.ledger.reader import POLL_S, LedgerReader
from ezmsg.ledger.storage.disk import Disk
from ezmsg.ledger.storage.file_access import explained
from ezmsg.ledger.storage.reading.open_file import LedgerFile, Start
from ezmsg.ledger.storage.reading.reader import Reader, Stop, pause
from ezmsg.ledger.storage.reading.scan import Place
from ezmsg.ledger.storage.reading.verify import Verification
from ezmsg.ledger.structural import Origin


class OnDisk(LedgerReader):
    """Reading a ledger on a disk, in the one way that a reader and a writer share."""

    _disk: Disk
    _reader: Reader | FolderReader

    def read(self, after: int = 0, until: int | None = None) -> Iterator[list[AnyEvent]]:
        self._check_usable()
        return self._explained(self._reader.read(after, until))

    def tail(self, after: int = 0, poll: float = POLL_S, stop: Stop = None) -> Iterator[list[AnyEvent]]:
        self._check_usable()
        return self._explained(self._reader.tail(after, stop, self._waiter(stop, poll)))

    def _explained(self, batches: Iterator[list[AnyEvent]]) -> Iterator[list[AnyEvent]]:
        with self._reading():
            yield from batches

    def _reading(self) -> AbstractContextManager[None]:
        return explained(self.location, "read")

    @abstractmethod
    def _check_usable(self) -> None:
        """Raise LedgerClosed after ``close``, ForkedWriter in a forked child of the writer."""

    @abstractmethod
    def _waiter(self, stop: Stop, poll: float) -> Callable[[Place], None]:
        """A function for a tail to wait with: it returns when there may be more after the place it is given."""

    @property
    def first(self) -> int:
        with self._reading():
            return self._reader.first

    @property
    def hole(self) -> str:
        with self._reading():
            return self._reader.hole

    @property
    def origins(self) -> tuple[Origin, ...]:
        with self._reading():
            return self._reader.origins()

    def start(self, seq: int | None = None) -> Start | None:
        self._check_usable()
        with self._reading():
            return self._reader.start(seq)

    def place_before(self, seq: int) -> Place:
        self._check_usable()
        with self._reading():
            return self._reader.place_before(seq)

    @property
    def bytes_on_disk(self) -> int:
        with self._reading():
            return self._reader.size_on_disk()


class DiskReader(OnDisk):
    """A ledger that is read, perhaps while another process writes it. Nothing is locked, nothing is ever written."""

    def __init__(self, disk: Disk, path: str) -> None:
        super().__init__()
        self.location = path
        self._disk = self.disk = disk
        with self._reading():
            self.segmented = disk.kind(path) == "folder"
            self._reader = FolderReader(disk, path) if self.segmented else Reader(LedgerFile(disk, path))
        self.header = self._reader.header
        self._seen: Place | None = None
        self._mark = (0, 0)
        self._damage: DamagedLedger | None = None
        self._looked = (0, 0)

    def _check_usable(self) -> None:
        if self._reader.closed:
            raise LedgerClosed(f"{self.location} is closed", hint="Open it again to read.")

    def _waiter(self, stop: Stop, poll: float) -> Callable[[Place], None]:
        return lambda place: pause(stop, poll)

    @property
    def place(self) -> Place:
        if self._reader.closed:
            return self._seen or Place(0, 0, b"")
        with explained(self.location, "read"):
            if (mark := self._reader.mark()) != self._mark or self._seen is None:
                self._seen, self._mark = self._reader.last(), mark
            return self._seen

    def holds(self, place: Place) -> bool:
        with self._reading():
            return self._reader.holds(place)

    @property
    def tail_bytes(self) -> int:
        end = self.place.offset
        return self._mark[1] - end

    @property
    def damage(self) -> DamagedLedger | None:
        if self._reader.closed:
            return None
        with self._reading():
            if (mark := self._reader.mark()) != self._looked:
                self._damage, self._looked = self._reader.damage(), mark
            return self._damage

    @property
    def tip(self) -> str:
        with self._reading():
            return self._reader.tip

    @property
    def in_place(self) -> bool:
        return not self._reader.closed and self._reader.in_place

    @property
    def being_written(self) -> bool:
        commit = self.place.commit
        closed = commit is not None and commit.seals and not self.segmented  # a segment is sealed by a rotation as well
        return not closed and is_written(self._disk, self.location, self.tip)

    def verify(self) -> Verification:
        self._check_usable()
        with self._reading():
            return self._reader.verify()

    def check(self) -> None:
        place = self.place
        assert self._reader.closed or self.holds(place), f"no commit line ends at offset {place.offset}"

    def close(self) -> None:
        self._reader.close()

    def __del__(self) -> None:
        if hasattr(self, "_reader"):
            self.close()
