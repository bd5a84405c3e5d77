"""A file on a simulated disk, sector by sector: what programs see of it, and what may be left of it."""

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType

SECTOR = 512
"""Bytes that a drive writes as one: whole or not at all."""

Range = tuple[int, int]
"""Sectors: the first, and the one behind the last."""


class Node:
    """A file: what programs see of it, what the disk holds of it, and what it went through since its last sync.

    ``sizes`` are its sizes since then, that on the disk first; ``sectors`` the versions of each sector that was
    written, oldest first.
    """

    def __init__(self, number: int, content: bytes = b"") -> None:
        self.number = number
        self.content = bytearray(content)
        self.durable = bytes(content)
        self.sizes = [len(content)]
        self.sectors: dict[int, list[bytes]] = {}
        self.modified = 0
        self._extents: list[Range] = []

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
        view = memoryview(self.content)
        for sector in range(begin // SECTOR, (end + SECTOR - 1) // SECTOR):
            version = bytes(view[sector * SECTOR : (sector + 1) * SECTOR])
            self.sectors.setdefault(sector, []).append(version.ljust(SECTOR, b"\0"))
        view.release()
        self._extents = []
        if self.sizes[-1] != len(self.content):
            self.sizes.append(len(self.content))

    def sync(self) -> None:
        """All that was written since the last sync is on the disk; what a failed sync lost in between is not."""
        self.durable = self.composed(len(self.content), self.extents())
        self._clean()

    def lose(self, *, evict: bool) -> None:
        """A sync failed: the pages count as clean, the disk has none of them. ``evict``: reading shows the disk."""
        if evict:
            self.content[:] = self.durable.ljust(len(self.content), b"\0")[: len(self.content)]
        self._clean()

    def _clean(self) -> None:
        self.sizes = [len(self.durable)] if len(self.durable) == len(self.content) else [
            len(self.durable), len(self.content)]  # fmt: skip
        self.sectors = {}
        self._extents = []

    def extents(self) -> list[Range]:
        """The sectors that were written since the last sync, as ranges. Cost: O(sectors), once for each write."""
        if not self._extents:
            self._extents = list(_ranges(sorted(self.sectors)))
        return self._extents

    def composed(
        self,
        size: int,
        newest: Iterable[Range] = (),
        versions: Mapping[int, int] = MappingProxyType({}),
        lost: bytes = bytes(SECTOR),
    ) -> bytes:
        """What the disk may hold: ``size`` bytes; of the sectors that were written, those in the ranges ``newest`` as
        they are now, those in ``versions`` in that version, the others lost.

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
                data[begin:stop] = self.sectors[sector][version][: stop - begin]
        return bytes(data)


def _ranges(sectors: list[int]) -> Iterator[Range]:
    """Sorted numbers as ranges, so that a thousand sectors in a row are copied as one."""
    first = 0
    for place, sector in enumerate(sectors):
        if place + 1 == len(sectors) or sectors[place + 1] != sector + 1:
            yield sectors[first], sector + 1
            first = place + 1
