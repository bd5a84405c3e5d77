"""A column of integers in blocks: it grows at its end, its rows can change, and most of it may lie in a file.

The idea: all blocks but the last have the same number of rows, so a row's block follows from its number. A block that
lies in an index file is mapped and checked when it is first read, and copied into memory when a row of it changes. So a
column takes the memory of what was read, added or changed, and to store it again is to store those blocks alone.
"""

from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import Any, TypeAlias

Block: TypeAlias = Any
"""An ``array``, or a ``memoryview`` of an index file."""

INTEGERS_SHIFT = 13
"""8,192 integers in a block, 32 or 64 KiB: a CRC of that takes 10 us, and the blocks of 50 million events are named in
a megabyte."""

BYTES_SHIFT = 16
"""The bytes of text in a block."""


def shift_of(code: str) -> int:
    """The rows of a block of a column of this type code, as a power of two."""
    return BYTES_SHIFT if code == "B" else INTEGERS_SHIFT


class Column:
    """Integers by row; ``code`` is their type, as in ``array``: I, q, Q, or B for bytes.

    ``load`` gives the blocks of a file by number, which hold ``rows`` rows. Reading a row costs O(1), and a whole block
    the first time; it raises DamagedIndex when that is not what it was.

    >>> column = Column("q")
    >>> column.extend(range(10_000))
    >>> column[3], column[-1], list(column[9_998:])
    (3, 9999, [9998, 9999])
    """

    __slots__ = ("_full", "_load", "_mask", "_shift", "changed", "code", "fixed", "kept", "tail")

    def __init__(self, code: str, load: Callable[[int], Block] | None = None, rows: int = 0) -> None:
        self.code = code
        self._shift = shift_of(code)
        self._mask = (1 << self._shift) - 1
        self._load = load
        self._full: list[Block | None] = [None] * (-(-rows >> self._shift))
        self.kept = len(self._full)
        """The number of blocks, from the first on, that the file has; those in ``changed`` have changed since."""
        self.changed: set[int] = set()
        self.fixed = rows
        """The first row that is in ``tail``."""
        self.tail: array[int] = array(code)
        """The rows that were added last. It is not empty while the column grows, unless that is."""

    # --- reading -----------------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return self.fixed + len(self.tail)

    def __getitem__(self, place: Any) -> Any:
        if place.__class__ is slice:
            return self._slice(place)
        if place < 0:
            place += self.fixed + len(self.tail)
        if place >= self.fixed:
            return self.tail[place - self.fixed]
        return (self._full[place >> self._shift] or self._fetch(place >> self._shift))[place & self._mask]

    def _fetch(self, number: int) -> Block:
        assert self._load is not None
        block = self._full[number] = self._load(number)
        return block

    def _slice(self, wanted: slice) -> Block:
        """The rows of a slice, one beside the other. Cost: nothing when they lie in one block, else a copy."""
        start, stop, step = wanted.indices(len(self))
        assert step == 1, "a column is not read backwards or in steps"
        pieces = list(self._pieces(start, stop))
        if len(pieces) == 1:
            return pieces[0]
        joined = array(self.code)
        for piece in pieces:
            joined.frombytes(memoryview(piece).cast("B"))
        return joined

    def _pieces(self, start: int, stop: int) -> Iterator[Block]:
        while start < min(stop, self.fixed):
            number = start >> self._shift
            end = min(stop, self.fixed, (number + 1) << self._shift)
            block = self._full[number] or self._fetch(number)
            yield memoryview(block)[start & self._mask : ((end - 1) & self._mask) + 1]
            start = end
        if start < stop:
            yield self.tail[start - self.fixed : stop - self.fixed]

    def __iter__(self) -> Iterator[int]:
        return chain.from_iterable(chain(map(self.block, range(len(self._full))), (self.tail,)))

    def at_hand(self) -> tuple[list[Block | None], int, int]:
        """The whole blocks, None where one was not read yet; the first row in none of them; and the shift from a row to
        its block: for a loop that jumps about, and fetches (``block``) what is missing."""
        return self._full, self.fixed, self._shift

    def take(self, rows: Sequence[int]) -> list[int]:
        """The values in ``rows``, which rise. Cost: O(rows), about twice that of one list."""
        found: list[int] = []
        place, number_of_rows = 0, len(rows)
        while place < number_of_rows:
            number = rows[place] >> self._shift
            if rows[place] >= self.fixed:
                base, block, end = self.fixed, self.tail, number_of_rows
            else:
                base, block = number << self._shift, self.block(number)
                end = bisect_left(rows, min(base + self._mask + 1, self.fixed), place)
            found += map(block.__getitem__, map((-base).__add__, rows[place:end]))
            place = end
        return found

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Column)
            and (self.code, len(self)) == (other.code, len(other))
            and all(a == b for a, b in zip(self, other, strict=True))
        )

    __hash__ = None  # type: ignore[assignment]

    # --- growing -----------------------------------------------------------------------------------------------------

    def grow(self) -> "array[int]":
        """The tail, to add rows to it; ``settle`` is called when they are added."""
        if not self.tail and self._full:
            last = self.block(len(self._full) - 1)
            del self._full[-1]
            self.tail.frombytes(memoryview(last).cast("B"))
            self.fixed = len(self._full) << self._shift
            self.kept = min(self.kept, len(self._full))
            self.changed.discard(len(self._full))
        return self.tail

    def settle(self) -> None:
        """Cut whole blocks off the tail."""
        size, tail = self._mask + 1, self.tail
        if len(tail) > size:
            whole = (len(tail) - 1) // size * size
            self._full.extend(tail[start : start + size] for start in range(0, whole, size))
            del tail[:whole]
            self.fixed += whole

    def append(self, value: int) -> None:
        """Add a row."""
        self.grow().append(value)
        self.settle()

    def extend(self, values: Iterable[int]) -> None:
        """Add rows."""
        self.grow().fromlist(list(values))  # in half of the time that extend takes
        self.settle()

    def frombytes(self, data: Any) -> None:
        """Add the rows that these bytes hold."""
        self.grow().frombytes(data)
        self.settle()

    def pop(self) -> int:
        """Take the last row off."""
        return self.grow().pop()

    def __setitem__(self, place: int, value: int) -> None:
        if place < 0:
            place += self.fixed + len(self.tail)
        if place >= self.fixed:
            self.tail[place - self.fixed] = value
            return
        number = place >> self._shift
        block = self.block(number)
        if number not in self.changed:  # it may lie in a file, or be a copy's, too
            self.changed.add(number)
            block = self._full[number] = array(self.code, memoryview(block).cast("B").tobytes())
        block[place & self._mask] = value

    def put(self, places: Sequence[int], values: Sequence[int]) -> None:
        """Change rows: each of ``places`` gets the value beside it. Cost: a third of setting one after the other."""
        fixed, tail, shift, mask = self.fixed, self.tail, self._shift, self._mask
        full, changed = self._full, self.changed
        for place, value in zip(places, values, strict=True):
            if place >= fixed:
                tail[place - fixed] = value
            elif (number := place >> shift) in changed:
                full[number][place & mask] = value  # type: ignore[index]
            else:
                self[place] = value

    def copy(self) -> "Column":
        """An equal column that goes on by itself. Cost: O(blocks)."""
        other = Column(self.code, self._load)
        other._full, other.fixed, other.tail = self._full[:], self.fixed, self.tail[:]
        return other

    # --- storing -----------------------------------------------------------------------------------------------------

    @property
    def blocks(self) -> int:
        """The number of blocks, the tail among them."""
        return len(self._full) + bool(self.tail)

    def block(self, number: int) -> Block:
        """A block, whole."""
        if number == len(self._full):
            return self.tail
        return self._full[number] or self._fetch(number)

    def to_store(self) -> list[int]:
        """The numbers of the blocks that the file does not have as they are."""
        return [*sorted(number for number in self.changed if number < self.kept), *range(self.kept, self.blocks)]

    def stored(self, load: Callable[[int], Block]) -> None:
        """Let go of what need not be in memory: all of it is in the file whose blocks ``load`` gives."""
        self._load = load
        self._full = [None] * len(self._full)
        self.kept = len(self._full)
        self.changed.clear()

    def check(self) -> None:
        """Read every block. Raises DamagedIndex when one is not what it was."""
        for number in range(self.blocks):
            self.block(number)
