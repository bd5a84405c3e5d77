"""The index keeper: a process that follows a ledger while it is recorded, and keeps its index.

The idea: what makes the first look at a long ledger slow is reading all of it. Read while it comes, by a process that
gives way to all others, it costs a few microseconds per event, and nobody waits for them. The keeper reads the file as
any reader does and writes none but the index, so it can be killed at any moment. Started by ``run`` and ``serve``.
"""

import logging
import sys
import threading
from collections.abc import Sequence

from ezmsg.ledger.errors import LedgerError
from ezmsg.ledger.lock.followed import set_at_end
from ezmsg.ledger.log import Ledger
from ezmsg.ledger.projections.lifetimes import archive
from ezmsg.ledger.projections.lifetimes.archive import Archive
from ezmsg.ledger.reader import LedgerReader

POLL_S = 0.5
"""How often the keeper looks how far the ledger is."""

ROOM_MIN = 2**28
"""Bytes that are left free on the disk: they are for the ledger."""

LEFT_MAX = 1_000_000
"""Events that may be left to read when the recording is over, for the keeper to try: it has two seconds."""


class IndexKeeper:
    """Keeps the index of the ledger at ``location`` until ``stop`` is set.

    Events are folded in steps, so that few are left when the recording ends. The index is written when the archive
    finds that it pays, and at the end; it stays locked in between, and others read it.
    """

    def __init__(self, location: str, stop: threading.Event) -> None:
        self._location = location
        self._stop = stop
        self._archive: Archive | None = None
        self._first = 0
        self._begun = 0
        """The event after which the lifetimes were begun that are kept."""

    def run(self) -> None:
        """Keep it, until the recording is over. Returns when the index has all of it, or cannot have it soon."""
        while not self._stop.wait(POLL_S):
            self._step()
        self._step(over=True)
        self._forget()

    def _step(self, over: bool = False) -> None:
        """Fold what is new, when there is enough of it; take all and save it if the recording is ``over``."""
        try:
            kept = self._opened()
            head = kept.ledger.head
            new = head - kept.seq
            if head < archive.SAVE_EVERY or not self._pays(kept.ledger, head):
                return
            if new >= (1 if over else archive.SAVE_EVERY):
                kept.asked(kept.lifetimes)
            if over:
                kept.save_rest()
        except TooFar:
            return
        except (LedgerError, OSError):  # it was taken away, say; whether it comes back is seen at the next look
            self._forget()

    def _opened(self) -> Archive:
        if self._archive is not None and not self._archive.ledger.in_place:
            self._forget()
        if self._archive is None:
            ledger = Ledger.open(self._location, "r")
            self._archive = Archive(ledger, progress=self._progress, hold=True, room_min=ROOM_MIN)
            self._first, self._begun = ledger.first, 0
        return self._archive

    def _forget(self) -> None:
        if self._archive is not None:
            self._archive.close()
            self._archive.ledger.close()
            self._archive = None

    def _pays(self, ledger: LedgerReader, head: int) -> bool:
        """Whether to go on: when first segments were dropped, all that is left would be read anew. That waits until as
        many events have come."""
        first = ledger.first
        if first != self._first:
            if first < self._begun:
                return False
            self._first, self._begun = first, head
        return True

    def _progress(self, seq: int, head: int) -> None:
        """Leave a long history as it is when the recording is over: what is left to read would delay its end."""
        if self._stop.is_set() and head - seq > LEFT_MAX:
            raise TooFar


class TooFar(Exception):
    """The recording is over, and the keeper has not come near its end."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Keep the index of the ledger that is named, until its recording is over. Returns 0."""
    [location] = sys.argv[1:] if arguments is None else arguments
    logging.getLogger("ezmsg.ledger").setLevel(logging.ERROR)  # that an index was damaged is of no interest to anybody
    stop = threading.Event()
    set_at_end(stop, location)
    IndexKeeper(location, stop).run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
