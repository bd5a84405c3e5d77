"""The archive of one ledger: its lifetimes, its landmarks, and any of its states.

The index file is read when there is one, brought up to date, and kept for the next time.
"""

import logging
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from ezmsg.ledger.errors import DamagedLedger, EventError, LedgerError
from ezmsg.ledger.projections.graph.replay import beginning, state_at
from ezmsg.ledger.projections.graph.state import GraphState
from ezmsg.ledger.projections.lifetimes.builder import CHECK_EVERY
from ezmsg.ledger.projections.lifetimes.index import DamagedIndex, Index, open_index, paths
from ezmsg.ledger.projections.lifetimes.landmarks import Landmarks
from ezmsg.ledger.projections.lifetimes.lifetimes import Lifetimes
from ezmsg.ledger.projections.lifetimes.session_lives import SessionLives
from ezmsg.ledger.projections.projection import fold
from ezmsg.ledger.reader import LedgerReader
from ezmsg.ledger.storage.disk import OS_DISK, Disk
from ezmsg.ledger.storage.reading.scan import Place

if TYPE_CHECKING:
    from ezmsg.ledger.projections.lifetimes.index_file import IndexFile  # of which readers have no need

logger = logging.getLogger("ezmsg.ledger")

T = TypeVar("T")

Progress: TypeAlias = Callable[[int, int], None]
"""Called with (seq, head) while a ledger is read, once per batch."""

SAVE_EVERY = 50_000
"""Events that may be missing in the index file before they are added to it: to read them takes a blink."""

SAVE_SHARE = 32
"""Events in all for each of those: some parts are written as a whole each time, so O(log n) times is often enough."""

STEP = 2**19
"""Events that are read before what they make is added to the index file, and the memory that it takes is given back:
some 50 MB of it. So a long ledger that has no index takes no more memory than a short one."""

WASTE_SHARE = 1.0
"""The bytes that nothing refers to, for each that something does, at which a file is written anew."""

WASTE_MIN = 2**24
"""Bytes of that which are let be in any case."""


class Archive:
    """The lifetimes, landmarks and states of ``ledger`` as of now. With ``keep`` False, no file beside it is used.

    ``progress`` is called with (seq, head) while the ledger is read. ``damage`` is where looking for landmarks met the
    damage of a ledger; None before.

    ``hold``: the index file stays locked between two times that something is added to it, until ``close``;
    ``room_min``: it is not added to when fewer bytes would be free on the disk.
    """

    def __init__(
        self,
        ledger: LedgerReader,
        keep: bool = True,
        progress: Progress | None = None,
        disk: Disk = OS_DISK,
        hold: bool = False,
        room_min: int = 0,
    ) -> None:
        self.ledger = ledger
        self.damage: DamagedLedger | None = None
        self._keep = keep and ledger.location != "memory"
        self._progress = progress or (lambda seq, head: None)
        self._disk = disk
        self._held = hold
        self._room_min = room_min
        self._landmarks = Landmarks()
        self._lifetimes: Lifetimes | None = None
        self._place = Place(0, 0, b"")
        self._first = ledger.first
        self._index: Index | None = None  # the file that columns are mapped from
        self._file: IndexFile | None = None  # the same, while this process writes it
        self._looked = False
        self._error: LedgerError | None = None  # what ended the reading of lifetimes before the ledger's end

    # --- what it gives -----------------------------------------------------------------------------------------------

    @property
    def landmarks(self) -> Landmarks:
        """Runs, sessions and marks as of now; up to the damage, which is kept, when the ledger is damaged.

        Cost: those of the index, then one pass over what is new.
        """
        if self._landmarks.seq < self.ledger.head and self.damage is None:
            known = self._landmarks = self.asked(self._landmarks_at_hand)
            try:
                if not known.seq and self.ledger.first > 1:
                    known.begin(beginning(self.ledger))
                fold(self.ledger.read(known.seq), known)
            except DamagedLedger as error:
                self.damage = error
        return self._landmarks

    @property
    def session_lives(self) -> SessionLives:
        """All sessions and runs as of now; up to the damage, which is kept, when the ledger is damaged.

        Cost: those of the index, then one pass over what is new.
        """
        known = self.asked(self._session_lives_at_hand)
        try:
            if not known.seq:
                known.begin(beginning(self.ledger))
            fold(self.ledger.read(known.seq), known)
        except DamagedLedger as error:
            self.damage = error
        return known

    def state_at(self, seq: int) -> GraphState:
        """The state after event ``seq``. Cost: a checkpoint, and the events since; without an index one pass."""
        if seq >= CHECK_EVERY:
            try:
                start = self.asked(lambda: self.lifetimes().checkpoint_before(seq))
                return fold(self.ledger.read(start.seq, seq), start)
            except EventError:  # something later contradicts: what came before can be replayed all the same
                pass
        return state_at(self.ledger, seq)

    def asked(self, question: Callable[[], T]) -> T:
        """The answer to ``question``, which is asked again without the index when that turns out to be damaged."""
        try:
            return question()
        except DamagedIndex as error:
            logger.warning("%s. It is made anew.", error)
            self.forget()
            return question()

    def lifetimes(self) -> Lifetimes:
        """The lifetimes up to the ledger's head, or to its damage. Cost: one pass over what is new.

        Raises DamagedIndex when the file turns out to be damaged (see ``asked``), EventError when an event contradicts
        those before it.
        """
        if isinstance(self._error, EventError):
            raise self._error
        found = self._stored()
        if found is None:
            found = self._lifetimes = Lifetimes()
            self._first = self.ledger.first
            if self._first > 1:
                found.start(beginning(self.ledger))
        end = self.ledger.place
        if found.seq < end.seq and self._error is None:
            try:
                self._read_up_to(found, end)
            except DamagedLedger as error:
                self._error = error
            except EventError as error:
                self._error, self._lifetimes = error, None
                raise
        elif self._place.seq == 0:
            self._place = end
        return found

    def _read_up_to(self, found: Lifetimes, end: Place) -> None:
        """Add what the ledger has up to ``end``, in steps, after each of which it is in the index file."""
        held, self._held = self._held, True  # else another process could begin one of its own in between
        begun = found.seq
        try:
            while found.seq < end.seq:
                place = end
                if self._keep and end.seq - found.seq > STEP * 3 // 2:
                    place = self.ledger.place_before(found.seq + STEP)
                    place = place if place.seq > found.seq else end
                for batch in self.ledger.read(found.seq, place.seq):
                    found.apply_batch(batch)
                    self._progress(found.seq, end.seq)
                self._place = place
                if place is not end or found.seq - begun > STEP * 3 // 2:
                    self._write(found, place, sync=place is end)
                else:
                    self._save(found, place)
        finally:
            self._held = held
            if not held:
                self.close()

    @property
    def seq(self) -> int:
        """The event up to which lifetimes are at hand without reading the ledger. Cost: that of opening an index."""
        found = self._stored()
        return 0 if found is None else found.seq

    def forget(self) -> None:
        """Drop the lifetimes. An index file that was found damaged is not looked at again."""
        self.close()
        self._lifetimes = None
        self._index = None
        self._place = Place(0, 0, b"")
        self._error = None

    def close(self) -> None:
        """Let the index file go, which others may write then. Answers can still be asked for."""
        if self._file is not None:
            self._file.close()
            self._file = None

    # --- the index ---------------------------------------------------------------------------------------------------

    def _stored(self) -> Lifetimes | None:
        """The lifetimes that are at hand without reading the ledger, up to whatever seq; None when there are none."""
        if self._lifetimes is not None and not self._stands():
            self.forget()  # the file was cut back or replaced, or its first segments were dropped
        if self._lifetimes is None and self._keep and not self._looked:
            self._looked = True
            self._load()
        return self._lifetimes

    def _landmarks_at_hand(self) -> Landmarks:
        """The landmarks that need no reading; a copy of those of the lifetimes, where each is to grow on by itself."""
        found = self._stored()
        if self._keep and self.ledger.head - (0 if found is None else found.seq) >= SAVE_EVERY:
            try:  # what is read for landmarks alone would be read again for the index
                found = self.lifetimes()
            except EventError:  # something contradicts: landmarks are there all the same
                found = None
        if found is None or found.seq < self._landmarks.seq:
            return self._landmarks
        return found.landmarks if found.seq >= self.ledger.head else found.landmarks.copy()

    def _session_lives_at_hand(self) -> SessionLives:
        found = self._stored()
        return SessionLives() if found is None else found.session_lives()

    def _stands(self) -> bool:
        return self.ledger.first == self._first and self.ledger.holds(self._place)

    def _load(self) -> None:
        for path in paths(self.ledger.location, self.ledger.id):
            index = open_index(self._disk, path, self.ledger.id)
            if index is None or index.head.first != self.ledger.first or index.head.seq > self.ledger.head:
                continue
            if self.ledger.holds(index.head.place):
                self._use(index)
                return

    def _use(self, index: Index) -> None:
        self._lifetimes = Lifetimes(index.column, index.head.seq)
        self._place, self._first = index.head.place, index.head.first
        self._index = index

    def _save(self, found: Lifetimes, place: Place) -> None:
        new = found.seq - (0 if self._index is None else self._index.head.seq)
        if new >= SAVE_EVERY and new * SAVE_SHARE >= found.seq:
            self._write(found, place)

    def save_rest(self) -> None:
        """Add to the index whatever is not in it yet, however little. Cost: O(what is new), where there is an index."""
        found = self._lifetimes
        if found is None or found.seq != self._place.seq or found.seq < SAVE_EVERY:
            return
        if self._index is None or self._index.head.seq < found.seq:
            self._write(found, self._place, quickly=True)

    def _write(self, found: Lifetimes, place: Place, quickly: bool = False, sync: bool = False) -> None:
        """Add what is new to the file that the lifetimes came from; where that is gone, or half of it is out of date
        and there is time, or none was written yet, make one. Nothing is done while another process writes it."""
        if not self._keep:
            return
        from ezmsg.ledger.projections.lifetimes.index_file import is_written

        for path in paths(self.ledger.location, self.ledger.id):
            try:
                folder = os.path.dirname(path)
                if folder and not self._disk.kind(folder):
                    os.makedirs(folder, mode=0o700)
                if self._room_min and self._disk.space(folder or os.curdir).free < self._room_min:
                    return
                if self._index is not None and self._index.path == path and self._hold():
                    self._add(found, place, quickly)
                elif is_written(self._disk, path):
                    return
                else:
                    self._make(path, found, place)
                if sync and self._file is not None:
                    self._file.sync()
            except OSError as error:
                logger.info("no index can be kept at %s: %s", path, error)
                continue
            finally:
                if not self._held:
                    self.close()
            return

    def _add(self, found: Lifetimes, place: Place, quickly: bool) -> None:
        assert self._index is not None
        assert self._file is not None
        if not quickly and self._file.waste >= max(WASTE_MIN, self._index.head.live * WASTE_SHARE):
            self._make(self._index.path, found, place)
            return
        self._file.add(self._first, place, found.sections())
        self._index = self._file.index

    def _make(self, path: str, found: Lifetimes, place: Place) -> None:
        from ezmsg.ledger.projections.lifetimes.index_file import IndexFile

        made = IndexFile.make(self._disk, path, self.ledger.id, self._first, place, found.sections(), self._index)
        self.close()
        self._file, self._index = made, made.index

    def _hold(self) -> bool:
        """Whether the file that the lifetimes came from is still there, and this process writes it."""
        from ezmsg.ledger.projections.lifetimes.index_file import IndexFile

        assert self._index is not None
        if self._file is None:
            try:
                self._file = IndexFile.take(self._disk, self._index)
            except FileNotFoundError:
                return False
        if self._file is not None and not self._file.in_place:
            self.close()
        return self._file is not None
