"""The tags of a FIF file, and how other ones take the place of some: https://mne.tools/fiff-constants.

The idea: a file of FIF is a chain of tags. Each tells where the next one stands, right after it or anywhere else. So
new ones are written at the end of the file, and two links of the chain are bent; no byte of a sample is read or moved.
A file may have a directory as well, a tag that lists all others: then a new one is written after the new tags.
"""

import os
from collections.abc import Mapping, Sequence
from struct import Struct, pack
from typing import BinaryIO, NamedTuple

FILE_ID, DIRECTORY_POINTER, DIRECTORY, BLOCK_START, BLOCK_END = 100, 101, 102, 104, 105
"""Kinds of tags."""

ANNOTATIONS, RAW_DATA = 3810, (102, 112, 119)
"""Kinds of blocks. Of raw data: as it was processed, as it was acquired, and with active shielding."""

ONSETS, ENDS = 3568, 3569
"""Kinds of tags in a block of annotations: when each begins and ends (s), as numbers of any type."""

_INT, _DOUBLE, _DIRECTORY_TYPE = 3, 5, 32
_HEAD, _NUMBER = Struct(">iiii"), Struct(">i")
_NEXT_OFFSET = 12
"""The offset in a tag of the place of the next one: 0, right after it; < 0, nowhere."""

BYTES_MAX = 2**31 - 1
"""The length of a file, whose places are told in 32 bits."""


class NotFif(ValueError):
    """Bytes that are not a chain of tags."""


class Tag(NamedTuple):
    """A tag at ``place`` (bytes): its kind, the type of its data, their ``size`` (bytes), and where it says is next."""

    place: int
    kind: int
    type: int
    size: int
    next: int

    @property
    def end(self) -> int:
        """The place right after the tag."""
        return self.place + _HEAD.size + self.size


def chain(file: BinaryIO) -> list[Tag]:
    """The tags of a file in their order. Raises NotFif. Cost: O(tags), a read for each; data are skipped."""
    size = file.seek(0, os.SEEK_END)
    found: list[Tag] = []
    place, seen = 0, set[int]()
    while place + _HEAD.size <= size:
        tag = Tag(place, *_HEAD.unpack(_read(file, place, _HEAD.size)))
        if tag.size < 0 or tag.end > size or place in seen or (not found and tag.kind != FILE_ID):
            raise NotFif(f"there is no sound tag at byte {place:,}")
        seen.add(place)
        found.append(tag)
        if tag.next < 0:
            break
        place = tag.next or tag.end
    if len(found) < 2 or found[1].kind != DIRECTORY_POINTER:
        raise NotFif("it does not begin as FIF does")
    return found


def block(file: BinaryIO, tags: list[Tag], kinds: tuple[int, ...]) -> range | None:
    """The indices of the tags of the first block of one of these kinds, with its start and end; None without one."""
    first = next((at for at, tag in enumerate(tags) if tag.kind == BLOCK_START and _number(file, tag) in kinds), None)
    if first is None:
        return None
    depth = 0
    for at in range(first, len(tags)):
        depth += (tags[at].kind == BLOCK_START) - (tags[at].kind == BLOCK_END)
        if not depth:
            return range(first, at + 1)
    raise NotFif(f"the block at byte {tags[first].place:,} does not end")


def put_annotations(
    path: str | os.PathLike[str],
    source: str | os.PathLike[str],
    numbers: Mapping[int, Sequence[float]] | None = None,
) -> None:
    """Put the block of annotations of the file ``source`` into the one at ``path``, in place of one that is there.

    ``numbers``: by the kind of a tag, what is written for its data, as 64-bit floats. Raises NotFif; OverflowError
    where the file would be longer than the format allows. Cost: O(tags).
    """
    with open(source, "rb") as other:
        theirs = chain(other)
        place = block(other, theirs, (ANNOTATIONS,))
        if place is None:
            raise NotFif("it has no annotations")
        new = [_wide(other, theirs[at], (numbers or {}).get(theirs[at].kind)) for at in place]
    with open(path, "rb+") as file:
        tags = chain(file)
        old = block(file, tags, (ANNOTATIONS,))
        if old is None:
            data = block(file, tags, RAW_DATA)
            if data is None:
                raise NotFif("it has no raw data")
            old = range(data.start, data.start)
        _replace(file, tags, old, new)


def _wide(file: BinaryIO, tag: Tag, numbers: Sequence[float] | None) -> tuple[Tag, bytes]:
    """A tag with its data; with these numbers in their place, of which there are as many."""
    data = _read(file, tag.place + _HEAD.size, tag.size)
    if numbers is None:
        return tag, data
    wide = pack(f">{len(numbers)}d", *numbers)
    return tag._replace(type=_DOUBLE, size=len(wide)), wide


def _replace(file: BinaryIO, tags: list[Tag], old: range, new: list[tuple[Tag, bytes]]) -> None:
    """Put new tags, with their data, in place of those in ``old``: there is one before them, and one after."""
    end = file.seek(0, os.SEEK_END)
    if not 2 <= old.start <= old.stop < len(tags):
        raise NotFif("nothing stands before and after its annotations")
    listed = _number(file, tags[1])
    directory = _entries(file, listed) if listed > 0 else None
    before, after = tags[old.start - 1], tags[old.stop]
    placed: list[Tag] = []
    for number, (tag, _) in enumerate(new):
        place = placed[-1].end if placed else end
        placed.append(Tag(place, tag.kind, tag.type, tag.size, after.place if number == len(new) - 1 else 0))
    written = b"".join(_HEAD.pack(*tag[1:]) + data for tag, (_, data) in zip(placed, new, strict=True))
    at = end + len(written)
    if directory is not None:
        gone = {tags[number].place for number in old}
        rest = [each for each in directory if each[3] not in gone]
        where = next((number for number, each in enumerate(rest) if each[3] == after.place), len(rest))
        entries = [*rest[:where], *((tag.kind, tag.type, tag.size, tag.place) for tag in placed), *rest[where:]]
        data = b"".join(_HEAD.pack(*each) for each in entries)
        written += _HEAD.pack(DIRECTORY, _DIRECTORY_TYPE, len(data), -1) + data
    if end + len(written) > BYTES_MAX:
        raise OverflowError(f"with its annotations it is longer than {BYTES_MAX:,} bytes")
    file.seek(end)
    file.write(written)
    _write(file, before.place + _NEXT_OFFSET, end)
    if directory is not None:
        _write(file, tags[1].place + _HEAD.size, at)


def _entries(file: BinaryIO, place: int) -> list[tuple[int, ...]]:
    """The directory at ``place``: kind, type, size and place of each tag."""
    kind, _, size, _ = _HEAD.unpack(_read(file, place, _HEAD.size))
    if kind != DIRECTORY or size % _HEAD.size:
        raise NotFif(f"there is no directory at byte {place:,}")
    return list(_HEAD.iter_unpack(_read(file, place + _HEAD.size, size)))


def _number(file: BinaryIO, tag: Tag) -> int:
    """The first number in a tag's data."""
    if tag.type != _INT or tag.size < _NUMBER.size:
        raise NotFif(f"the tag at byte {tag.place:,} has no number")
    found: int = _NUMBER.unpack(_read(file, tag.place + _HEAD.size, _NUMBER.size))[0]
    return found


def _read(file: BinaryIO, place: int, size: int) -> bytes:
    file.seek(place)
    data = file.read(size)
    if len(data) < size:
        raise NotFif(f"it ends before byte {place + size:,}")
    return data


def _write(file: BinaryIO, place: int, number: int) -> None:
    file.seek(place)
    file.write(_NUMBER.pack(number))
