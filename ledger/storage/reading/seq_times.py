"""From times to seqs, for clocks that may go back."""

import threading
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Protocol

from ezmsg.ledger.events import AnyEvent
from ezmsg.ledger.storage.reading.scan import Place


class Readable(Protocol):
    """A ledger, as far as this file needs one: it can be read from a place on."""

    @property
    def place(self) -> Place: ...

    def holds(self, place: Place) -> bool: ...

    def read(self, after: int = 0, until: int | None = None) -> Iterator[list[AnyEvent]]: ...


class TimeStack:
    """For any time t, the largest seq whose time is <= t.

    A stack of (time, seq): an event takes off all that are not earlier than it, because it is later in seq and serves
    every t that they would. What stays rises in both, so a bisection answers.
    """

    def __init__(self) -> None:
        self._times = array("q")
        self._seqs = array("q")

    def add(self, events: Iterable[AnyEvent]) -> None:
        """Events in the order of their seqs. Cost: O(1) each, amortised."""
        times, seqs = self._times, self._seqs
        last = times[-1] if times else None
        for event in events:
            time = event.time
            if last is not None:
                if time == last:  # one append, one time: only its last seq matters
                    seqs[-1] = event.seq
                    continue
                while times and times[-1] >= time:
                    times.pop()
                    seqs.pop()
            times.append(time)
            seqs.append(event.seq)
            last = time

    def seq_at(self, time: int) -> int:
        """The largest seq whose time is <= ``time``; 0 without one. Cost: O(log(n))."""
        place = bisect_right(self._times, time)
        return self._seqs[place - 1] if place else 0

    def check(self) -> None:
        """Assert that both columns rise."""
        for column in (self._times, self._seqs):
            assert all(a < b for a, b in pairwise(column)), column
        assert len(self._times) == len(self._seqs)


class SeqTimes:
    """The time stack of one ledger, made when it is first asked for and extended when it is asked again."""

    def __init__(self, ledger: Readable) -> None:
        self._ledger = ledger
        self._lock = threading.Lock()
        self._stack = TimeStack()
        self._place = Place(0, 0, b"")

    def seq_at(self, time: int) -> int:
        """See ``Ledger.seq_at``."""
        with self._lock:
            last = self._ledger.place
            if last != self._place:
                if not self._ledger.holds(self._place):  # the file was cut back or replaced since
                    self._stack, self._place = TimeStack(), Place(0, 0, b"")
                for batch in self._ledger.read(self._place.seq, last.seq):
                    self._stack.add(batch)
                self._place = last
            return self._stack.seq_at(time)
