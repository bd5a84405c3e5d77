"""The lifetimes of a ledger, from its index when there is one, brought up to date, and kept for the next time."""

import logging
import os
from collections.abc import Callable
from typing import TypeAlias

from ezmsg.ledger.errors import DamagedLedger, EventError, LedgerError
from ezmsg.ledger.log import LedgerReader
from ezmsg.ledger.projections.graph.replay import beginning
from ezmsg.ledger.projections.lifetimes.index import Index, open_index, paths, write_index
from ezmsg.ledger.projections.lifetimes.landmarks import Landmarks
from ezmsg.ledger.projections.lifetimes.lifetimes import Lifetimes
from ezmsg.ledger.storage.disk import OS_DISK, Disk
from ezmsg.ledger.storage.scan import Place

logger = logging.getLogger("ezmsg.ledger")

Progress: TypeAlias = Callable[[int, int], None]
"""Called with (seq, head) while a ledger is read, once per batch."""

SAVE_EVERY = 50_000
"""Events that are not in the index file before it is written anew: to read them takes a blink."""

SAVE_SHARE = 16
"""... and this part of all: a file is written as a whole, so a growing one is written a bounded number of times."""


class Recall:
    """The lifetimes of ``ledger`` as of now. With ``keep`` False, no file beside it is read or written.

    ``error`` is what ended the reading before the ledger's end, None when nothing did. ``path``: the index file in use.
    """

    def __init__(
        self, ledger: LedgerReader, keep: bool, progress: Progress | None = None, disk: Disk = OS_DISK
    ) -> None:
        self._ledger = ledger
        self._keep = keep and ledger.location != "memory"
        self._progress = progress or (lambda seq, head: None)
        self._disk = disk
        self._lifetimes: Lifetimes | None = None
        self._place = Place(0, 0, b"")
        self._first = ledger.first
        self._saved = 0
        self._looked = False
        self.error: LedgerError | None = None
        self.path: str | None = None

    def stored(self) -> Lifetimes | None:
        """The lifetimes that are at hand without reading the ledger, up to whatever seq; None when there are none."""
        if self._lifetimes is not None and not self._stands():
            self.forget()  # the file was cut back or replaced, or its first segments were dropped
        if self._lifetimes is None and self._keep and not self._looked:
            self._looked = True
            self._load()
        return self._lifetimes

    def lifetimes(self) -> Lifetimes:
        """The lifetimes up to the ledger's head, or to what ``error`` says. Cost: one pass over what is new.

        Raises DamagedIndex when the file turns out to be damaged: ``forget``, then ask again; EventError when an event
        contradicts those before it.
        """
        if isinstance(self.error, EventError):
            raise self.error
        found = self.stored()
        if found is None:
            found = self._lifetimes = Lifetimes()
            self._first = self._ledger.first
            if self._first > 1:
                found.start(beginning(self._ledger))
        place = self._ledger.place
        if found.seq < place.seq and self.error is None:
            try:
                for batch in self._ledger.read(found.seq, place.seq):
                    found.apply_batch(batch)
                    self._progress(found.seq, place.seq)
            except DamagedLedger as error:
                self.error = error
            except EventError as error:
                self.error, self._lifetimes = error, None
                raise
            else:
                self._place = place
                self._save(found, place)
        elif self._place.seq == 0:
            self._place = place
        return found

    def landmarks(self, known: Landmarks) -> Landmarks:
        """``known`` or, when the index is further, its landmarks."""
        found = self.stored()
        return found.landmarks if found is not None and found.landmarks.seq > known.seq else known

    def _stands(self) -> bool:
        return self._ledger.first == self._first and self._ledger.holds(self._place)

    def forget(self) -> None:
        """Drop what is known; a file that was found damaged is not looked at again."""
        self._lifetimes = None
        self._place = Place(0, 0, b"")
        self._saved = 0
        self.error = None

    def _load(self) -> None:
        for path in paths(self._ledger.location, self._ledger.id):
            index = open_index(self._disk, path, self._ledger.id)
            if index is None or index.head.first != self._ledger.first or index.head.seq > self._ledger.head:
                continue
            if self._ledger.holds(index.head.place):
                self._use(index)
                return

    def _use(self, index: Index) -> None:
        self._lifetimes = Lifetimes(index.section, index.head.seq)
        self._place, self._first = index.head.place, index.head.first
        self._saved = index.head.seq
        self.path = index.path

    def _save(self, found: Lifetimes, place: Place) -> None:
        new = found.seq - self._saved
        if not self._keep or new < SAVE_EVERY or new * SAVE_SHARE < found.seq:
            return
        sections = found.sections()
        for path in paths(self._ledger.location, self._ledger.id):
            try:
                if os.path.dirname(path) and not self._disk.kind(os.path.dirname(path)):
                    os.makedirs(os.path.dirname(path), mode=0o700)
                write_index(self._disk, path, self._ledger.id, self._first, place, sections)
            except OSError as error:
                logger.info("no index can be kept at %s: %s", path, error)
                continue
            self._saved = found.seq
            index = open_index(self._disk, path, self._ledger.id)
            if index is not None:  # from here on the columns are mapped, and the memory is free
                self._use(index)
            return
