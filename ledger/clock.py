"""Clocks: what tells a ledger the time, and can say how the wall clock stands to one that nobody sets.

The idea: wall time is what people read and what events are stamped with, but it is set by people, by NTP and by a
battery that ran flat. A monotonic clock is never set, and says nothing about the day. Read together now and then, a
pair of the two says what the wall clock did in between. Linux slews both alike, so only steps come apart.
"""

import os
import socket
import sys
import time
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

TRIES = 3
"""Readings of which the narrowest counts: a process that loses its turn in the middle of one makes it wide."""


class Reading(NamedTuple):
    """The clocks as read together. All are ns: ``real`` since the epoch, UTC; ``mono`` and ``boot`` since some moment
    of the machine's start.

    ``boot`` goes on while the machine is suspended, ``mono`` does not; it is None where the system has no such clock.
    ``width``: between which times of ``mono`` the others were read; the middle of these is ``mono``.
    """

    real: int
    mono: int
    boot: int | None
    width: int


class Identity(NamedTuple):
    """The name of a monotonic clock: times can be subtracted only where they are of one.

    ``boot_id`` changes with each start of the machine, ``time_namespace`` tells containers with clocks of their own
    apart. None where the system does not say.
    """

    boot_id: str | None
    time_namespace: str | None
    host: str | None


class Clock:
    """The clocks of this machine, from which a ledger reads the time. Derive from it to have others.

    >>> clock = Clock()
    >>> before, after = clock.read(), clock.read()
    >>> after.mono > before.mono
    True
    """

    def real(self) -> int:
        """Wall time: ns since the epoch, UTC. Setting the machine's clock moves it."""
        return time.time_ns()

    def mono(self) -> int:
        """The monotonic clock, CLOCK_MONOTONIC on Linux, in ns. Nobody sets it; it rests while the machine sleeps."""
        return time.monotonic_ns()

    def boot(self) -> int | None:
        """CLOCK_BOOTTIME in ns, which goes on while the machine sleeps; None where there is none."""
        if sys.platform == "linux":
            return time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        return None

    def identity(self) -> Identity:
        """The name of the monotonic clock. Cost: two small files of the system are read."""
        return Identity(_boot_id(), _time_namespace(), socket.gethostname())

    def read(self) -> Reading:
        """The clocks, read together: the narrowest of TRIES readings. Cost: a microsecond."""
        return min((self._read() for _ in range(TRIES)), key=lambda reading: reading.width)

    def _read(self) -> Reading:
        before = self.mono()
        real, boot = self.real(), self.boot()
        after = self.mono()
        return Reading(real, (before + after) // 2, boot, after - before)


SYSTEM_CLOCK = Clock()
"""The clocks of this machine."""

WallClock: TypeAlias = Callable[[], int]
"""A function that gives ns since the epoch, UTC. It says nothing about a monotonic clock."""


class WallOnly(Clock):
    """A function that gives wall time, as a clock. It cannot be paired with a monotonic one: no readings are kept."""

    def __init__(self, real: WallClock) -> None:
        self._real = real

    def real(self) -> int:
        return self._real()


def as_clock(clock: Clock | WallClock) -> Clock:
    """``clock`` itself, or the clock that a function of wall time is; ``time.time_ns`` stands for this machine's."""
    if isinstance(clock, Clock):
        return clock
    return SYSTEM_CLOCK if clock is time.time_ns else WallOnly(clock)


def _boot_id() -> str | None:
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    except OSError:  # not Linux, or a container that hides it
        return None


def _time_namespace() -> str | None:
    try:
        return os.readlink("/proc/self/ns/time")
    except OSError:  # not Linux, or before 5.6
        return None
