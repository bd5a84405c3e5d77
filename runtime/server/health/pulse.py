"""The pulse of a server: how fast it works, and its last error, noted as they happen."""

from collections import deque
from time import monotonic, time_ns

import msgspec

from ezmsg.ledger.runtime.live import LiveGraph

RATE_WINDOW_S = 10.0
"""The time over which events per second are counted."""

GROWTH_WINDOW_S, GROWTH_STEP_S = 3600.0, 60.0
"""The time over which the growth of a ledger is measured: an hour, so that a burst is not taken for the rule. A sample
a minute is kept of it."""

GROWTH_MIN_S = 5.0
"""From less time than that nothing can be said about an hour."""


class Failure(msgspec.Struct, frozen=True):
    """An error, and when it happened (ns)."""

    time: int
    error: str


class Stream(msgspec.Struct, eq=False):
    """An event stream that a client reads. ``number``: of the last entry of its feed that it was sent."""

    kind: str
    peer: str
    number: int = 0


class Speed:
    """The speed at which a count grows over the last ``window`` seconds; a sample is kept in every ``step`` of them.

    ``now`` is the time of a monotonic clock in seconds. Cost of ``note``: O(1).
    """

    def __init__(self, window: float, step: float, now: float, count: int) -> None:
        self._window = window
        self._step = step
        self._samples = deque(((now, count),))

    def note(self, now: float, count: int) -> None:
        """The count is ``count`` now. One that has become smaller is another count: that of a ledger opened anew."""
        samples = self._samples
        if count < samples[-1][1]:
            samples.clear()
        if not samples or now - samples[-1][0] >= self._step:
            samples.append((now, count))
        while len(samples) > 1 and samples[1][0] <= now - self._window:
            samples.popleft()

    def per_second(self, now: float, count: int, least: float = 0.001) -> float | None:
        """The growth of the count in a second; None when it has been measured for less than ``least`` seconds."""
        then, before = self._samples[0]
        return (count - before) / (now - then) if now - then >= least else None


class Pulse:
    """The speed at which a live graph's events and the bytes of its ledger grow, and the last error.

    ``beat`` is called whenever the server looks after itself. A beat costs an append to two short queues.
    """

    def __init__(self, live: LiveGraph) -> None:
        self._live = live
        self._events = Speed(RATE_WINDOW_S, 0.0, monotonic(), live.state.seq)
        self._bytes = Speed(GROWTH_WINDOW_S, GROWTH_STEP_S, monotonic(), live.ledger.appended)
        self.last_error: Failure | None = None

    def beat(self) -> None:
        """Note how far the ledger is, and what is wrong with its disk."""
        now = monotonic()
        self._events.note(now, self._live.state.seq)
        self._bytes.note(now, self._live.ledger.appended)
        degraded = self._live.degraded
        if degraded is not None and (self.last_error is None or self.last_error.time < degraded.since):
            self.last_error = Failure(degraded.since, degraded.error)

    def fail(self, error: str) -> None:
        """Note a fault of the server."""
        self.last_error = Failure(time_ns(), error)

    @property
    def events_per_second(self) -> float:
        """Events per second, over the last RATE_WINDOW_S or since the start."""
        return self._events.per_second(monotonic(), self._live.state.seq) or 0.0

    @property
    def bytes_per_hour(self) -> int | None:
        """Bytes an hour that are appended, over the last GROWTH_WINDOW_S or since the start; None in the first
        GROWTH_MIN_S."""
        per_second = self._bytes.per_second(monotonic(), self._live.ledger.appended, GROWTH_MIN_S)
        return None if per_second is None else round(per_second * 3600)
