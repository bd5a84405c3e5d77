"""How fast a server works and what hurt it last: the little that has to be noted as it happens to be asked later."""

from collections import deque
from time import monotonic, time_ns

import msgspec

from ezmsg.ledger.runtime.live import LiveGraph

SPAN_S = 10.0
"""How far back "recent" goes."""


class Failure(msgspec.Struct, frozen=True):
    """What went wrong, and when (ns)."""

    time: int
    error: str


class Stream(msgspec.Struct, eq=False):
    """An event stream that a client reads. ``number``: of the last entry of its feed that it was sent."""

    kind: str
    peer: str
    number: int = 0


class Pulse:
    """Beats whenever the server looks after itself. A beat costs an append to a short queue."""

    def __init__(self, live: LiveGraph) -> None:
        self._live = live
        self._beats: deque[tuple[float, int]] = deque(((monotonic(), live.state.seq),))
        self.last_error: Failure | None = None

    def beat(self) -> None:
        """Note how far the ledger is, and what is wrong with its disk."""
        now = monotonic()
        self._beats.append((now, self._live.state.seq))
        while self._beats[0][0] < now - SPAN_S:
            self._beats.popleft()
        degraded = self._live.degraded
        if degraded is not None and (self.last_error is None or self.last_error.time < degraded.since):
            self.last_error = Failure(degraded.since, degraded.error)

    def fail(self, error: str) -> None:
        """Something went wrong that is to be told when somebody asks."""
        self.last_error = Failure(time_ns(), error)

    @property
    def rate(self) -> float:
        """Events per second, over the last SPAN_S or since the start."""
        then, seq = self._beats[0]
        return (self._live.state.seq - seq) / max(monotonic() - then, 0.001)
