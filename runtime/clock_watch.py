"""A watch over the clocks of a run: it says when a reading of them is due, and makes the events for it."""

from ezmsg.ledger.clock import Clock, Identity, Reading, WallOnly
from ezmsg.ledger.events import ClockRead

STEP_NS = 1_000_000
"""The drift of wall time from the monotonic clock that is not on record: up to 1 ms. Slewing moves both
alike on Linux, and elsewhere by less in the time between two events."""

SILENCE_NS = 60 * 10**9
"""Silence after an event until the clocks are read again: what happens next is then measured from a minute ago."""

_NOBODY = Identity(None, None, None)


class ClockWatch:
    """The clocks of one run, as they were recorded last.

    ``now`` is asked for each append: it gives the time to stamp, and whether wall time has come apart from the
    monotonic clock. Then a ``reading`` is appended first, and ``note`` told of it. A clock without a monotonic one
    beside it has no readings. ``steps`` and ``suspends`` count what was recorded, ``set_by`` is by how much wall time
    was set in all (ns).
    """

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.pairs = not isinstance(clock, WallOnly)
        self._real, self._mono = clock.real, clock.mono
        self._offset = 0  # real - mono, as recorded last
        self._ahead: int | None = None  # boot - mono, likewise
        self._began, self._began_real = clock.mono(), clock.real()
        self._offsets: list[tuple[int, int]] = []  # real - mono, and from when on (mono) it was that
        self.steps = self.suspends = 0
        self.set_by = 0
        self._taken: Reading | None = None  # one that showed a step, and is to be appended
        self._seq = 0  # the head when it was last looked at, since when that is, and whether a reading has followed it
        self._since = 0
        self._rested = False

    @property
    def elapsed(self) -> int:
        """The length of the run so far, ns, by the monotonic clock."""
        return self._mono() - self._began

    def age(self, time: int) -> int:
        """The age (ns) of ``time``, a reading of the wall clock, whatever was done to it in this run.

        Where it said so more than once, the last time counts; a time from before the run is told by wall time up to
        its start. Cost: O(steps of the run).
        """
        if not self.pairs:
            return self._real() - time
        now = until = self._mono()
        for begin, offset in reversed(self._offsets):
            if begin - STEP_NS <= time - offset <= until + STEP_NS:
                return max(0, now - (time - offset))
            until = begin
        return now - self._began + max(0, self._began_real - time)

    def now(self) -> tuple[int, bool]:
        """The time (ns since the epoch, UTC), and whether it must not be stamped before a reading was appended.

        Cost: two clocks are read.
        """
        real = self._real()
        if not self.pairs or -STEP_NS < real - self._mono() - self._offset < STEP_NS:
            return real, False
        reading = self.clock.read()  # a turn lost between two clocks looks like a step; a narrow reading does not
        if abs(reading.real - reading.mono - self._offset) < STEP_NS + reading.width:
            return reading.real, False
        self._taken = reading
        return reading.real, True

    def is_quiet(self, seq: int) -> bool:
        """Whether nothing has been recorded after ``seq``, the head, for a minute, nor has a reading since.

        To be asked now and then: silence counts from the first time that this head was seen.
        """
        if seq != self._seq:
            self._seq, self._since, self._rested = seq, self._mono(), False
        return self.pairs and not self._rested and self._mono() - self._since >= SILENCE_NS

    def readings(self, reason: str | None = None, *, identity: bool = False) -> list[ClockRead]:
        """The event of a reading, alone in a list; an empty one for a clock that has none.

        Without a ``reason``, the reading is the one in which ``now`` has found a step, or a suspend. With ``identity``
        it says which monotonic clock it is.
        """
        if not self.pairs:
            return []
        taken = self._taken if reason is None and self._taken is not None else self.clock.read()
        if reason is None:
            ahead = None if taken.boot is None else taken.boot - taken.mono
            slept = ahead is not None and self._ahead is not None and ahead - self._ahead >= STEP_NS
            reason = "suspend" if slept else "step"
        name = self.clock.identity() if identity else _NOBODY
        return [ClockRead(reason=reason, **taken._asdict(), **name._asdict())]

    def note(self, stored: list[ClockRead], head: int | None = None) -> None:
        """Readings were recorded; ``head``: the seq of the last one, when nothing came with it."""
        for read in stored:
            if read.reason in ("step", "suspend"):
                self.steps += read.reason == "step"
                self.suspends += read.reason == "suspend"
                slept = read.boot - read.mono - self._ahead if read.boot and self._ahead is not None else 0
                self.set_by += read.real - read.mono - self._offset - slept
            self._offset = read.real - read.mono
            if not self._offsets or abs(self._offsets[-1][1] - self._offset) >= STEP_NS:
                self._offsets.append((read.mono, self._offset))
            self._ahead = None if read.boot is None else read.boot - read.mono
            self._taken = None
        if head is not None:
            self._seq, self._rested = head, True
