"""The clocks of a ledger: where its events lie on a clock that a recording can be laid beside.

The idea: an event's place is its wall time less the difference that the reading before it states, which is a time of
the monotonic clock of one start of a machine. Without readings the place is wall time itself.

Spans follow each other by their events, and are found by halving. Their places may overlap a little: an event that was
stamped just after the wall clock was set, and before that was noticed, seems to lie elsewhere. So a place is looked up
among the latest beginning up to each span, or the soonest one from it on, which only rise.
"""

from bisect import bisect_right
from collections.abc import Callable
from itertools import accumulate
from typing import Any

import msgspec

from ezmsg.ledger.projections.lifetimes.clock_readings import Hold
from ezmsg.ledger.projections.lifetimes.landmarks import Landmarks, Run

NEAR_NS = 6 * 3600 * 10**9
"""How far outside of what readings cover a place may lie and still be of the same start of a machine."""


class Span(msgspec.Struct, frozen=True):
    """Events ``first`` to ``last``, at the places ``begin`` to ``end`` (ns); ``offset``: wall time less place."""

    first: int
    last: int
    begin: int
    end: int
    offset: int


class LedgerClock:
    """A clock of a ledger: of one start of a machine, or wall time where ``name`` is None.

    ``time_of`` gives an event's time. Places are ns of the clock. Cost: O(log n) in the readings and events, or what
    else is said.
    """

    def __init__(self, landmarks: Landmarks, time_of: Callable[[int], int], name: Any, holds: list[Hold]) -> None:
        self._landmarks, self._time_of = landmarks, time_of
        self.name = name
        self.host = next((each.reading.host for each in holds if each.reading.host), None)
        self.spans: list[Span] = []
        for hold in holds:
            offset = hold.reading.offset
            begin = min(hold.reading.mono, time_of(hold.first) - offset) if hold.first else hold.reading.mono
            end = max(hold.reading.mono, time_of(hold.last) - offset)
            self.spans.append(Span(hold.first, hold.last, begin, end, offset))
        if name is None:
            first, last = landmarks.first, landmarks.last
            self.spans.append(Span(first[0], last[0], landmarks.earliest, landmarks.latest, 0))
        begins = [span.begin for span in self.spans]
        self._firsts = [span.first for span in self.spans]
        self._latest_to = list(accumulate(begins, max))
        self._soonest_from = list(accumulate(reversed(begins), min))[::-1]

    @property
    def begin(self) -> int:
        """The first place that is covered."""
        return self.spans[0].begin

    @property
    def end(self) -> int:
        """The last place that is covered."""
        return self.spans[-1].end

    def place(self, seq: int) -> int | None:
        """The place of event ``seq``; None when it is on another clock."""
        number = bisect_right(self._firsts, seq) - 1
        if number < 0 or seq > self.spans[number].last:
            return None
        return self._time_of(seq) - self.spans[number].offset

    def seq_at(self, place: int) -> int:
        """The last event at or before ``place``; the one before the clock's first when there is none."""
        if self.name is None:
            return self._landmarks.seq_at(place)
        number = bisect_right(self._latest_to, place) - 1
        if number < 0:
            return max(0, self.spans[0].first - 1)
        span = self.spans[number]
        before = bisect_right(range(span.first, span.last + 1), place + span.offset, key=self._time_of)
        return max(0, span.first + before - 1)

    def wall(self, place: int) -> int:
        """The time that the wall clock said at ``place`` (ns since the epoch, UTC)."""
        return place + self.spans[max(0, bisect_right(self._soonest_from, place) - 1)].offset

    def of_wall(self, wall: int) -> list[int]:
        """The places at which the wall clock said ``wall``: two where it was set back, none where it was set ahead.

        Before the first and after the last reading, as if it had run on. Cost: O(readings).
        """
        found = []
        for number, span in enumerate(self.spans):
            place = wall - span.offset
            begin = span.begin if number else place
            end = self.spans[number + 1].begin if number + 1 < len(self.spans) else place + 1
            if begin <= place < end and place not in found:
                found.append(place)
        return found

    def jumps(self, begin: int, end: int) -> list[tuple[int, int]]:
        """The places between ``begin`` and ``end`` at which the wall clock was set, and by how much (ns).

        Cost: O(readings).
        """
        return [
            (after.begin, after.offset - before.offset)
            for before, after in zip(self.spans, self.spans[1:], strict=False)
            if begin < after.begin < end and abs(after.offset - before.offset) >= 1_000_000
        ]

    def runs(self) -> list[tuple[Run, int, int]]:
        """The runs that were recorded on this clock, with their first and last places."""
        found = []
        for run in self._landmarks.runs:
            last = run.end or self._landmarks.seq
            begin, end = self.place(run.start), self.place(last)
            if end is None and begin is not None:  # what tells of the end is beyond the last reading that holds
                end = self.end
            if begin is not None and end is not None:
                found.append((run, begin, end))
        return found


def clocks_of(landmarks: Landmarks, time_of: Callable[[int], int]) -> list[LedgerClock]:
    """The clocks of a ledger that was read, in their order; wall time alone where none was. Cost: O(readings)."""
    by_clock: dict[Any, list[Hold]] = {}
    for hold in landmarks.readings.holds(landmarks.seq):
        by_clock.setdefault(hold.reading.clock, []).append(hold)
    found = [LedgerClock(landmarks, time_of, name, holds) for name, holds in by_clock.items()]
    return found or [LedgerClock(landmarks, time_of, None, [])]
