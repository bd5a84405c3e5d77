"""A file on a simulated disk, sector by sector: what programs see of it, and what may be left of it."""

from collections import Counter
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple

SECTOR = 512
"""Bytes that a drive writes as one: whole or not at all."""

Range = tuple[int, int]
"""Sectors: the first, and the one after the last."""


class Write(NamedTuple):
    """Sectors that were written as one: the first, how they were then, and the size of the file."""

    first: int
    after: bytes
    size: int


class Node:
    """A file: what programs see of it, what the disk holds of it, and what it went through since its last sync.

    ``sizes`` are its sizes since then, that on the disk first; ``written`` counts its writes, those before too.
    """

    def __init__(self, number: int, content: bytes = b"") -> None:
        self.number = number
        self.content = bytearray(content)
        self.durable = bytes(content)
        self.sizes = [len(content)]
        self.modified = 0
        self.written = 0
        self._writes: list[Write] = []
        """Since the last sync, oldest first."""
        self._extents: list[Range] | None = None

    def write(self, data: bytes | memoryview, offset: int) -> None:
        if not len(data):
            return
        if offset > len(self.content):
            self.content.extend(bytes(offset - len(self.content)))
        self.content[offset : offset + len(data)] = data
        self._note(offset, offset + len(data))

    def truncate(self, size: int) -> None:
        before = len(self.content)
        if size < before:
            del self.content[size:]
        else:
            self.content.extend(bytes(size - before))
        self._note(min(size, before), max(size, before))

    def _note(self, begin: int, end: int) -> None:
        first, behind = begin // SECTOR, -(-end // SECTOR)
        after = bytes(self.content[first * SECTOR : behind * SECTOR])
        self._writes.append(Write(first, after.ljust((behind - first) * SECTOR, b"\0"), len(self.content)))
        self.written += 1
        self._extents = None
        if self.sizes[-1] != len(self.content):
            self.sizes.append(len(self.content))

    def sync(self, written: int | None = None) -> None:
        """Bring to the disk what was written since the last sync: all of it, or the writes up to ``written`` of them
        where others came while the sync ran. What a failed sync lost in between is not on the disk."""
        later = 0 if written is None else self.written - written
        if later <= 0:
            self.durable = self.composed(len(self.content), self.extents())
            self._clean()
            return
        done = max(0, len(self._writes) - later)
        data = bytearray(self.durable)
        for first, after, size in self._writes[:done]:
            data.extend(bytes(max(0, size - len(data))))
            data[first * SECTOR : first * SECTOR + len(after)] = after
            del data[size:]
        self.durable = bytes(data)
        self._writes = self._writes[done:]
        self.sizes = [len(data), *(write.size for write in self._writes)]
        self._extents = None

    def lose(self, *, evict: bool) -> None:
        """A sync failed: the pages count as clean, the disk has none of them. ``evict``: reading shows the disk."""
        if evict:
            self.content[:] = self.durable.ljust(len(self.content), b"\0")[: len(self.content)]
        self._clean()

    def _clean(self) -> None:
        self.sizes = [len(self.durable)] if len(self.durable) == len(self.content) else [
            len(self.durable), len(self.content)]  # fmt: skip
        self._writes = []
        self._extents = None

    @property
    def clean(self) -> bool:
        """Whether nothing was written since the last sync that a power cut could take."""
        return not self._writes and len(set(self.sizes)) == 1

    def extents(self) -> list[Range]:
        """The sectors that were written since the last sync, as ranges that do not touch. Cost: O(writes)."""
        if self._extents is None:
            self._extents = []
            for first, behind in sorted((first, first + len(after) // SECTOR) for first, after, _ in self._writes):
                if self._extents and first <= self._extents[-1][1]:
                    begin, end = self._extents.pop()
                    first, behind = begin, max(end, behind)
                self._extents.append((first, behind))
        return self._extents

    def sectors(self) -> Counter[int]:
        """The times that each sector was written since the last sync. Cost: O(sectors), once for each write."""
        ranges = (range(first, first + len(after) // SECTOR) for first, after, _ in self._writes)
        return Counter(sector for each in ranges for sector in each)

    def versions(self, sector: int) -> list[bytes]:
        """A sector after each write to it since the last sync, oldest first. Cost: O(writes)."""
        places = ((after, (sector - first) * SECTOR) for first, after, _ in self._writes if first <= sector)
        return [after[place : place + SECTOR] for after, place in places if place < len(after)]

    def composed(
        self,
        size: int,
        newest: Iterable[Range] = (),
        versions: Mapping[int, int] = MappingProxyType({}),
        lost: bytes = bytes(SECTOR),
    ) -> bytes:
        """One content that the disk may hold: ``size`` bytes; of the sectors written, those in ``versions`` in that
        version, others in the ranges ``newest`` as they are now, the rest lost.

        Where nothing ever was on the disk, and what was written there is lost, it has the bytes of ``lost`` (one
        sector): zeros, or what somebody else's file left there.
        """
        floor = min(self.sizes)
        data = bytearray(self.durable[:size])
        if len(data) < size:
            data.extend(bytes(size - len(data)))
        for first, end in self.extents():
            begin, stop = max(floor, first * SECTOR), min(size, end * SECTOR)
            if begin < stop:
                data[begin:stop] = (lost * (end - first))[begin - first * SECTOR : stop - first * SECTOR]
        for first, end in newest:
            for low, high in self.extents():
                begin, stop = max(first, low) * SECTOR, min(size, min(end, high) * SECTOR)
                if begin < stop:
                    data[begin:stop] = self.content[begin:stop].ljust(stop - begin, b"\0")
        for sector, version in versions.items():
            begin, stop = sector * SECTOR, min(size, (sector + 1) * SECTOR)
            if begin < stop:
                data[begin:stop] = self.versions(sector)[version][: stop - begin]
        return bytes(data)
