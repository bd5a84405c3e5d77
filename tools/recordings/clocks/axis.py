"""The time axis of a recording: its stamps as they stand in the file, and the places where they jump.

The idea: between two jumps a stamp tells its place, so a mapping to another clock needs only the ends of each piece. A
file may keep every stamp in a block of its own, so of a long one only some are read, and all where these do not fit.
"""

import math
from typing import Any

import msgspec

JUMP_S = 0.1
"""The seconds by which stamps must differ from their pace to count as a jump."""

BLOCKS_MAX = 5_000
"""Blocks of stamps that are read one and all: ezmsg-nwb puts each stamp into a block of its own, which costs 60 us
and some kB."""

PACE_MAX = 400_000
"""Stamps that the pace is told from."""

LOOKS = 2_000
"""Stamps of a longer axis that are looked at."""


class NotNumbers(ValueError):
    """Stamps of which some are not numbers: they were never written."""


class Piece(msgspec.Struct, frozen=True):
    """Samples ``first`` to ``last``, whose stamps run on from ``begin`` to ``end`` (s, as they stand in the file)."""

    first: int
    last: int
    begin: float
    end: float


class Axis(msgspec.Struct, frozen=True):
    """The stamps of ``count`` samples: pieces without a jump. ``period``: seconds from one to the next, the median.

    ``counted``: the file holds no stamps, they follow from a beginning and a rate. ``step``: where it is more than 1,
    only one stamp of so many was looked at for jumps, so that one and its opposite between two of them are not seen.
    """

    pieces: list[Piece]
    period: float
    count: int
    counted: bool = False
    step: int = 1

    @property
    def begin(self) -> float:
        """The first stamp."""
        return self.pieces[0].begin

    @property
    def end(self) -> float:
        """The time at which the last sample ends: its stamp and a period."""
        return self.pieces[-1].end + self.period

    @property
    def rate(self) -> float:
        """Samples a second, over the longest piece; 0 of a single sample."""
        longest = max(self.pieces, key=lambda piece: piece.last - piece.first)
        length = longest.end - longest.begin
        return (longest.last - longest.first) / length if length > 0 else 0.0

    def jumps(self) -> list[tuple[float, float]]:
        """For each jump the last stamp before it, and by how many seconds the next one differs from its pace."""
        return [
            (before.end, after.begin - before.end - self.period)
            for before, after in zip(self.pieces, self.pieces[1:], strict=False)
        ]


def counted(begin: float, rate: float, count: int) -> Axis:
    """The axis of ``count`` samples that follow one another at ``rate`` (Hz), the first one at ``begin`` (s)."""
    return Axis([Piece(0, count - 1, begin, begin + (count - 1) / rate)], 1 / rate, count, counted=True)


def stamped(stamps: Any, blocks: int = 1) -> Axis:
    """The axis of stamps, an array or a dataset of HDF5 that has as many ``blocks``; at least one stamp.

    Raises NotNumbers. Cost: all are read; where they are in more than BLOCKS_MAX blocks, LOOKS of them, and some 20
    for each jump.
    """
    count = len(stamps)
    if blocks <= BLOCKS_MAX or count <= LOOKS:
        places = _jumps(stamps[:])
        period, step = _period(stamps[: min(count, PACE_MAX)]), 1
    else:
        period, step = _period(stamps[:LOOKS]), -(-count // LOOKS)
        places = _found(stamps, count, step)
    pieces = []
    first = 0
    for place in [*places, count]:
        pieces.append(Piece(first, place - 1, float(stamps[first]), float(stamps[place - 1])))
        first = place
    return Axis(pieces, period, count, step=step)


def _period(stamps: Any) -> float:
    import numpy

    return float(numpy.median(numpy.diff(stamps))) if len(stamps) > 1 else 0.0


def _limit(pace: float) -> float:
    """The difference from the pace (s) by which a step is a jump."""
    return max(JUMP_S, 5 * abs(pace))


def _jumps(stamps: Any) -> list[int]:
    """The samples before which the stamps jump."""
    import numpy

    if not numpy.isfinite(stamps).all():
        raise NotNumbers(f"its stamp {int(numpy.flatnonzero(~numpy.isfinite(stamps))[0]):,} is not a number")
    if len(stamps) < 2:
        return []
    steps = numpy.diff(stamps)
    pace = float(numpy.median(steps))
    return [int(place) + 1 for place in numpy.flatnonzero(numpy.abs(steps - pace) > _limit(pace))]


def _found(stamps: Any, count: int, step: int) -> list[int]:
    """The jumps between stamps of which one in ``step`` is looked at, and others only where two are oddly far apart."""
    import numpy

    places = [*range(0, count, step), count - 1]
    seen = [float(stamp) for stamp in stamps[::step]]
    seen.append(float(stamps[count - 1]))
    if odd := [place for place, stamp in zip(places, seen, strict=True) if not math.isfinite(stamp)]:
        raise NotNumbers(f"its stamp {odd[0]:,} is not a number")
    pace = float(numpy.median(numpy.diff(seen[:-1]))) / step
    found: list[int] = []
    for first, last, begin, end in zip(places, places[1:], seen, seen[1:], strict=False):
        found += _between(stamps, (first, begin), (last, end), pace)
    return found


def _between(stamps: Any, one: tuple[int, float], other: tuple[int, float], pace: float) -> list[int]:
    """The jumps between two samples with their stamps, by halves: of a half that keeps the pace nothing is read."""
    (first, begin), (last, end) = one, other
    if abs(end - begin - (last - first) * pace) <= _limit(pace):
        return []
    if last - first == 1:
        return [last]
    middle = (first + last) // 2
    half = middle, float(stamps[middle])
    if not math.isfinite(half[1]):
        raise NotNumbers(f"its stamp {middle:,} is not a number")
    return _between(stamps, one, half, pace) + _between(stamps, half, other, pace)
