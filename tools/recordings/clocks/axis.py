"""The time axis of a recording: its stamps as they stand in the file, and the places where they jump.

The idea: between two jumps a stamp tells its place, so a mapping to another clock needs only the ends of each piece. A
file may keep every stamp in a block of its own, so of a long one only some are read, and all where these do not fit.
"""

from collections.abc import Callable
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


class Piece(msgspec.Struct, frozen=True):
    """Samples ``first`` to ``last``, whose stamps run on from ``begin`` to ``end`` (s, as they stand in the file)."""

    first: int
    last: int
    begin: float
    end: float


class Axis(msgspec.Struct, frozen=True):
    """The stamps of ``count`` samples: pieces without a jump. ``period``: seconds from one to the next, the median.

    ``counted``: the file holds no stamps, they follow from a beginning and a rate.
    """

    pieces: list[Piece]
    period: float
    count: int
    counted: bool = False

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

    Cost: all are read, or LOOKS of them where they are in more than BLOCKS_MAX blocks, and where these jump.
    """
    count = len(stamps)
    if blocks <= BLOCKS_MAX or count <= LOOKS:
        places = _jumps(stamps[:], 0)
        period = _period(stamps[: min(count, PACE_MAX)])
    else:
        period = _period(stamps[:LOOKS])
        places = _found(stamps, count, lambda first, last: _jumps(stamps[first : last + 1], first))
    pieces = []
    first = 0
    for place in [*places, count]:
        pieces.append(Piece(first, place - 1, float(stamps[first]), float(stamps[place - 1])))
        first = place
    return Axis(pieces, period, count)


def _period(stamps: Any) -> float:
    import numpy

    return float(numpy.median(numpy.diff(stamps))) if len(stamps) > 1 else 0.0


def _jumps(stamps: Any, base: int) -> list[int]:
    """The samples, counted from ``base``, before which the stamps jump."""
    import numpy

    if len(stamps) < 2:
        return []
    steps = numpy.diff(stamps)
    pace = float(numpy.median(steps))
    return [base + int(place) + 1 for place in numpy.flatnonzero(numpy.abs(steps - pace) > max(JUMP_S, 5 * abs(pace)))]


def _found(stamps: Any, count: int, look: Callable[[int, int], list[int]]) -> list[int]:
    """The jumps between stamps that are looked at here and there: where two are not as far apart as most."""
    import numpy

    step = -(-count // LOOKS)
    seen = numpy.asarray(stamps[::step])
    apart = numpy.diff(seen)
    odd = numpy.flatnonzero(numpy.abs(apart - numpy.median(apart)) > JUMP_S)
    places = [place for number in odd for place in look(int(number) * step, (int(number) + 1) * step)]
    return places + look((len(seen) - 1) * step, count - 1)
