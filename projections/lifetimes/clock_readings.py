"""The readings of a ledger's clocks: how much time really passed between two events, whatever the wall clock did.

The idea: an event is stamped with wall time alone, but a reading before it pairs wall time with a monotonic clock. So
an event's place on the monotonic clock is its wall time, moved by the difference of that pair; and where the same
clock ran at two events, the difference of their places is what passed. Readings hold by seq: times may lie.
"""

from bisect import bisect_right
from typing import Any, NamedTuple

import msgspec

from ezmsg.ledger import events as ev

STEP_NS = 1_000_000
"""The least difference that counts as a step, in ns. A recorder passes over what is less, too."""


STEADY = ("segment", "idle", "stop")
"""Reasons of readings which tell that the clock was not set since the one before: that would have another reason."""


class Reading(msgspec.Struct, frozen=True):
    """A reading of the clocks (event ``seq``, stamped ``time``), and the name of the monotonic clock it was of.

    ``named``: the reading that gave that name, at the start of its run. ``before``: the time of the event before it; 0
    without one. Times are ns.
    """

    seq: int
    time: int
    real: int
    mono: int
    boot: int | None
    width: int
    reason: str
    boot_id: str | None
    time_namespace: str | None
    host: str | None
    named: int
    before: int

    @property
    def holds_from(self) -> int:
        """The first event that it holds for: itself, or the gap that it follows."""
        return self.seq - (self.reason == "gap")

    @property
    def offset(self) -> int:
        """The number to take from wall time to get the monotonic one."""
        return self.real - self.mono

    @property
    def clock(self) -> tuple[str | None, str | None] | int:
        """The monotonic clock. Of two equal ones times can be subtracted.

        Where a system does not name its boots, every run counts as one of its own.
        """
        return self.named if self.boot_id is None else (self.boot_id, self.time_namespace)


class Elapsed(NamedTuple):
    """The time between two events: ``ns``. ``clock``: "mono", what passed; "wall", as far as the wall clock says.

    "wall" where no reading holds for one of the two; "boots" the same, where they are of two monotonic clocks.
    """

    ns: int
    clock: str


class Jump(msgspec.Struct, frozen=True):
    """A jump of wall time at reading ``seq`` against the one before, of the same clock: ``kind`` step or suspend.

    ``ns``: by how much, < 0 when it was set back. ``was``: the wall time that it would have been; ``now``: what it was.
    """

    seq: int
    kind: str
    ns: int
    was: int
    now: int


class Stretch(NamedTuple):
    """Events ``first`` to ``last`` whose wall time never goes back. Its times (ns): ``begin``, up to ``end``."""

    first: int
    last: int
    begin: int
    end: int


class Hold(NamedTuple):
    """The events ``first`` to ``last``, for which ``reading`` holds."""

    reading: Reading
    first: int
    last: int


class Readings:
    """The readings of one ledger, in their order, and where each ceases to hold. Adding one costs O(1).

    >>> from ezmsg.ledger import events
    >>> readings = Readings()
    >>> readings.add(events.ClockRead(seq=1, time=900, real=900, mono=10, reason="start", boot_id="a"), 0)
    >>> readings.add(events.ClockRead(seq=3, time=500, real=500, mono=30, reason="step"), 920)
    >>> readings.elapsed(2, 910, 4, 510)
    Elapsed(ns=20, clock='mono')
    """

    def __init__(self, kept: list[Reading] | None = None, ends: list[int] | None = None) -> None:
        self.kept = [] if kept is None else kept
        self.ends = [] if ends is None else ends  # for each that has ceased to hold: the first seq it does not hold for
        self._begins: list[int] = []
        for reading in self.kept:
            self._begins.append(self._begin(reading))

    def __len__(self) -> int:
        return len(self.kept)

    def add(self, event: ev.ClockRead, before: int) -> None:
        """Note a reading; ``before``: the time of the event before it. One that names no clock is of the last one."""
        name: tuple[Any, ...] = (event.boot_id, event.time_namespace, event.host)
        named = event.seq
        if event.reason != "start" and self.kept:
            last = self.kept[-1]
            named = last.named
            name = name if any(name) else (last.boot_id, last.time_namespace, last.host)
        self.kept.append(
            Reading(
                seq=event.seq,
                time=event.time,
                real=event.real,
                mono=event.mono,
                boot=event.boot,
                width=event.width,
                reason=event.reason,
                boot_id=name[0],
                time_namespace=name[1],
                host=name[2],
                named=named,
                before=before,
            )
        )
        self._begins.append(self._begin(self.kept[-1]))

    def _begin(self, reading: Reading) -> int:
        """The first event that a reading holds for. Where a history begins within a run: also for those before it, for
        had the clock been set there, a reading would say so."""
        return 0 if reading.reason in STEADY and not self._begins else reading.holds_from

    def end(self, seq: int) -> None:
        """From event ``seq`` on the last reading holds no longer: the run of its recorder is over."""
        self.ends.append(seq)

    def at(self, seq: int) -> Reading | None:
        """The reading that holds for event ``seq``; None without one. Cost: O(log n)."""
        place = bisect_right(self._begins, seq) - 1
        if place < 0:
            return None
        found = self.kept[place]
        over = bisect_right(self.ends, seq) - 1
        return None if over >= 0 and self.ends[over] > found.holds_from else found

    def holds(self, head: int) -> list[Hold]:
        """For each reading the events that it holds for, up to event ``head``. Cost: O(n log n)."""
        found = []
        for place, reading in enumerate(self.kept):
            first = self._begins[place]
            last = head if place + 1 == len(self.kept) else self._begins[place + 1] - 1
            over = bisect_right(self.ends, reading.holds_from)
            if over < len(self.ends):
                last = min(last, self.ends[over] - 1)
            if first <= last:
                found.append(Hold(reading, first, last))
        return found

    def elapsed(self, seq_a: int, time_a: int, seq_b: int, time_b: int) -> Elapsed:
        """The time from event ``seq_a`` (stamped ``time_a``, ns) to event ``seq_b``. Cost: O(log n)."""
        a, b = self.at(seq_a), self.at(seq_b)
        if a is None or b is None:
            return Elapsed(time_b - time_a, "wall")
        if a.clock != b.clock:
            return Elapsed(time_b - time_a, "boots")
        return Elapsed((time_b - b.offset) - (time_a - a.offset), "mono")

    def jumps(self) -> list[Jump]:
        """Every step of wall time and every suspend of the machine that readings show, in order. Cost: O(n)."""
        return [jump for reading in self.kept for jump in self.jumps_at(reading.seq)]

    def jumps_at(self, seq: int) -> list[Jump]:
        """The jumps of wall time at reading ``seq``; nothing for any other event. Cost: O(log n)."""
        place = bisect_right(self._begins, seq) - 1
        if place < 1 or self.kept[place].seq != seq:
            return []
        out = []
        a, b = self.kept[place - 1], self.kept[place]
        if a.clock == b.clock:
            slept = 0 if a.boot is None or b.boot is None else (b.boot - b.mono) - (a.boot - a.mono)
            slept = slept if abs(slept) >= STEP_NS else 0
            moved = b.offset - a.offset - slept
            if slept:
                out.append(Jump(b.seq, "suspend", slept, b.real - moved - slept, b.real - moved))
            if abs(moved) >= STEP_NS:
                out.append(Jump(b.seq, "step", moved, b.real - moved, b.real))
        return out

    def stretches(self, first: int, begin: int, last: int, end: int) -> list[Stretch]:
        """The stretches of events, from ``first`` to ``last`` of the ledger, in which wall time never went back.

        ``begin`` and ``end`` are the ledger's first and last times. Where the clock was set back within one start of a
        machine, it is known how far it had come; else it stood where the event before had it. Cost: O(n).
        """
        stood = {jump.seq: jump.was for jump in self.jumps() if jump.kind == "step" and jump.ns < 0}
        out = []
        for reading in self.kept:
            was = max(stood.get(reading.seq, 0), reading.before + 1)
            if reading.seq > first and was > reading.time:
                out.append(Stretch(first, reading.seq - 1, begin, was))
                first, begin = reading.seq, reading.time
        out.append(Stretch(first, last, begin, end + 1))
        return out
