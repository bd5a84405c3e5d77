"""Saving what is sound of a damaged ledger: its longest sound prefix, copied to a new place. The original stays.

What is to be said of the rest (a gap, and the end of the things that were open at the cut) are events, which need a
fold: they are given from outside.
"""

import os
from collections.abc import Iterator, Sequence
from typing import Any, Literal, NamedTuple

import msgspec

from ezmsg.ledger import codec
from ezmsg.ledger.audit.unnamed import Unnamed
from ezmsg.ledger.codec import LINE_MAX
from ezmsg.ledger.errors import DamagedLedger, EventError, LedgerError, LogError
from ezmsg.ledger.folder.reader import joins
from ezmsg.ledger.folder.segments import Segments, segment_name
from ezmsg.ledger.storage.disk import Disk, sync_file, write_all
from ezmsg.ledger.storage.file_access import closing_handle, size_of, write_new
from ezmsg.ledger.storage.reading.damage import damage_after
from ezmsg.ledger.storage.reading.open_file import LedgerFile
from ezmsg.ledger.storage.reading.scan import Place, Window, hash_file, pieces
from ezmsg.ledger.storage.reading.verify import Verification, verify_file
from ezmsg.ledger.storage.writing.stamp import encode_late
from ezmsg.ledger.structural import STRUCTURAL, Commit, Segment, encode_commit


class Survey(msgspec.Struct, frozen=True, kw_only=True):
    """The sound beginning of a ledger, and what stands after it.

    ``damage``: None when all is sound; ``torn`` when only the end is, as a killed writer leaves it; else ``damaged``.
    ``segment``, ``offset``, ``sha256``: the file in which the sound part ends, its bytes up to there and their digest.
    ``seq``: the last event in it. ``why``: the first thing that does not hold. ``left_bytes``, ``left_segments``: what
    is after, in all files, and how many whole files of these; ``left_events``: events in it that can still be read,
    with seqs from ``left_first`` (0 for none); ``left_last``: the last seq that was given out, as far as can be told.
    """

    path: str
    id: str
    whole: tuple[str, ...]
    segment: int
    offset: int
    seq: int
    sha256: str
    damage: Literal["torn", "damaged"] | None = None
    why: str = ""
    left_bytes: int = 0
    left_segments: int = 0
    left_events: int = 0
    left_first: int = 0
    left_last: int = 0

    @property
    def folder(self) -> bool:
        """Whether it consists of segments."""
        return bool(self.whole)


class _End(NamedTuple):
    """The end of the sound part of a file; ``offset`` 0: not even its beginning is sound."""

    number: int
    offset: int
    seq: int
    sha256: str


def survey(disk: Disk, path: str) -> Survey:
    """Look at every byte of the ledger at ``path``, which nobody is writing.

    Raises NotALedger, NewerFormat, LogError; DamagedLedger when not even its beginning is sound. Cost: as ``verify``.

    >>> from ezmsg.ledger import Ledger
    >>> from ezmsg.ledger.storage.disk import OS_DISK
    >>> Ledger.open("run.ledger").close()
    >>> survey(OS_DISK, "run.ledger").damage is None
    True
    """
    if disk.kind(path) != "folder":
        try:
            opened = LedgerFile(disk, path)
        except DamagedLedger as error:
            raise _unsavable(disk, [path], str(error)) from error
        with opened as file:
            end, why, _ = _look(file, None)
            return _surveyed(disk, path, file.header.id, (), end, why, [path])
    segments = Segments(disk, path)
    numbers = segments.numbers()
    if hole := segments.hole(numbers):
        raise LogError(
            f"{path}: {hole}",
            hint="Put back what is missing, or move away what is before it: the rest can be repaired by itself, then.",
        )
    return _survey_folder(segments, numbers)


def _survey_folder(segments: Segments, numbers: range) -> Survey:
    paths = {number: segments.path_of(number) or "" for number in numbers}
    last: _End | None = None
    before: Verification | None = None
    id_, why = "", ""
    whole: list[str] = []
    for number in numbers:
        try:
            with segments.open(number) as file:
                end, why, found = _look(file, before)
                id_ = id_ or file.header.id
        except LedgerError as error:
            end, why = _End(number, 0, 0, ""), str(error)
        if end.offset:
            last = end
            whole.append(paths[number])
        if why:
            break
        before = found
    if last is None:
        raise _unsavable(segments.disk, list(paths.values()), why)
    rest = [paths[number] for number in numbers if number >= last.number]
    return _surveyed(segments.disk, segments.path, id_, tuple(whole), last, why, rest)


def _look(file: LedgerFile, before: Verification | None) -> tuple[_End, str, Verification]:
    """The end of the sound part of a file, what is wrong after it ("" for nothing), and the whole verification."""
    unreadable = ""
    try:
        found = verify_file(file, file.size)
    except DamagedLedger as error:  # a compressed one, which cannot be unpacked from there on
        file.disk = _Clipped(file.disk, error.offset)
        found = verify_file(file, error.offset)
        unreadable = str(error)
    if before is not None and (unjoined := next(joins(file, before), "")):
        return _End(file.number, 0, 0, ""), unjoined, found  # nothing in it is a part of this history
    return _End(file.number, found.offset, found.seq, found.sha256), unreadable or next(iter(found.problems), ""), found


class _Clipped(Disk):
    """A file as if it ended where it cannot be read any further."""

    def __init__(self, disk: Disk, end: int) -> None:
        self._disk = disk
        self._end = end

    def read_into(self, handle: int, view: memoryview, offset: int) -> int:
        wanted = min(len(view), self._end - offset)
        return self._disk.read_into(handle, view[:wanted], offset) if wanted > 0 else 0

    def size(self, handle: int) -> int:
        return self._end

    def close(self, handle: int) -> None:
        self._disk.close(handle)


def _surveyed(
    disk: Disk, path: str, id_: str, whole: tuple[str, ...], end: _End, why: str, rest: Sequence[str]
) -> Survey:
    """The survey of a ledger whose sound part ends at ``end`` in the first of the files ``rest``."""
    if not end.offset:
        raise _unsavable(disk, list(rest), f"{path}: {why}")
    if not why:
        rest = ()
    behind = _Behind(end.seq)
    sound = Place(end.offset, end.seq, b"")
    sizes = []
    damage: Literal["torn", "damaged"] | None = None if not why else "damaged" if len(rest) > 1 else "torn"
    for index, name in enumerate(rest):
        begin = 0 if index else end.offset
        try:
            with LedgerFile(disk, name) as file:
                sizes.append(file.size - begin)
                if not index and damage_after(file.disk, file.handle, name, sound):
                    damage = "damaged"
                behind.read(file.disk, file.handle, begin, file.size)
        except LedgerError:  # not even its beginning can be read
            if len(sizes) <= index:
                sizes.append(size_of(disk, name))
            damage = "damaged"
    return Survey(
        path=path,
        id=id_,
        whole=whole,
        segment=end.number,
        offset=end.offset,
        seq=end.seq,
        sha256=end.sha256,
        damage=damage,
        why=why,
        left_bytes=sum(sizes),
        left_segments=max(0, len(rest) - 1),
        left_events=behind.events,
        left_first=behind.first,
        left_last=behind.last,
    )


def _unsavable(disk: Disk, paths: Sequence[str], why: str) -> DamagedLedger:
    """The error for a ledger of which not even the beginning is sound: it says how much can still be read in it."""
    behind = _Behind(0)
    for path in paths:
        with closing_handle(disk, disk.open(path)) as handle:
            behind.read(disk, handle, 0, disk.size(handle))
    if behind.events:
        events = "1 event" if behind.events == 1 else f"{behind.events:,} events"
        why += f"; {events} can still be read in its lines, from seq {behind.first} on"
    return DamagedLedger(why, offset=0, seq=0, hint=_NOTHING_HINT)


_NOTHING_HINT = (
    "Nothing can be saved from the beginning on, for nothing proves it. Keep it: its lines are JSON, which grep and jq "
    "read."
)


class _Behind:
    """How many ``events`` after the sound part can be read, the ``first`` of their seqs, the ``last`` one given out."""

    def __init__(self, seq: int) -> None:
        self.events = 0
        self.first = 0
        self.last = self._seq = seq
        self._lines = 0
        self._shown = 0

    def read(self, disk: Disk, handle: int, begin: int, end: int) -> None:
        for line in _lines(disk, handle, begin, end):
            self._lines += 1
            try:
                entry: Any = codec.decode_line(line)
            except EventError:
                continue
            if isinstance(entry, Segment):
                self._shown = entry.first - 1
            elif isinstance(entry, Commit):
                if entry.upto == self._shown:  # two lines say so: it is no slip of a digit
                    self.last = max(self.last, entry.upto)
            elif not isinstance(entry, STRUCTURAL) and entry.seq > self._seq:
                self.events += 1
                self.first = min(self.first or entry.seq, entry.seq)
                self._shown = entry.seq
                if entry.seq <= self._seq + self._lines:  # no more than there are lines: seqs are dense
                    self.last = max(self.last, entry.seq)


def _lines(disk: Disk, handle: int, begin: int, end: int) -> Iterator[bytes]:
    """The whole lines of a file from an offset on, without newlines; what is too long to be one is passed over."""
    rest = bytearray()
    for view in Window(disk, handle).ranges(begin, end):
        rest += view
        *whole, rest = rest.split(b"\n")
        yield from map(bytes, whole)
        if len(rest) > LINE_MAX:
            rest = bytearray()


class SoundCopy(Unnamed):
    """The sound part of a ledger in a new file or folder: see ``Unnamed``."""

    def __init__(self, disk: Disk, found: Survey, target: str) -> None:
        super().__init__(disk, target)
        self._found = found

    @property
    def _tip(self) -> str:
        """The file that the sound part ends in."""
        return os.path.join(self.path, segment_name(self._found.segment)) if self._found.folder else self.path

    def _make(self) -> None:
        disk, found = self._disk, self._found
        if found.folder:
            disk.make_folder(self.path)
            for name in found.whole[:-1]:
                with closing_handle(disk, disk.open(name)) as handle:
                    whole = pieces(disk, handle, 0, disk.size(handle))
                    write_new(disk, os.path.join(self.path, os.path.basename(name)), whole)
        with LedgerFile(disk, found.whole[-1] if found.folder else found.path) as file:
            write_new(disk, self._tip, pieces(file.disk, file.handle, 0, found.offset))

    def append(self, events: Sequence[Any]) -> None:
        """Add events that have their seqs and times, as one commit, and the seal. Raises InvalidEvent, LogError."""
        data = encode_late(events, self._found.seq)
        disk, at, seq = self._disk, self._found.offset, events[-1].seq
        with self._explained(), closing_handle(disk, disk.open(self._tip, write=True)) as handle:
            digest = hash_file(disk, handle, at)
            digest.update(data)
            commit = encode_commit(seq, len(events), at + len(data), at, digest.hexdigest())
            write_all(disk, handle, data + commit, at)
            sync_file(disk, handle)
            digest.update(commit)
            end = at + len(data) + len(commit)
            write_all(disk, handle, encode_commit(seq, 0, end, end, digest.hexdigest()), end)
            sync_file(disk, handle)
