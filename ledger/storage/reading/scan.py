"""Finding commit lines in a file without decoding what is between them.

A commit line states its own offset, so one that stands there, byte for byte as we would have written it, is a place to
start from. None of this looks at events or hashes.
"""

import re
from collections.abc import Iterator
from hashlib import sha256
from typing import NamedTuple, Protocol, Self

import msgspec

from ezmsg.ledger.storage.disk import Disk
from ezmsg.ledger.structural import COMMIT_PREFIX, Commit, encode_commit

PIECE = 256 * 1024
"""Bytes read at a time. Larger buffers fall out of the processor's cache: 4 MiB decode at two thirds of the speed."""

FIRST_PIECE = 4096
"""Bytes read at first when looking back from the end of a file: the last commit line is mostly among them."""

COMMIT_LINE = b"\n" + COMMIT_PREFIX
"""The beginning of a commit line. JSON has no raw newline inside, so this is never part of anything else."""

COMMIT_LINE_MAX = 256
"""Bytes of a commit line: 64 of the hash, four integers of at most 20 digits, and the names."""


class Place(NamedTuple):
    """The end of a whole commit: its offset, the seq of the last event before it, and the commit line itself.

    ``line`` is empty after the header alone. It holds the hash of all before it: a reader that comes back to a place
    can tell by it whether the history before is still the same.
    """

    offset: int
    seq: int
    line: bytes

    @property
    def at(self) -> int:
        """The offset at which the commit line begins."""
        return self.offset - len(self.line)

    @property
    def commit(self) -> Commit | None:
        """The commit line, decoded; None after the header alone, or when it is not exactly what we would write."""
        return parse_commit(self.line, self.at)


_decoder = msgspec.json.Decoder(Commit)


def parse_commit(line: bytes, at: int) -> Commit | None:
    """The commit that ``line`` (newline included) is, if it is exactly what we would have written at offset ``at``."""
    try:
        commit = _decoder.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    exact = encode_commit(commit.upto, commit.count, commit.at, commit.synced, commit.sha256)
    return commit if exact == line and commit.at == at and 0 <= commit.synced <= at else None


def read_at(disk: Disk, handle: int, offset: int, size: int) -> bytes:
    """The bytes from ``offset`` on, ``size`` of them, or fewer at the end of the file."""
    buffer = bytearray(size)
    view = memoryview(buffer)
    return bytes(view[: fill(disk, handle, view, offset)])


def fill(disk: Disk, handle: int, view: memoryview, offset: int) -> int:
    """Read into ``view`` until it is full or the file ends; returns the bytes read."""
    size = 0
    while size < len(view):
        count = disk.read_into(handle, view[size:], offset + size)
        if count == 0:
            break
        size += count
    return size


def stands(disk: Disk, handle: int, place: Place) -> bool:
    """Whether the commit line that ended at ``place`` is still there."""
    return read_at(disk, handle, place.at, len(place.line)) == place.line


def pieces(disk: Disk, handle: int, begin: int, end: int) -> Iterator[bytes]:
    """The bytes from ``begin`` to ``end``, a PIECE at a time."""
    for offset in range(begin, end, PIECE):
        yield read_at(disk, handle, offset, min(PIECE, end - offset))


def piece_of(disk: Disk, handle: int, offset: int) -> int:
    """The bytes to read at ``offset``: a PIECE, or one page more than is left, so that small files cost little."""
    return min(PIECE, max(0, disk.size(handle) - offset) + FIRST_PIECE)


class Hash(Protocol):
    """A rolling hash of ``hashlib``."""

    def update(self, data: bytes | memoryview, /) -> None: ...

    def digest(self) -> bytes: ...

    def hexdigest(self) -> str: ...

    def copy(self) -> Self: ...


class Window:
    """A file read forward, in pieces, of which ranges are handed out without copying."""

    def __init__(self, disk: Disk, handle: int) -> None:
        self._disk = disk
        self._handle = handle
        self._view = memoryview(b"")
        self._base = self._end = 0

    def ranges(self, begin: int, end: int) -> Iterator[memoryview]:
        """The bytes from ``begin`` to ``end``, in one or more views, each valid until the next."""
        while begin < end:
            if not self._base <= begin < self._end:
                wanted = piece_of(self._disk, self._handle, begin)
                if len(self._view) < wanted:
                    self._view = memoryview(bytearray(wanted))
                self._base = begin
                self._end = begin + fill(self._disk, self._handle, self._view, begin)
                if self._end == begin:
                    return
            stop = min(end, self._end)
            yield self._view[begin - self._base : stop - self._base]
            begin = stop


def hash_range(digest: Hash, window: Window, begin: int, end: int) -> Hash:
    """``digest`` after the bytes from ``begin`` to ``end`` (fewer where the file ends). Cost: 1.8 GB/s."""
    for view in window.ranges(begin, end):
        digest.update(view)
    return digest


def hash_file(disk: Disk, handle: int, end: int) -> Hash:
    """The hash of a file's first ``end`` bytes. Cost: 1.8 GB/s."""
    return hash_range(sha256(), Window(disk, handle), 0, end)


def commits(disk: Disk, handle: int, start: int, piece: int = PIECE) -> Iterator[tuple[Commit, Place]]:
    """Every commit whose line begins at offset ``start`` or beyond and is exact at its offset, and the place after it.

    Cost: O(bytes), a search in C, ``piece`` bytes at a time.
    """
    return _search(disk, handle, start, piece, COMMIT_LINE)


def stated_durable(disk: Disk, handle: int, start: int) -> int:
    """The part of the file that was on the disk, by what the commit lines from ``start`` on state; 0 without any.

    Whatever else is wrong with a line, it counts: were bytes put in or taken out before it, it stands in another place.
    Without a newline before it, it counts where its offset is right: elsewhere it may be a part of somebody's settings.
    """
    in_place = (commit.synced for commit, _ in _search(disk, handle, start, PIECE, COMMIT_PREFIX))
    anywhere = (int(match[1]) for _, match in _matches(_STATED, disk, handle, start - 1))
    return max(max(in_place, default=0), max(anywhere, default=0))


def displaced(disk: Disk, handle: int, start: int) -> tuple[int, int] | None:
    """The first whole commit line from ``start`` on that states another place than its own, and that other place.

    Bytes were put in or taken out before it: what a crash leaves stands where it was written. Cost: O(bytes), in C.
    """
    for offset, match in _matches(_WHOLE, disk, handle, start - 1):
        if int(match[1]) != offset + 1:
            return offset + 1, int(match[1])
    return None


def moved_from(line: bytes, offset: int) -> int | None:
    """The offset at which a commit line that stands at ``offset`` was written; None when it is none that was moved."""
    match = _WHOLE.match(b"\n" + line)
    return None if match is None or int(match[1]) == offset else int(match[1])


_STATED = re.compile(re.escape(COMMIT_LINE) + rb'[^\n]{0,99}"synced":(\d{1,19}),')
_WHOLE = re.compile(
    re.escape(COMMIT_LINE) + rb'"upto":\d{1,19},"count":\d{1,19},"at":(\d{1,19}),"synced":\d{1,19},'
    rb'"sha256":"[0-9a-f]{64}"\}'
)


def _matches(
    pattern: re.Pattern[bytes], disk: Disk, handle: int, base: int
) -> Iterator[tuple[int, "re.Match[bytes]"]]:
    """Each match from offset ``base`` on, and its offset; a match is at most COMMIT_LINE_MAX bytes long.

    One that begins near the end of a piece can be given twice.
    """
    buffer = bytearray(piece_of(disk, handle, base))
    while (size := fill(disk, handle, memoryview(buffer), base)) > 0:
        for match in pattern.finditer(bytes(memoryview(buffer)[:size])):
            yield base + match.start(), match
        if size < len(buffer):
            return
        base += size - COMMIT_LINE_MAX


def _search(disk: Disk, handle: int, start: int, piece: int, needle: bytes) -> Iterator[tuple[Commit, Place]]:
    ahead = len(needle) - len(COMMIT_PREFIX)
    base = start - ahead
    buffer = bytearray(min(piece, piece_of(disk, handle, base)))
    while (size := fill(disk, handle, memoryview(buffer), base)) > 0:
        begin = buffer.find(needle, 0, size)
        while begin >= 0:
            end = buffer.find(b"\n", begin + 1, size)
            if end < 0:
                break
            line = bytes(buffer[begin + ahead : end + 1])
            if (commit := parse_commit(line, base + begin + ahead)) is not None:
                yield commit, Place(base + end + 1, commit.upto, line)
            begin = buffer.find(needle, begin + 1, size)
        if size < len(buffer):
            return
        cut = begin >= 0 and size - begin <= COMMIT_LINE_MAX  # a commit line goes on in the next piece
        base += begin if cut else size - len(needle) + 1


def last_commit(disk: Disk, handle: int, size: int, start: int) -> Place | None:
    """The place after the last exact commit line that lies between offsets ``start`` and ``size``; None without one.

    Cost: O(bytes after that line).
    """
    buffer = bytearray(FIRST_PIECE)
    end = size
    while end > start:
        base = max(start - 1, end - len(buffer))
        view = memoryview(buffer)[: end - base]
        count = fill(disk, handle, view, base)
        begin = count
        while (begin := buffer.rfind(COMMIT_LINE, 0, begin)) >= 0:
            stop = buffer.find(b"\n", begin + 1, count)
            if stop < 0:
                line = read_at(disk, handle, base + begin + 1, min(COMMIT_LINE_MAX, size - base - begin - 1))
                line = line[: line.find(b"\n") + 1]
            else:
                line = bytes(buffer[begin + 1 : stop + 1])
            if (commit := parse_commit(line, base + begin + 1)) is not None:
                return Place(commit.at + len(line), commit.upto, line)
        if base < start:
            return None
        end = base + len(COMMIT_LINE) - 1
        buffer = bytearray(PIECE)
    return None
