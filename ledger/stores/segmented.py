"""A ledger that is a folder of segments, open for append: a new one is begun whenever ``rotate`` is called."""

import os
from collections.abc import Callable, Sequence

from ezmsg.ledger.clock import Clock
from ezmsg.ledger.folder.proven import add_to_note
from ezmsg.ledger.folder.reader import FolderReader
from ezmsg.ledger.folder.rotation import begin_segment, drop_sealed, make_ready, pack_sealed
from ezmsg.ledger.folder.segments import Segments, number_of
from ezmsg.ledger.lock.lock import WriterLock
from ezmsg.ledger.storage.compression import SUFFIX
from ezmsg.ledger.storage.disk import Disk
from ezmsg.ledger.storage.durability import Durability
from ezmsg.ledger.storage.header import check_states
from ezmsg.ledger.storage.reading.open_file import Sealed, Since
from ezmsg.ledger.storage.reading.reader import Reader
from ezmsg.ledger.storage.reading.scan import Place
from ezmsg.ledger.storage.writing.writer import Begun
from ezmsg.ledger.stores.file_ledger import FileLedger


class SegmentedLedger(FileLedger):
    """A folder open for append: its one writer, and readers beside it. Sealed segments can be compressed and dropped.

    ``make``: what is a file becomes a folder, what is not there is made.
    """

    def __init__(
        self, disk: Disk, path: str, durability: Durability, clock: Clock, *, make: bool = True
    ) -> None:
        self._make = make
        super().__init__(disk, path, durability, clock)

    segmented = True

    @property
    def began(self) -> int:
        return self._began

    def _make_ready(self) -> str:
        return make_ready(self._disk, self.location, self.clock.real, make=self._make)

    def _make_reader(self, lock: WriterLock) -> Reader | FolderReader:
        reader = FolderReader(self._disk, self.location, named=False)
        self._began = reader.began
        return reader

    @property
    def bytes_on_disk(self) -> int:
        with self._reading():
            return self._reader.size_on_disk()

    def _file_to_write(self) -> str | None:
        if self._disk.kind(self.location) != "folder":
            return super()._file_to_write()
        segments = Segments(self._disk, self.location)
        listed = segments.listed()
        path = segments.path_of(max(listed)) if listed else None
        return None if path is None or path.endswith(SUFFIX) else path

    @property
    def _number(self) -> int:
        number = number_of(os.path.basename(self._writer.path))
        assert number is not None, self._writer.path
        return number

    def rotate(
        self, states: Sequence[bytes] = (), expected_seq: int | None = None, since: Since | None = None
    ) -> bool:
        check_states(states)  # here, where nobody waits for it
        writer = self._writer
        if writer.place.seq == writer.began.seq and not writer.closed:
            return False
        now = self.clock.real()

        sealed: dict[str, str] = {}

        def begin(end: Place, digest: str) -> Begun:
            sealed[os.path.basename(writer.path)] = digest
            number = self._number + 1
            more = since(end.seq) if since is not None else ()
            check_states(more)
            known = [*states, *more]
            return begin_segment(self._disk, self.location, self.header, number, now, end, digest, known)

        writer.rotate(begin, expected_seq)
        self._began = now
        add_to_note(self._disk, self.location, sealed)
        return True

    def pack(self, stop: Callable[[], bool] = lambda: False) -> list[str]:
        self._writer.check_usable()
        return pack_sealed(self._disk, self.location, stop)

    def drop(self, before: int | Callable[[Sealed], bool]) -> list[str]:
        self._writer.check_usable()

        def is_old(sealed: Sealed) -> bool:
            return before(sealed) if callable(before) else sealed.time < before

        return drop_sealed(self._disk, self.location, is_old)
