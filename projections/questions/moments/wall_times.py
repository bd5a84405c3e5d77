"""Wall times of one ledger: which event a time of day means, where the wall clock was set in between."""

from collections.abc import Callable
from typing import NamedTuple

from ezmsg.ledger.projections.lifetimes.clock_readings import Stretch
from ezmsg.ledger.projections.lifetimes.landmarks import Landmarks


class Found(NamedTuple):
    """An event by a time: the last one not later (``seq``), and the first one not earlier (``since``).

    ``time``: what the wall clock said then (ns).
    """

    seq: int
    since: int
    time: int


class WallTimes:
    """The stretches of a ledger in which its wall clock never went back, and the events in them by their times.

    ``time_of`` gives the time of an event. ``was_set`` tells whether readings show that wall time did not run on as it
    should. A ledger without readings, or whose clock was never set back, has one stretch: there times are found by
    ``Landmarks.seq_at``. Else a search costs O(log n) events.
    """

    def __init__(self, landmarks: Landmarks, time_of: Callable[[int], int]) -> None:
        self._landmarks = landmarks
        self._time_of = time_of
        readings = landmarks.readings
        first, last = landmarks.first, landmarks.last
        self.stretches = readings.stretches(*first, *last) if len(readings) and landmarks.seq else []
        self.went_back = len(self.stretches) > 1
        self.was_set = self.went_back or bool(readings.jumps())

    def containing(self, time: int) -> list[Stretch]:
        """The stretches in which the wall clock said ``time`` (ns)."""
        return [each for each in self.stretches if each.begin <= time < each.end]

    def find(self, begin: int, end: int, stretch: Stretch | None = None) -> Found:
        """The events at the times ``begin`` to ``end`` (ns): in ``stretch``, or wherever the clock said so."""
        if stretch is None:
            landmarks = self._landmarks
            return Found(landmarks.seq_at(end), landmarks.seq_at(begin - 1) + 1, begin)
        return Found(self._last(stretch, end), self._last(stretch, begin - 1) + 1, begin)

    def ago(self, seq: int, time: int, length: int) -> Found | int:
        """The event that was ``length`` ns before event ``seq`` at ``time``, by the monotonic clock that ran then.

        Before the first reading of that clock, or without one: only the wall time that it would have been.
        """
        readings = self._landmarks.readings
        anchor = readings.at(seq)
        if anchor is None:
            return time - length
        first = anchor
        target = time - anchor.offset - length
        until = self._landmarks.seq
        for reading in reversed(readings.kept):
            if reading.clock != anchor.clock:
                break
            first = reading
            if reading.mono <= target:
                piece = Stretch(reading.seq, until, reading.time, reading.time)
                wall = target + reading.offset
                return self.find(wall, wall, piece)
            until = reading.seq - 1
        return first.real - (first.mono - target)

    def _last(self, stretch: Stretch, time: int) -> int:
        """The last event of a stretch that is not later than ``time``; the one before the stretch when all are."""
        low, high = stretch.first, stretch.last + 1
        while low < high:
            middle = (low + high) // 2
            if self._time_of(middle) <= time:
                low = middle + 1
            else:
                high = middle
        return low - 1
