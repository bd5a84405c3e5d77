"""The room on the disk that a ledger is written to: how much is left, for how long, and a warning before it is gone."""

import logging
from collections.abc import Callable
from time import monotonic

import msgspec

from ezmsg.ledger.log import Ledger
from ezmsg.ledger.projections.questions.moments.times import span_text
from ezmsg.ledger.runtime.server.health.pulse import GROWTH_STEP_S, GROWTH_WINDOW_S, Speed
from ezmsg.ledger.storage.disk import Space
from ezmsg.ledger.wording import size_text

logger = logging.getLogger("ezmsg.ledger")

LOOK_S = 5.0
"""Time between two looks at the disk: a few microseconds each."""

RATE_MIN_S = 30.0
"""From less time than that nothing is said of when the disk will be full: one look can fall into a burst."""

LEAST_BYTES, LEAST_SHARE = 10**9, 20
"""The free space from which on a warning comes where none was asked for: 1 GB, or a twentieth of a smaller disk."""

HOUR_NS = 3600 * 10**9

SECONDS_MAX = 10 * 365 * 86400.0
"""The time beyond which hours are not told: ten years."""


class DiskState(msgspec.Struct, frozen=True, kw_only=True):
    """The disk as ``status`` tells it: bytes ``free`` of ``total``, and ``min_free``, below which it is ``low``.

    ``bytes_per_hour``: how much it fills in an hour, by all that is written to it, or by the ledger alone where that
    is more; ``hours_left``: until it is full at this rate. Both None until that can be told, or when it does not fill.
    """

    free: int
    total: int
    min_free: int
    low: bool
    bytes_per_hour: int | None
    hours_left: float | None


class DiskRoom:
    """Watches the room on the disk of a ledger.

    ``ledger`` gives the one that is written now, ``appending`` the bytes an hour that it takes (None: not known yet).
    A warning is logged when less than ``least`` bytes are free (None: see LEAST_BYTES; 0: never), and again whenever
    half of what was left then is gone. Where the system does not tell, nothing is said.
    """

    def __init__(
        self, ledger: Callable[[], Ledger], appending: Callable[[], int | None], least: int | None = None
    ) -> None:
        self._ledger = ledger
        self._appending = appending
        self._least = least
        self._space: Space | None = None
        self._filling: Speed | None = None
        self._looked = -LOOK_S
        self._warned: int | None = None  # free bytes at the last warning; None: all is well

    def tend(self) -> None:
        """Look at the disk when it is time, and warn when that is due. Costs next to nothing."""
        if (now := monotonic()) - self._looked >= LOOK_S:
            self._looked = now
            self.look()

    def look(self) -> None:
        """Look at the disk now."""
        self._space = space = self._ledger().space
        if space is None:
            return
        used = space.total - space.free
        if self._filling is None:
            self._filling = Speed(GROWTH_WINDOW_S, GROWTH_STEP_S, monotonic(), used)
        self._filling.note(monotonic(), used)
        least = self._least_of(space)
        if space.free >= least:
            self._warned = None
        elif self._warned is None or space.free <= self._warned // 2 < self._warned:  # of nothing, no half can go
            self._warned = space.free
            self._warn(space, least)

    @property
    def state(self) -> DiskState | None:
        """The room as it was at the last look; None where it cannot be told, as for a ledger in memory."""
        space = self._space
        if space is None:
            return None
        rate = self._bytes_per_hour()
        seconds = space.free / rate * 3600 if rate else None
        least = self._least_of(space)
        return DiskState(
            free=space.free,
            total=space.total,
            min_free=least,
            low=space.free < least,
            bytes_per_hour=rate,
            hours_left=None if seconds is None or seconds > SECONDS_MAX else round(seconds / 3600, 2),
        )

    def _least_of(self, space: Space) -> int:
        return min(LEAST_BYTES, space.total // LEAST_SHARE) if self._least is None else self._least

    def _bytes_per_hour(self) -> int | None:
        assert self._space is not None
        used = self._space.total - self._space.free
        filling = None if self._filling is None else self._filling.per_second(monotonic(), used, RATE_MIN_S)
        rates = [rate for rate in (None if filling is None else round(filling * 3600), self._appending()) if rate]
        return max(rates, default=None)

    def _warn(self, space: Space, least: int) -> None:
        state = self.state
        left = ""
        if state is not None and state.hours_left is not None:
            left = f"; at the present rate it is full in {span_text(round(state.hours_left * HOUR_NS))}"
        logger.warning(
            "%s: THE DISK IS NEARLY FULL: %s free, less than %s%s. What cannot be written then waits in memory, and is "
            "lost if the recorder ends before there is room",
            self._ledger().location,
            size_text(space.free),
            size_text(least),
            left,
        )
