"""A file of a ledger, open for reading: how it begins, and the checkpoint that a segment begins with."""

from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import NamedTuple, Self, TypeAlias

import msgspec

from ezmsg.ledger.errors import DamagedLedger
from ezmsg.ledger.storage import compression
from ezmsg.ledger.storage.compression import PackedDisk
from ezmsg.ledger.storage.disk import Disk
from ezmsg.ledger.storage.file_access import open_file
from ezmsg.ledger.storage.header import read_header
from ezmsg.ledger.storage.reading.scan import COMMIT_LINE_MAX, parse_commit, read_at
from ezmsg.ledger.structural import ORIGIN_PREFIX, Checkpoint, Origin

FIRST = 1
"""The number of the first segment, and of a ledger that is one file."""

ORIGINS_MAX = 2**18
"""Bytes in which the lines about the origins of a file must end. A line takes some 400, and the names of settings."""

Since: TypeAlias = Callable[[int], Sequence[bytes]]
"""A function that, told a seq, gives what is known there beyond what was known before: each one JSON value."""


class Start(NamedTuple):
    """A place where a fold can start: ``states``, JSON values, are what was known after event ``seq``."""

    seq: int
    states: list[bytes]


class Sealed(NamedTuple):
    """A segment that another one follows: ``number``, the ``seq`` of its last event, and the ``time`` at which it was
    sealed, by the wall clock (ns since the epoch, UTC)."""

    number: int
    seq: int
    time: int


class LedgerFile:
    """A file of a ledger, open for reading; ``disk`` and ``handle`` give its bytes, compressed or not."""

    def __init__(self, disk: Disk, path: str) -> None:
        """Raises NotALedger, NewerFormat, DamagedLedger, LogError."""
        self.path = path
        self.disk = PackedDisk(disk) if path.endswith(compression.SUFFIX) else disk
        self.handle = open_file(self.disk, path)
        try:
            self.header, self.segment, self.start = self.opening = read_header(self.disk, self.handle, path)
        except BaseException:
            self.close()
            raise

    @property
    def number(self) -> int:
        """The number of the segment: the first one when the ledger is one file."""
        return FIRST if self.segment is None else self.segment.number

    @property
    def size(self) -> int:
        return self.disk.size(self.handle)

    def checkpoint(self) -> Start | None:
        """The checkpoint that the segment begins with, its hash checked; None without one. Raises DamagedLedger."""
        if self.segment is None or not self.segment.checkpoint:
            return None
        end = self.start.offset
        data = read_at(self.disk, self.handle, 0, end + COMMIT_LINE_MAX)
        line, newline, _ = data[end:].partition(b"\n")
        commit = parse_commit(line + newline, end)
        try:
            if commit is None or commit.sha256 != sha256(data[:end]).hexdigest():
                raise ValueError("its checkpoint is not the one that was written")
            lines = data[end - self.segment.checkpoint : end].split(b"\n")[:-1]
            found = [msgspec.json.decode(line, type=Checkpoint) for line in lines]
        except ValueError as error:  # MsgspecError is one
            raise DamagedLedger(
                f"{self.path} is damaged before offset {end}: {error}", offset=0, seq=self.start.seq
            ) from error
        return Start(self.start.seq, [bytes(each.state) for each in found])

    def origins(self) -> tuple[Origin, ...]:
        """The ledgers that this one was made of, each of the one before it; none for one that was recorded.

        Raises DamagedLedger. Cost: one read.
        """
        if self.segment is None:  # it begins a ledger of its own
            return ()
        data = read_at(self.disk, self.handle, self.start.offset, COMMIT_LINE_MAX + ORIGINS_MAX)
        found = []
        _, _, rest = data.partition(b"\n")  # the commit line that proves the beginning
        while rest.startswith(ORIGIN_PREFIX):
            line, _, rest = rest.partition(b"\n")
            try:
                found.append(msgspec.json.decode(line, type=Origin))
            except ValueError as error:  # MsgspecError is one
                why = f"{self.path} is damaged: the line about its origin is not whole: {error}"
                raise DamagedLedger(why, offset=self.start.offset, seq=self.start.seq) from error
        return tuple(found)

    def close(self) -> None:
        self.disk.close(self.handle)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()
