"""The index file: lifetimes, checkpoints and landmarks of a ledger, to be mapped into memory. Derived, and disposable.

A first line of fixed length gives the length and the SHA-256 of a head, in JSON; the head names the ledger, the commit
line that the index goes up to, and the sections with their offsets and checksums. See docs/INDEX_FORMAT.md.
"""

import logging
import mmap
import os
import sys
import zlib
from collections.abc import Mapping
from contextlib import suppress
from hashlib import sha256
from typing import Any

import msgspec

from ezmsg.ledger.errors import LedgerError
from ezmsg.ledger.events import RULES
from ezmsg.ledger.storage.disk import Disk, sync_file, write_all
from ezmsg.ledger.storage.file_access import NEW, closing_handle
from ezmsg.ledger.storage.scan import Place, read_at
from ezmsg.ledger.structural import FORMAT

logger = logging.getLogger("ezmsg.ledger")

VERSION = 4
"""Of the file. Another one is made anew: an index is never migrated."""

SUFFIX = ".index"
MAGIC = b"ezmsg-ledger-index "
FIRST = len(MAGIC) + 10 + 1 + 64 + 1
"""Bytes of the first line: the length of the head in ten digits, a space, its SHA-256 in hex, a newline."""

HEAD_MAX = 2**20
ALIGNED = 8


class DamagedIndex(LedgerError):
    """The index, or a section of it, is not what its checksum says. It is made anew, or not used."""


class Section(msgspec.Struct, frozen=True, array_like=True):
    """The place of a section in the file, in bytes, and the CRC-32 of its bytes."""

    offset: int
    size: int
    crc: int


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """The head of an index of the events from ``first`` up to ``seq``. ``commit`` is the commit line there, which ends
    at ``offset``."""

    version: int
    format: int
    rules: int
    order: str
    ledger: str
    first: int
    seq: int
    offset: int
    commit: str
    size: int
    sections: dict[str, Section]

    @property
    def place(self) -> Place:
        return Place(self.offset, self.seq, self.commit.encode("ascii"))


class Index:
    """An index file, open: sections are mapped, and checked when they are first read."""

    def __init__(self, path: str, head: Head, data: mmap.mmap) -> None:
        self.path = path
        self.head = head
        self._view = memoryview(data)
        self._checked: set[str] = set()

    def section(self, name: str) -> memoryview:
        """The bytes of a section. Raises DamagedIndex. Cost: O(size) the first time, 4 GB/s."""
        found = self.head.sections.get(name)
        if found is None:
            raise DamagedIndex(f"{self.path} has no section {name}")
        view = self._view[found.offset : found.offset + found.size]
        if name not in self._checked:
            if zlib.crc32(view) != found.crc:
                raise DamagedIndex(f"{self.path} is damaged: section {name}")
            self._checked.add(name)
        return view


def paths(ledger_path: str, ledger_id: str) -> list[str]:
    """The places where the index of a ledger may be: beside it, or, if that cannot be written, in the user's cache."""
    return [ledger_path + SUFFIX, os.path.join(_cache(), f"{ledger_id}{SUFFIX}")]


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
            size = disk.size(handle)
            head = _read_head(disk, handle, size)
            expected = (VERSION, FORMAT, RULES, sys.byteorder)
            if head.ledger != ledger_id or (head.version, head.format, head.rules, head.order) != expected:
                return None
            return Index(path, head, mmap.mmap(handle, size, access=mmap.ACCESS_READ))
    except (OSError, ValueError, msgspec.MsgspecError, DamagedIndex) as error:
        logger.warning("%s cannot be used: %s. It is made anew where that is possible.", path, error)
        return None


def _read_head(disk: Disk, handle: int, size: int) -> Head:
    first = read_at(disk, handle, 0, FIRST)
    if len(first) < FIRST or not first.startswith(MAGIC) or first[-1:] != b"\n":
        raise DamagedIndex("its first line is not that of an index")
    length, _, digest = first[len(MAGIC) : -1].partition(b" ")
    if not length.isdigit() or int(length) > HEAD_MAX:
        raise DamagedIndex("its first line does not give the length of its head")
    data = read_at(disk, handle, FIRST, int(length))
    if sha256(data).hexdigest().encode("ascii") != digest:
        raise DamagedIndex("its head is not what its checksum says")
    head = msgspec.json.decode(data, type=Head)
    if size != head.size or any(each.offset + each.size > size for each in head.sections.values()):
        raise DamagedIndex(f"it has {size} bytes, not {head.size}")
    return head


def write_index(disk: Disk, path: str, ledger_id: str, first: int, place: Place, sections: Mapping[str, Any]) -> None:
    """Put an index at ``path``, in place of one that is there: whole, or not at all. Raises OSError."""
    views = {name: memoryview(data).cast("B") for name, data in sections.items()}
    crcs = {name: zlib.crc32(view) for name, view in views.items()}
    head = b""
    for _ in range(3):  # offsets depend on the length of the head, which depends on the offsets: it settles
        offset = _aligned(FIRST + len(head))
        table = {}
        for name, view in views.items():
            table[name] = Section(offset, len(view), crcs[name])
            offset = _aligned(offset + len(view))
        head = msgspec.json.encode(
            Head(
                version=VERSION, format=FORMAT, rules=RULES, order=sys.byteorder, ledger=ledger_id, first=first,
                seq=place.seq, offset=place.offset, commit=place.line.decode("ascii"), size=offset, sections=table,
            )
        ).ljust(len(head))  # fmt: skip
    _sweep(disk, path)
    temporary = f"{path}.{os.getpid()}{NEW}"
    handle = disk.create(temporary)
    try:
        with closing_handle(disk, handle):
            _lock(disk, handle)
            line = MAGIC + b"%010d %s\n" % (len(head), sha256(head).hexdigest().encode("ascii"))
            write_all(disk, handle, line + head, 0)
            for name, view in views.items():
                write_all(disk, handle, bytes(view), table[name].offset)
            disk.truncate(handle, offset)
            sync_file(disk, handle)
        disk.replace(temporary, path)
    except BaseException:  # Ctrl-C, too: a large one takes seconds
        with suppress(OSError):
            disk.remove(temporary)
        raise
    disk.sync_folder(os.path.dirname(path))


def _sweep(disk: Disk, path: str) -> None:
    """Remove the files that killed writers have left beside ``path``: a writer that lives has locked its own.

    A file that was made, and is not locked yet, may go as well; then its writer fails, and keeps no index this time.
    """
    folder, name = os.path.split(path)
    try:
        names = disk.names(folder or os.curdir)
    except OSError:  # a folder that can be written and not listed
        return
    for left in names:
        pid = left.removeprefix(f"{name}.").removesuffix(NEW)
        if pid.isdigit() and left == f"{name}.{pid}{NEW}":
            with suppress(OSError):  # another one was quicker, or it is another user's
                _remove_unless_locked(disk, os.path.join(folder, left))


def _remove_unless_locked(disk: Disk, path: str) -> None:
    with closing_handle(disk, disk.open(path, write=True)) as handle:
        left = disk.lock(handle)
    if left:
        disk.remove(path)


def _lock(disk: Disk, handle: int) -> None:
    with suppress(OSError):  # a file system without locks: nobody can sweep there either
        disk.lock(handle)


def _aligned(offset: int) -> int:
    return -(-offset // ALIGNED) * ALIGNED
