"""A clock that tests move: it runs, is set, and sleeps."""

import time

from ezmsg.ledger.clock import Clock, Identity

BEGIN = 1_800_000_000 * 10**9
"""What the wall clock says at first: ns since the epoch, UTC."""

SECOND = 10**9


class FakeClock(Clock):
    """Clocks that stand until they are moved; times are given in seconds, and told in ns.

    ``boot_id`` names the start of the machine; ``restart`` begins another one.
    """

    def __init__(self, begin: int = BEGIN, boot_id: str = "boot-1") -> None:
        self._real = begin
        self._mono = self._boot = 1000 * SECOND
        self.boot_id = boot_id
        self.time_namespace = "time:[1]"
        self.host = "lab-3"

    def run(self, seconds: float) -> None:
        """Time passes."""
        ns = round(seconds * SECOND)
        self._real += ns
        self._mono += ns
        self._boot += ns

    def step(self, seconds: float) -> None:
        """Somebody sets the wall clock: ahead, or back where < 0."""
        self._real += round(seconds * SECOND)

    def suspend(self, seconds: float) -> None:
        """The machine sleeps: its monotonic clock rests."""
        ns = round(seconds * SECOND)
        self._real += ns
        self._boot += ns

    def restart(self, boot_id: str, seconds: float = 30.0) -> None:
        """The machine is started anew; that takes a while."""
        self._real += round(seconds * SECOND)
        self._mono = self._boot = 20 * SECOND
        self.boot_id = boot_id

    def real(self) -> int:
        return self._real

    def mono(self) -> int:
        return self._mono

    def boot(self) -> int | None:
        return self._boot

    def identity(self) -> Identity:
        return Identity(self.boot_id, self.time_namespace, self.host)


def wall() -> int:
    """Wall time alone, as a clock: for tests whose seqs readings would only move."""
    return time.time_ns()
