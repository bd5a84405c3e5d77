"""Writing the index file: whole, or what is new at the end of the one that is there."""

import os
import sys
import zlib
from array import array
from collections.abc import Mapping
from contextlib import suppress
from hashlib import sha256
from typing import NamedTuple

import msgspec

from ezmsg.ledger.events import RULES
from ezmsg.ledger.projections.lifetimes.column import Column
from ezmsg.ledger.projections.lifetimes.index import (
    FIRST,
    FIRSTS,
    VERSION,
    DamagedIndex,
    FirstLine,
    Head,
    Index,
    Section,
    open_index,
    paths,
    read_index,
)
from ezmsg.ledger.storage.disk import OS_DISK, Disk, sync_file, write_all
from ezmsg.ledger.storage.file_access import NEW, closing_handle
from ezmsg.ledger.storage.reading.scan import Place
from ezmsg.ledger.structural import FORMAT

ALIGNED = 8
BUFFER = 2**20
"""Bytes that are written at once."""


class IndexFile:
    """An index file that this process writes: locked, so that nobody else adds to it meanwhile.

    ``index`` is what it holds. Every write is whole or not at all: see ``index``.
    """

    def __init__(self, disk: Disk, path: str, handle: int, index: Index) -> None:
        self._disk = disk
        self._path = path
        self._handle = handle
        self.index = index

    @classmethod
    def take(cls, disk: Disk, index: Index) -> "IndexFile | None":
        """The file of ``index``, to add to it; None when it was changed since, or another process writes it.

        Raises OSError.
        """
        handle = disk.open(index.path, write=True)
        try:
            if lock(disk, handle):
                now = read_index(disk, index.path, handle, index.head.ledger)
                if now is not None and now.line == index.line:
                    return cls(disk, index.path, handle, now)
        except (ValueError, msgspec.MsgspecError, DamagedIndex):  # so it was changed
            pass
        except BaseException:
            disk.close(handle)
            raise
        disk.close(handle)
        return None

    @classmethod
    def make(
        cls,
        disk: Disk,
        path: str,
        ledger_id: str,
        first: int,
        place: Place,
        columns: Mapping[str, Column],
        before: Index | None = None,
    ) -> "IndexFile":
        """A new file at ``path``, in place of one that is there: whole, or not at all. Raises OSError.

        ``before``: the index that most of ``columns`` lie in; no more of it is in memory at once than is written at
        once. Cost: O(bytes).
        """
        _sweep(disk, path)
        temporary = f"{path}.{os.getpid()}{NEW}"
        handle = disk.create(temporary)
        try:
            lock(disk, handle)
            end = _End(disk, handle, _aligned(FIRST * FIRSTS), before)
            sections = {name: end.put(column, None) for name, column in columns.items()}
            line = end.close(_head(ledger_id, first, place, sections, columns), 0)
            write_all(disk, handle, line.written() + b" " * (FIRST - 1) + b"\n", 0)
            sync_file(disk, handle)
            disk.replace(temporary, path)
            disk.sync_folder(os.path.dirname(path) or os.curdir)
            index = read_index(disk, path, handle, ledger_id)
            assert index is not None
            made = cls(disk, path, handle, index)
        except BaseException:  # Ctrl-C, too: a large one takes seconds
            disk.close(handle)
            with suppress(OSError):
                disk.remove(temporary)
            raise
        made._stored(columns)
        return made

    @property
    def in_place(self) -> bool:
        """Whether this is still the file of that name."""
        return self._disk.identity_at(self._path) == self._disk.identity(self._handle)

    @property
    def waste(self) -> int:
        """Bytes of the file that nothing refers to any more."""
        return self.index.line.end - self.index.head.live

    def add(self, first: int, place: Place, columns: Mapping[str, Column]) -> None:
        """Add what is new in ``columns``, which go up to ``place``. Raises OSError; then it is as it was.

        It is not synced: a power cut can cost the file, which its checksums tell. Cost: O(what is new).
        """
        disk, before = self._disk, self.index
        size = disk.size(self._handle)
        end = _End(disk, self._handle, _aligned(size))
        try:
            sections = {name: end.put(column, before.head.sections.get(name)) for name, column in columns.items()}
            line = end.close(_head(before.head.ledger, first, place, sections, columns), 1 - before.line.slot)
        except OSError:
            with suppress(OSError):
                disk.truncate(self._handle, size)  # no head names what is there: a full disk has better use for it
            raise
        write_all(disk, self._handle, line.written(), FIRST * line.slot)
        index = read_index(disk, self._path, self._handle, before.head.ledger)
        assert index is not None
        self.index = index
        self._stored(columns)

    def sync(self) -> None:
        """Return when all of it is on the disk. Raises OSError."""
        sync_file(self._disk, self._handle)

    def _stored(self, columns: Mapping[str, Column]) -> None:
        for name, column in columns.items():
            column.stored(self.index.loader(name))

    def close(self) -> None:
        """Let the file go. What was read from it stays."""
        self._disk.close(self._handle)


class _End:
    """The end of a file that blocks are written to. ``source``: an index that they are mapped from."""

    def __init__(self, disk: Disk, handle: int, offset: int, source: Index | None = None) -> None:
        self._disk = disk
        self._handle = handle
        self._offset = offset
        self._waiting = bytearray()
        self._source = source

    def put(self, column: Column, before: Section | None) -> Section:
        """Write a column: all blocks, or those that the file does not have as they are, where it has it ``before``."""
        offsets, crcs = array("Q"), array("I")
        wanted = range(column.blocks)
        if before is not None and column.kept:
            offsets.frombytes(before.offsets)
            crcs.frombytes(before.crcs)
            del offsets[column.kept :], crcs[column.kept :]
            wanted = column.to_store()  # type: ignore[assignment]
        for number in wanted:
            offset, crc = self._write(memoryview(column.block(number)).cast("B"))
            if number < len(offsets):
                offsets[number], crcs[number] = offset, crc
            else:
                offsets.append(offset)
                crcs.append(crc)
        return Section(len(column), offsets.tobytes(), crcs.tobytes())

    def _write(self, data: memoryview) -> tuple[int, int]:
        offset = self._offset + len(self._waiting)
        self._waiting += data
        self._waiting += bytes(-len(self._waiting) % ALIGNED)
        if len(self._waiting) >= BUFFER:
            self._flush()
        return offset, zlib.crc32(data)

    def _flush(self) -> None:
        write_all(self._disk, self._handle, bytes(self._waiting), self._offset)
        self._offset += len(self._waiting)
        self._waiting.clear()
        if self._source is not None:
            self._source.rest()

    def close(self, head: Head, slot: int) -> FirstLine:
        """Write a head after all blocks; the first line that names it is not written yet."""
        data = msgspec.json.encode(head)
        offset, _ = self._write(memoryview(data))
        self._flush()
        return FirstLine(slot, offset, len(data), sha256(data).hexdigest().encode("ascii"))


def _head(
    ledger_id: str, first: int, place: Place, sections: dict[str, Section], columns: Mapping[str, Column]
) -> Head:
    return Head(
        version=VERSION,
        format=FORMAT,
        rules=RULES,
        order=sys.byteorder,
        ledger=ledger_id,
        first=first,
        seq=place.seq,
        offset=place.offset,
        commit=place.line.decode("ascii"),
        live=sum(len(column) * column.tail.itemsize for column in columns.values()),
        sections=sections,
    )


class Standing(NamedTuple):
    """The reach of a ledger's index: up to event ``seq``; ``kept``: whether a process is adding to it."""

    seq: int
    kept: bool


def standing(ledger_path: str, ledger_id: str, disk: Disk = OS_DISK) -> Standing | None:
    """Tell how far the index of a ledger is; None when it has none. Cost: O(1)."""
    for path in paths(ledger_path, ledger_id):
        index = open_index(disk, path, ledger_id)
        if index is not None:
            try:
                return Standing(index.head.seq, is_written(disk, path))
            except OSError:  # another user's: who may not write it cannot tell
                return Standing(index.head.seq, False)
    return None


def is_written(disk: Disk, path: str) -> bool:
    """Whether another process writes the index at ``path``. Raises OSError."""
    try:
        handle = disk.open(path, write=True)
    except FileNotFoundError:
        return False
    with closing_handle(disk, handle):
        return not lock(disk, handle)


def lock(disk: Disk, handle: int) -> bool:
    """Lock a file for writing; False when another process has. A file system without locks has checksums alone."""
    try:
        return disk.lock(handle)
    except OSError:
        return True


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


def _aligned(offset: int) -> int:
    return -(-offset // ALIGNED) * ALIGNED
