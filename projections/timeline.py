"""Any past state of a ledger, and what lies between two."""

import time
from collections.abc import Callable
from datetime import tzinfo
from typing import TypeAlias

import msgspec

from ezmsg.ledger.disk import OS_DISK
from ezmsg.ledger.errors import DamagedLedger
from ezmsg.ledger.lock import SUFFIX
from ezmsg.ledger.log import Ledger
from ezmsg.ledger.projections.diff import Diff, diff
from ezmsg.ledger.projections.history import beginning, state_at
from ezmsg.ledger.projections.landmarks import Landmarks
from ezmsg.ledger.projections.moments import Moment, Moments
from ezmsg.ledger.projections.projection import fold
from ezmsg.ledger.projections.state import GraphState
from ezmsg.ledger.structural import Commit

Named: TypeAlias = Moment | str | int
"""A moment, the text that names one, or a seq."""


class Timeline:
    """The history of one ledger: what was so at a moment, and what changed between two.

    Every answer is a replay from the beginning, or from the checkpoint of a segment: O(events), about a second per
    million of them. Nothing is kept but the landmarks. ``zone`` is that of whoever looks (None: the system's): times
    without one are meant there. ``now`` gives ns since the epoch, UTC, while a writer is at work, and None when there
    is none.
    """

    def __init__(
        self, ledger: Ledger, *, zone: tzinfo | None = None, now: Callable[[], int | None] | None = None
    ) -> None:
        self.ledger = ledger
        self.zone = zone
        self._landmarks = Landmarks()
        self._moments = Moments(ledger, self._look, zone, now or (lambda: _now(ledger)))
        self.damage: DamagedLedger | None = None

    @property
    def landmarks(self) -> Landmarks:
        """Runs, sessions and marks as of now; up to the damage, kept as ``damage``, when the ledger is damaged.

        Cost: one pass over the ledger, then over what is new.
        """
        return self._look()

    def _look(self) -> Landmarks:
        if self._landmarks.seq < self.ledger.head and self.damage is None:
            try:
                if not self._landmarks.seq and self.ledger.first > 1:
                    self._landmarks.begin(beginning(self.ledger))
                fold(self.ledger.read(self._landmarks.seq), self._landmarks)
            except DamagedLedger as error:
                self.damage = error
        return self._landmarks

    def moment(self, text: Named, *, clamp: bool = False) -> Moment:
        """The moment that ``text`` names: see docs/cli.md for the forms. A Moment is returned as it is.

        With ``clamp``, a time outside the ledger means its nearer end. Raises UnknownMoment.
        """
        return text if isinstance(text, Moment) else self._moments.resolve(str(text), clamp=clamp)

    def at(self, moment: Named = "end") -> GraphState:
        """The state as it was at ``moment``. Raises UnknownMoment, DamagedLedger. Cost: O(events before it)."""
        return state_at(self.ledger, self.moment(moment).seq)

    def diff(self, a: Named, b: Named) -> Diff:
        """What turns the state at ``a`` into the one at ``b``, whichever came first. Cost: that of two replays."""
        return diff(self.at(a), self.at(b))


def _now(ledger: Ledger) -> int | None:
    return time.time_ns() if has_writer(ledger) else None


def has_writer(ledger: Ledger) -> bool:
    """Whether somebody has this ledger open for writing, here or in another process.

    A sealed ledger has none. Otherwise the locks tell: that of the sidecar, and that of the ledger itself, which stays
    when people delete the sidecar. Each is taken, and given back at once.
    """
    if ledger.location == "memory":
        return True
    last = msgspec.json.decode(ledger.receipt, type=Commit) if ledger.receipt else None
    if last is not None and last.count == 0 and last.synced == last.at:
        return False
    return any(map(_is_locked, (ledger.location + SUFFIX, ledger.tip)))


def _is_locked(path: str) -> bool:
    try:
        handle = OS_DISK.open(path)
    except OSError:  # it is not there, or another user's: nobody that could be known of
        return False
    try:
        free = OS_DISK.lock(handle)
        if free:
            OS_DISK.unlock(handle)
        return not free
    except OSError:  # a file system without locks
        return False
    finally:
        OS_DISK.close(handle)
