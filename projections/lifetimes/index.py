"""The index file: lifetimes, checkpoints and landmarks of a ledger, to be mapped into memory. Derived, and disposable.

The idea: the columns lie in the file as blocks. What is new is added at the end, as are blocks that have changed, and
after them a head that says where each block is now; then one of two first lines is made to name that head, the one that
named the head before the last. So a reader always finds a whole head, and what it has mapped is never written again.
See docs/INDEX_FORMAT.md.
"""

import logging
import mmap
import os
import sys
import zlib
from array import array
from collections.abc import Callable
from hashlib import sha256

import msgspec

from ezmsg.ledger.errors import LedgerError
from ezmsg.ledger.events import RULES
from ezmsg.ledger.projections.lifetimes.column import Column, shift_of
from ezmsg.ledger.projections.lifetimes.columns import CODES
from ezmsg.ledger.storage.disk import Disk
from ezmsg.ledger.storage.file_access import closing_handle
from ezmsg.ledger.storage.reading.scan import Place, read_at
from ezmsg.ledger.stores.addresses import address_of
from ezmsg.ledger.structural import FORMAT

logger = logging.getLogger("ezmsg.ledger")

VERSION = 6
"""The version of the file. An index of another one is made anew, never migrated."""

SUFFIX = ".index"
MAGIC = b"ezmsg-ledger-index "
FIRST = len(MAGIC) + 16 + 1 + 10 + 1 + 64 + 1
"""Bytes of a first line: the offset of a head in 16 digits, its length in 10, its SHA-256 in hex, a newline."""

FIRSTS = 2
HEAD_MAX = 2**28


class DamagedIndex(LedgerError):
    """The index, or a block of it, is not what its checksum says. It is made anew, or not used."""


class Section(msgspec.Struct, frozen=True, array_like=True):
    """A column in the file: its rows, and of each block the offset in the file (8 bytes each) and the CRC-32 (4)."""

    rows: int
    offsets: bytes
    crcs: bytes


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """The head of an index of the events from ``first`` up to ``seq``. ``commit`` is the commit line there, which ends
    at ``offset``. ``live``: the bytes of all blocks; what else the file has is of earlier heads."""

    version: int
    format: int
    rules: int
    order: str
    ledger: str
    first: int
    seq: int
    offset: int
    commit: str
    live: int
    sections: dict[str, Section]

    @property
    def place(self) -> Place:
        return Place(self.offset, self.seq, self.commit.encode("ascii"))


class FirstLine(msgspec.Struct, frozen=True):
    """A first line, of which there are two, in ``slot`` 0 and 1: where the head is that it names, and its SHA-256."""

    slot: int
    offset: int
    length: int
    digest: bytes

    @property
    def end(self) -> int:
        """The size of the file, as far as this head knows it."""
        return self.offset + self.length

    def written(self) -> bytes:
        """The line."""
        return MAGIC + b"%016d %010d %s\n" % (self.offset, self.length, self.digest)


class Index:
    """An index file, open: blocks of its columns are mapped, and checked when they are first read."""

    def __init__(self, path: str, line: FirstLine, head: Head, data: mmap.mmap) -> None:
        self.path = path
        self.line = line
        self.head = head
        self._data = data
        self._view = memoryview(data)

    def column(self, name: str) -> Column:
        """A column, of which nothing is read yet. Raises DamagedIndex when there is none of that name."""
        return Column(CODES[name], self.loader(name), self._section(name).rows)

    def loader(self, name: str) -> Callable[[int], memoryview]:
        """A function that gives a block of a column by its number. It raises DamagedIndex. Cost: O(size), 4 GB/s."""
        section, code = self._section(name), CODES[name]
        offsets, crcs = array("Q", section.offsets), array("I", section.crcs)
        width = array(code).itemsize
        size = width << shift_of(code)
        view, path, total = self._view, self.path, section.rows * width

        def load(number: int) -> memoryview:
            start = offsets[number]
            block = view[start : start + min(size, total - number * size)]
            if zlib.crc32(block) != crcs[number]:
                raise DamagedIndex(f"{path} is damaged: block {number} of {name}")
            return block.cast(code)  # type: ignore[call-overload,no-any-return]

        return load

    def rest(self) -> None:
        """Give back the memory in which what was read lies: the system reads it again when it is asked for."""
        if hasattr(mmap, "MADV_DONTNEED"):
            self._data.madvise(mmap.MADV_DONTNEED)

    def _section(self, name: str) -> Section:
        found = self.head.sections.get(name)
        if found is None:
            raise DamagedIndex(f"{self.path} has no section {name}")
        return found


def paths(ledger_path: str, ledger_id: str) -> list[str]:
    """The places where the index of a ledger may be: beside it, or, if that cannot be written, in the user's cache.

    Beside a ledger that is read from an address there is no place.
    """
    cached = os.path.join(_cache(), f"{ledger_id}{SUFFIX}")
    return [cached] if address_of(ledger_path) is not None else [ledger_path + SUFFIX, cached]


def _cache() -> str:
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or os.path.expanduser("~")
    elif sys.platform == "darwin":
        base = os.path.expanduser("~/Library/Caches")
    else:
        base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return os.path.join(base, "ezmsg-ledger")


def open_index(disk: Disk, path: str, ledger_id: str) -> Index | None:
    """The index at ``path``; None when there is none for this ledger that this version can use. Cost: O(1).

    A file that is not a sound index is named in the program's log. Whether the ledger still holds the commit line that
    the index goes up to is for the caller to check.
    """
    try:
        handle = disk.open(path)
    except OSError:
        return None
    try:
        with closing_handle(disk, handle):
            return read_index(disk, path, handle, ledger_id)
    except (OSError, ValueError, msgspec.MsgspecError, DamagedIndex) as error:
        logger.warning("%s cannot be used: %s. It is made anew where that is possible.", path, error)
        return None


def read_index(disk: Disk, path: str, handle: int, ledger_id: str) -> Index | None:
    """The index in an open file; None when it is of another ledger or another version. Raises as a reader of files
    does, and DamagedIndex."""
    size = disk.size(handle)
    line, data = _newest(disk, handle, size)
    head = msgspec.json.decode(data, type=_Kind)
    expected = (VERSION, FORMAT, RULES, sys.byteorder)
    if head.ledger != ledger_id or (head.version, head.format, head.rules, head.order) != expected:
        return None
    return Index(path, line, msgspec.json.decode(data, type=Head), mmap.mmap(handle, line.end, access=mmap.ACCESS_READ))


class _Kind(msgspec.Struct):
    """The fields that every version has in its head."""

    version: int
    format: int
    rules: int
    order: str
    ledger: str


def _newest(disk: Disk, handle: int, size: int) -> tuple[FirstLine, bytes]:
    """The newest head that is whole, and the line that names it. Raises DamagedIndex."""
    start = read_at(disk, handle, 0, FIRST * FIRSTS)
    lines = [_parsed(slot, start[FIRST * slot : FIRST * (slot + 1)]) for slot in range(FIRSTS)]
    for line in sorted((line for line in lines if line is not None), key=lambda line: -line.offset):
        if line.length <= HEAD_MAX and line.end <= size:
            data = read_at(disk, handle, line.offset, line.length)
            if sha256(data).hexdigest().encode("ascii") == line.digest:
                return line, data
    raise DamagedIndex("none of its first lines names a head that is as it says")


def _parsed(slot: int, line: bytes) -> FirstLine | None:
    fields = line.removeprefix(MAGIC).rstrip(b"\n").split(b" ")
    if len(fields) != 3 or not (fields[0].isdigit() and fields[1].isdigit()):
        return None
    found = FirstLine(slot, int(fields[0]), int(fields[1]), fields[2])
    return found if found.written() == line else None
