"""The spool before a ledger: when the ledger cannot be written, the pipeline goes on and its events wait here."""

import logging
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import NamedTuple

import msgspec

from ezmsg.ledger import codec
from ezmsg.ledger import events as ev
from ezmsg.ledger.errors import LedgerError, LogError, WriteFailed
from ezmsg.ledger.events import AnyEvent
from ezmsg.ledger.lock.holder import Unwritten
from ezmsg.ledger.log import Ledger
from ezmsg.ledger.storage.reading.reader import clip
from ezmsg.ledger.storage.writing.stamp import encode_stamped, stamp

logger = logging.getLogger("ezmsg.ledger")

QUEUE_MAX = 64 * 2**20
"""Bytes of events that wait for a disk: hours of ordinary life, and no burden for the server."""

RETRY_S = 0.5
"""Time between two attempts to write. A full disk is freed by people, so there is no hurry."""

RETRY_SHARE = 20
"""An attempt in vain that took long (a long ledger was replayed, or hashed) is followed by a pause of so many times as
long: the server has better things to do."""


class Degraded(msgspec.Struct, frozen=True):
    """The reason why nothing is written, and since when. ``waiting``: events in memory; ``lost``: some no longer are.

    ``noted``: if the process ends now, the next one will know from the lock file which seqs were lost.
    """

    since: int
    error: str
    waiting: int
    lost: bool
    noted: bool


class _Batch(NamedTuple):
    """The events of one append that may still have to be written. ``size``: bytes of their lines, counted while they
    wait; 0 for what was written and is kept for fear of a failing sync. ``since``: by a monotonic clock (ns)."""

    events: list[ev.Event]
    size: int
    since: int


class Spool:
    """Appends to a ledger and, if ``keep_going``, never fails for the disk's sake.

    While the ledger cannot be written, events are numbered as ever and kept. ``resume`` writes them when that works
    again, unchanged; what had to be dropped, or was gone when the ledger was opened anew, it reports as missing.
    ``wait``: whether an append at level ``commit`` returns only when it is on the disk.
    """

    def __init__(self, ledger: Ledger, *, wait: bool, keep_going: bool) -> None:
        self.ledger = ledger
        self.head = ledger.head
        self.late = 0
        self._wait = wait
        self._keep_going = keep_going
        self._keeps = keep_going and ledger.durability != "none"
        self._held: list[ev.Event] = []  # numbered and checked, to be written as one commit
        self._kept: deque[_Batch] = deque()  # not known to be durable, oldest first
        self._bytes = 0
        self._since = 0
        self._error: LedgerError | None = None
        self._dropped = False
        self._broken = False  # this ledger object can write no more: it is to be opened anew
        self._room = 1  # bytes, at least, that there must be for an attempt to make sense
        self._tried = 0.0  # when the last attempt began
        self._pause = 0.0  # from its end, or from the failure, to the next one
        self._mono = ledger.clock.mono
        self._callbacks: tuple[Callable[[int], None], Callable[[LedgerError], None]] | None = None
        self._noted: Unwritten | None = None
        self.noted = True
        """Whether the lock file tells what would be lost if this process ended now: see ``Ledger.note``."""

    def on_durable(self, durable: Callable[[int], None], failed: Callable[[LedgerError], None]) -> None:
        """See ``Ledger.on_durable``; holds for the ledger that ``resume`` may open as well."""
        self._callbacks = (durable, failed)
        self.ledger.on_durable(durable, failed)

    @property
    def next_seq(self) -> int:
        """The seq that the next event will get."""
        return self.head + 1

    @property
    def degraded(self) -> Degraded | None:
        """The reason why nothing is written at the moment; None when all is well."""
        if self._error is None:
            return None
        written = 0 if self._broken else self.ledger.head  # kept for fear of a sync that fails, but in the file
        waiting = sum(len(batch.events) for batch in self._kept if batch.events[-1].seq > written)
        return Degraded(self._since, str(self._error), waiting, self._dropped, self.noted)

    @property
    def trouble(self) -> tuple[int, str] | None:
        """The time (ns) since when nothing is written, and why; None when all is well. It costs nothing."""
        return None if self._error is None else (self._since, str(self._error))

    def note(self, unwritten: Unwritten) -> None:
        """Leave word of what is not written, for the next writer; said once, loudly, where that cannot be done."""
        if unwritten == self._noted:
            return
        try:
            self.ledger.note(unwritten)
        except (OSError, LedgerError) as error:
            self._noted = None
            if self.noted:
                logger.error(
                    "%s: its lock file cannot be written either (%s): if this process ends before writing works again, "
                    "NOBODY WILL KNOW what is lost",
                    self.ledger.location,
                    error,
                )
            self.noted = False
        else:
            self._noted = unwritten
            self.noted = True

    @property
    def held(self) -> int:
        """Events that are numbered and checked, and written by the next ``settle``."""
        return len(self._held)

    def append(self, events: list[ev.Event], time: int | None = None, *, hold: bool = False) -> list[ev.Event]:
        """Stamped copies of ``events``, stored or waiting. Raises InvalidEvent; WriteFailed unless it keeps going.

        ``time``: see ``Ledger.append``. With ``hold`` they are written by the next ``settle``, in one commit with all
        that is held by then: nobody may be told of them before that. Without, what is held is written first.
        """
        if hold and self._keep_going and self._error is None:
            stored = stamp(events, self.head, self.ledger.clock.real() if time is None else time)
            encode_stamped(stored)  # checked here, where whoever sent it can be told
            self.head = stored[-1].seq
            self._held += stored
            return stored
        self.settle()
        if self._error is None:
            try:
                stored = self.ledger.append(events, wait=self._wait, time=time)
            except WriteFailed as error:
                if not self._keep_going:
                    raise
                self.give_up(error)
            else:
                self.head = stored[-1].seq
                if self._keeps:
                    self._keep(stored)
                return stored
        stored = stamp(events, self.head, self.ledger.clock.real() if time is None else time)
        size = len(encode_stamped(stored))  # checked as a stored one is: one that cannot be stored would block the rest
        self.head = stored[-1].seq
        self._queue(stored, size)
        return stored

    def settle(self) -> None:
        """Write what is held, as one commit; where that fails it waits, as all that cannot be written. Cost: a write.

        Nothing of it was told to anybody yet, so it is there as a whole after a crash, or not at all.
        """
        if not self._held:
            return
        held = self._held
        try:
            self.ledger.append_late(held)
        except WriteFailed as error:
            self._held = []
            self.give_up(error)
            self._queue(held, len(codec.encode(held)))
        else:
            self._held = []
            if self._keeps:
                self._keep(held)

    def _queue(self, stored: list[ev.Event], size: int) -> None:
        """Keep what could not be written; ``size``: bytes of its lines."""
        self._kept.append(_Batch(stored, size, self._mono()))
        self._bytes += size
        if self._bytes > QUEUE_MAX:
            self._drop()

    def lag(self) -> int | None:
        """For how long (ns) the oldest event that is not known to be on the disk has waited for it.

        0 when all are; None at level ``none``, where the disk is not asked.
        """
        if not self._keeps:
            return None
        durable = self.ledger.durable_seq if self._error is None else self.ledger.head
        waiting = next((batch.since for batch in self._kept if batch.events[-1].seq > durable), None)
        return 0 if waiting is None else self._mono() - waiting

    def read(self, after: int = 0) -> Iterator[list[AnyEvent]]:
        """The events after a seq, as of now: those of the ledger, then those that wait for it. See ``Ledger.read``.

        Raises LedgerError for events in a ledger that cannot be read, or opened anew, at the moment: see ``resume``.
        """
        self.settle()
        if not (self._kept and self._kept[0].events[0].seq <= after + 1):
            for batch in self.ledger.read(after):
                after = batch[-1].seq
                yield batch
        for waiting, _, _ in list(self._kept):  # some are in the ledger as well, since the pass over it began
            if waiting[0].seq <= after + 1 <= waiting[-1].seq:
                yield clip(waiting, after, None)  # type: ignore[arg-type]
                after = waiting[-1].seq

    def _keep(self, stored: list[ev.Event]) -> None:
        """Keep what a failed sync could still take back: a few batches at most, until the flusher has been there."""
        durable = self.ledger.durable_seq
        self._forget(durable)
        self._kept.append(_Batch(stored, 0, self._mono()))

    def _forget(self, seq: int) -> None:
        """Keep nothing up to ``seq``: it is in the ledger."""
        while self._kept and self._kept[0].events[-1].seq <= seq:
            self._bytes -= self._kept.popleft().size

    def _drop(self) -> None:
        if not self._dropped:
            logger.error("%s: %d bytes of events wait; events are LOST from here on", self.ledger.location, QUEUE_MAX)
        self._kept.clear()
        self._bytes = 0
        self._dropped = True

    def give_up(self, error: LedgerError) -> None:
        """Stop writing for now; said once, loudly."""
        self._error = error
        self._broken = bool(self.ledger.loss) or self.ledger.failure is not None
        self._since = self.ledger.clock.real()
        self._room = 1
        self._tried = time.monotonic()
        self._pause = RETRY_S
        logger.error(
            "CANNOT RECORD: %s. The pipeline goes on; its events wait in memory (up to %d MiB) until writing works.",
            error,
            QUEUE_MAX // 2**20,
        )

    def look(self) -> None:
        """Notice what no append would: a sync that failed in the background, a file that was removed or replaced."""
        if self._error is not None or not self._keep_going:
            return
        failure = self.ledger.failure
        if failure is not None:
            self.give_up(failure)
        elif loss := self.ledger.loss:
            self.give_up(LogError(loss))

    def resume(self, *, at_once: bool = False) -> bool:
        """Try to write again, at most every RETRY_S unless ``at_once``; whether the ledger can be written now.

        Then all that waited and follows what the ledger has is in it; ``missing`` says what is not.
        """
        now = time.monotonic()
        if self._error is None or not (at_once or now - self._tried >= self._pause):
            return False
        self._tried = now
        try:
            self.ledger.probe(self._room)
            if self._broken:
                self._reopen()
            self._forget(self.ledger.head)
            while self._kept and self._kept[0].events[0].seq == self.ledger.next_seq:
                late = self._kept[0].events
                self.ledger.append_late(late)
                self.late += len(late)
                self._forget(late[-1].seq)
        except (LedgerError, OSError) as error:
            self.in_vain(error, self._room)
            return False
        return True

    def in_vain(self, error: Exception, room: int) -> None:
        """The attempt came to nothing: the next one waits, and then looks first whether there are ``room`` bytes."""
        logger.debug("%s: still not: %s", self.ledger.location, error)
        self._room = room
        ended = time.monotonic()
        self._pause = max(RETRY_S, RETRY_SHARE * (ended - self._tried))
        self._tried = ended

    def _reopen(self) -> None:
        self.ledger = self.ledger.reopen()
        self._broken = False
        if self._callbacks is not None:
            self.ledger.on_durable(*self._callbacks)

    @property
    def missing(self) -> tuple[int, int] | None:
        """The first and last seq that were given out and are not in the ledger; None when none is missing."""
        return None if self.ledger.head >= self.head else (self.ledger.head + 1, self.head)

    def resumed(self, lost: int) -> None:
        """End the trouble: what was missing has been made up for."""
        logger.error("%s: recording again; %d events written late, %d lost", self.ledger.location, self.late, lost)
        self._error = None
        self._noted = None
        self.noted = True
        try:
            self.ledger.note(None)
        except (OSError, LedgerError) as error:  # the next writer will find that nothing of it is missing
            logger.warning("%s: %s", self.ledger.location, error)
        self._kept.clear()
        self._bytes = 0
        self.late = 0
        self._dropped = False
        self.head = self.ledger.head
