"""The bytes of a ledger on this disk, as pieces that can be shipped: whole commits, checked, and durable.

The idea: a piece leaves when the digest of the whole file up to its last commit line is the one that this line
states, and these bytes have been synced. So nothing that a power cut can still take back is ever shipped, and neither
is damage.
"""

import sys
from hashlib import sha256
from typing import Self

from ezmsg.ledger.audit.receipt import Receipt
from ezmsg.ledger.errors import DamagedLedger, HistoryDropped, LogError
from ezmsg.ledger.folder.segments import Segments
from ezmsg.ledger.lock.lock import is_written
from ezmsg.ledger.storage.disk import OS_DISK, Disk
from ezmsg.ledger.storage.file_access import explained
from ezmsg.ledger.storage.reading.open_file import LedgerFile
from ezmsg.ledger.storage.reading.scan import COMMIT_LINE_MAX, Hash, Place, commits, last_commit, pieces, read_at
from ezmsg.ledger.tools.fleet.message import NO_COMMIT, PIECE_MAX, Piece


class Gone(LogError):
    """Segments were removed before they were shipped. ``next`` is the first one after them that is there."""

    def __init__(self, message: str, next: int) -> None:
        super().__init__(message)
        self.next = next


class Source:
    """A ledger, file or folder, that is read piece by piece, from any place in it, while others write it.

    ``piece_max``: bytes of a piece. Raises NotALedger, NewerFormat, DamagedLedger, LogError.
    """

    def __init__(self, path: str, piece_max: int = PIECE_MAX, disk: Disk = OS_DISK) -> None:
        self.path = path
        self.piece_max = piece_max
        self._disk = disk
        self._file: LedgerFile | None = None
        self._digest: Hash = sha256()
        self._ready = Place(0, 0, b"")
        """The end of the last commit that was hashed and is durable."""
        self._before = self._ready
        """The one before a commit that is too large for one piece, while its parts are being shipped."""
        self._since = 0
        """The offset that these two hold for: a stream that was restored can go on from an earlier one."""
        self._hashed = 0
        self._durable = 0
        self._kept: dict[tuple[int, int], Piece] = {}
        """By place: a piece and the one after it, which was prepared. Either may be asked for, and asked for again."""
        self.id: str = self._open(self.first).header.id

    # --- which files there are ---

    @property
    def _folder(self) -> Segments | None:
        return Segments(self._disk, self.path) if self._disk.kind(self.path) == "folder" else None

    @property
    def first(self) -> int:
        """The number of the first segment that is there."""
        folder = self._folder
        if folder is not None:
            return folder.numbers()[0]
        with LedgerFile(self._disk, self.path) as file:
            return file.number

    @property
    def last(self) -> tuple[int, int]:
        """The number of the last segment, and its bytes: more than have been shipped, or not."""
        folder = self._folder
        number = 0 if folder is None else folder.numbers()[-1]
        with LedgerFile(self._disk, self.path) if folder is None else folder.open(number) as file:
            return file.number, file.size

    @property
    def being_written(self) -> bool:
        """Whether somebody has the ledger open for writing."""
        return is_written(self._disk, self.path, self._file.path if self._file is not None else self.path)

    def after(self, segment: int, offset: int) -> int:
        """Bytes of the ledger after a place in it, as they are when they are not compressed. Cost: O(segments)."""
        folder = self._folder
        numbers = [segment] if folder is None else [number for number in folder.numbers() if number >= segment]
        total = 0
        for number in numbers:
            with LedgerFile(self._disk, self.path) if folder is None else folder.open(number) as file:
                total += file.size - (offset if file.number == segment else 0)
        return max(0, total)

    # --- pieces ---

    def piece(self, segment: int, offset: int) -> Piece | None:
        """The next piece at this place, or at the beginning of the next segment; None when there is none now.

        Raises Gone, and DamagedLedger where the file is not what its commit lines state.
        """
        while True:
            file = self._open(segment)
            kept = self._kept.get((segment, offset))
            if kept is not None and len(kept.data) <= self.piece_max:
                return kept
            if self._since <= offset < self._ready.offset:
                return self._cut(file, offset)
            data = self._advance(file, offset)
            if data is not None:
                return self._cut(file, offset, data)
            following = self._following(segment)
            if following is None or offset < file.size:
                return None
            segment, offset = following, 0

    def prepare(self, piece: Piece) -> None:
        """Read and check the piece after this one, so that it is at hand when it is asked for.

        Only where as much is waiting as fits into one: a smaller piece grows until it is its turn. Raises as ``piece``.
        """
        self._kept = {}
        file = self._open(piece.segment)
        if file.size - piece.end >= self.piece_max and (following := self.piece(piece.segment, piece.end)) is not None:
            self._kept = {(each.segment, each.offset): each for each in (piece, following)}

    def agrees(self, piece: Piece) -> bool:
        """Whether the file holds these very bytes at their place, and the history before them that they state."""
        try:
            file = self._open(piece.segment)
        except Gone:
            return piece.segment < self.first  # dropped since: nothing here says otherwise
        if file.size < piece.end or read_at(file.disk, file.handle, piece.offset, len(piece.data)) != piece.data:
            return False
        place = last_commit(file.disk, file.handle, piece.end, file.start.offset)
        commit = None if place is None else place.commit
        if commit is None or place is None:
            return piece.sha256 == NO_COMMIT
        if commit.sha256 != piece.sha256:
            return False
        self._hash_to(file, commit.at)
        return self._digest.hexdigest() == commit.sha256

    def receipt(self, segment: int, offset: int, time: int) -> tuple[Receipt, bool] | None:
        """A receipt of the ledger at a place that was shipped, and whether it is sealed there; None where no
        commit ends. ``time``: ns since the epoch, UTC."""
        try:
            file = self._open(segment)
        except Gone:
            return None
        place = self._ready if self._ready.offset == offset else self._place_before(file, offset)
        commit = place.commit
        if commit is None or place.offset != offset:
            return None
        stated = Receipt(
            id=self.id, size=commit.at, sha256=commit.sha256, segment=segment, seq=commit.upto, time=time - time % 10**9
        )
        return stated, commit.seals

    def _cut(self, file: LedgerFile, offset: int, data: bytes = b"") -> Piece:
        end = min(self._ready.offset, offset + self.piece_max)
        data = data or read_at(file.disk, file.handle, offset, end - offset)
        place = self._ready if end == self._ready.offset else self._before
        commit = place.commit
        return Piece(file.number, offset, data, place.seq, NO_COMMIT if commit is None else commit.sha256)

    def _advance(self, file: LedgerFile, offset: int) -> bytes | None:
        """Take in the commits after ``offset`` that fit into a piece, and hand out their bytes; or one commit that is
        larger, and b"". None without any."""
        size = file.size
        since = max(offset - COMMIT_LINE_MAX, file.start.offset)  # the piece before can have ended within a commit line
        place = last_commit(file.disk, file.handle, min(size, offset + self.piece_max), since)
        before = self._ready if self._ready.offset == offset else self._place_before(file, offset)
        if (place is None or place.offset <= offset) and size - offset > self.piece_max:
            found = (each for _, each in commits(file.disk, file.handle, since) if each.offset > offset)
            place = next(found, None)
        commit = None if place is None else place.commit
        if place is None or commit is None or place.offset <= offset:
            return None
        data = self._hash_commits(file, offset, place)
        if self._digest.hexdigest() != commit.sha256:
            self._forget(file)
            raise DamagedLedger(
                f"{file.path} is damaged between offset {offset} and {commit.at}: these are not the bytes whose "
                "digest its commit line states, and they are not shipped",
                offset=offset,
                seq=before.seq,
            )
        self._make_durable(file, place)
        self._ready, self._before, self._since = place, before, offset
        return data

    def _place_before(self, file: LedgerFile, offset: int) -> Place:
        found = last_commit(file.disk, file.handle, offset, file.start.offset) if offset > file.start.offset else None
        return found or Place(0, file.start.seq, b"")

    def _hash_commits(self, file: LedgerFile, offset: int, place: Place) -> bytes:
        """Hash up to the commit line before ``place``. What fits into a piece is read once, hashed and handed out."""
        if place.at <= offset or place.offset - offset > self.piece_max:
            self._hash_to(file, place.at)
            return b""
        self._hash_to(file, offset)
        data = read_at(file.disk, file.handle, offset, place.offset - offset)
        self._digest.update(memoryview(data)[: place.at - offset])
        self._hashed = place.at
        return data

    def _hash_to(self, file: LedgerFile, offset: int) -> None:
        if offset < self._hashed:
            self._forget(file)
        for each in pieces(file.disk, file.handle, self._hashed, offset):
            self._digest.update(each)
        self._hashed = offset

    def _make_durable(self, file: LedgerFile, place: Place) -> None:
        """Sync the file up to ``place``, unless a commit line states that its writer has."""
        if place.offset <= self._durable or file.path.endswith(".zst") or self._following(file.number) is not None:
            return
        last = last_commit(file.disk, file.handle, file.size, file.start.offset)
        stated = None if last is None else last.commit
        self._durable = 0 if stated is None else stated.synced
        if place.offset > self._durable and sys.platform != "win32":  # where a handle that reads cannot be synced
            with explained(file.path, "synced"):
                file.disk.sync(file.handle)
            self._durable = place.offset

    # --- the file that is read ---

    def _open(self, segment: int) -> LedgerFile:
        file = self._file
        if file is not None and file.number == segment and self._is_in_place(file):
            return file
        self.close()
        folder = self._folder
        if folder is None:
            found = LedgerFile(self._disk, self.path)
            if found.number != segment:
                found.close()
                raise Gone(f"{self.path} is segment {found.number}, not {segment}", found.number)
        else:
            try:
                found = folder.open(segment)
            except HistoryDropped as error:
                after = [number for number in folder.numbers() if number > segment]
                if not after:
                    raise
                raise Gone(str(error), after[0]) from error
        self._file = found
        self._forget(found)
        return found

    def _is_in_place(self, file: LedgerFile) -> bool:
        # one that was compressed or moved into a folder is read on to its end: its bytes are the same
        folder = self._folder
        if folder is not None:
            return file.number in folder
        return self._disk.identity_at(file.path) == self._disk.identity(file.handle)

    def _forget(self, file: LedgerFile) -> None:
        self._digest, self._hashed, self._durable, self._kept = sha256(), 0, 0, {}
        self._ready = self._before = Place(0, file.start.seq, b"")

    def _following(self, segment: int) -> int | None:
        folder = self._folder
        if folder is None:
            return None
        if segment + 1 in folder:
            return segment + 1
        after = [number for number in folder.numbers() if number > segment]
        if after:
            raise Gone(f"segment {segment + 1} is no longer in {self.path}", after[0])
        return None

    def close(self) -> None:
        """Let the file go. It is opened again when it is asked for."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()
