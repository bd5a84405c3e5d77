"""Bytes that are written but not yet known to be on the disk, and the ways to bring them there.

A sync may be asked for inline, or be left to the flusher's thread. Either way one sync at a time runs, and a caller
that waits for the next finds that it covered all that was written meanwhile: a group commit.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import TypeVar

from ezmsg.ledger.errors import LedgerError, WriteFailed
from ezmsg.ledger.storage.disk import Disk, sync_file, write_all
from ezmsg.ledger.storage.durability import Durability
from ezmsg.ledger.storage.reading.scan import Place

logger = logging.getLogger("ezmsg.ledger")

T = TypeVar("T")

INTERVAL_S = 0.035
"""From the first unsynced write to the sync at level ``interval``: leaves a slow disk 15 of the 50 ms to finish."""

GATHER_S = 0.0002
"""How long the thread waits for company at level ``commit`` when the last sync served more than one append. A write
has to wait for the sync that is under way; without this each sync would serve just the write that came first. Eight
clients get twice to three times as many acknowledgements a second by it; one client alone never waits."""

IDLE_S = 2.0
"""The thread ends when nothing was written for so long, so that a forgotten ledger can be collected."""

UNSYNCED_MAX = 64 * 2**20
"""Bytes kept in memory until synced. Beyond it a writer waits for the disk."""


class Flusher:
    """The durable part of one ledger file and what lies beyond it.

    ``lock`` is the writer's: whatever is marked so needs it held. ``syncing`` is held while a sync runs, and is taken
    before the lock. ``on_death`` is called with the lock held, once, when a sync failed for good.
    """

    def __init__(
        self,
        disk: Disk,
        handle: int,
        path: str,
        lock: threading.Lock,
        level: Durability,
        offset: int,
        seq: int,
        on_death: Callable[[], None],
    ) -> None:
        self.durable = offset
        self.durable_seq = seq
        self.failure: WriteFailed | None = None
        self._disk = disk
        self._handle = handle
        self._path = path
        self._lock = lock
        self._level = level
        self._end = offset
        self._seq = seq
        self._on_death = on_death
        self._pending: deque[tuple[int, bytes]] = deque()
        self._pending_bytes = 0
        self._group = 0  # appends that the last sync served
        self.syncing = threading.Lock()
        self._work = threading.Condition(lock)
        self._advanced = threading.Condition(lock)
        self._hurry = threading.Event()
        self._thread: threading.Thread | None = None
        self._asleep = False
        self._on_durable: list[Callable[[int], object]] = []
        self._on_failure: list[Callable[[LedgerError], object]] = []

    # --- called with the writer's lock held ---

    def wrote(self, data: bytes, offset: int, seq: int) -> None:
        """``data`` was written at ``offset`` and ends with the event ``seq``."""
        self._end = offset + len(data)
        self._seq = seq
        if self._level != "none":
            self._pending.append((offset, data))
            self._pending_bytes += len(data)

    def wake(self) -> None:
        """Leave the sync to the thread."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="ezmsg-ledger-flusher", daemon=True)
            self._thread.start()
        elif self._asleep:
            self._asleep = False
            self._work.notify()

    @property
    def full(self) -> bool:
        """True when so much is unsynced that the writer should sync by itself."""
        return self._pending_bytes > UNSYNCED_MAX

    def check(self, place: Place) -> None:
        """Assert that the unsynced blocks reach from the durable part to ``place`` without a hole."""
        assert (self._end, self._seq) == (place.offset, place.seq), (self._end, self._seq, place)
        assert self.durable <= self._end, (self.durable, self._end)
        assert self._pending_bytes == sum(len(data) for _, data in self._pending)
        if self._level != "none":
            offset = self.durable
            for begin, data in self._pending:
                assert begin == offset, f"unsynced bytes begin at {begin}, the durable part ends at {offset}"
                offset += len(data)
            assert offset == self._end, (offset, self._end)

    def settle(self) -> None:
        """Bring all that was written to the disk, with ``syncing`` held too: nobody appends or syncs meanwhile.

        Raises WriteFailed. Callers that wait are told; the listeners have to be, by ``tell``, when the locks are free.
        """
        if self.failure is not None:
            raise self.died()
        if self.durable >= self._end:
            return
        try:
            sync_file(self._disk, self._handle)
        except OSError as error:
            self._write_again(error)
            if self.failure is not None:
                raise self.died() from error
        else:
            self._advance(self._end, self._seq)

    def go_on(self, handle: int, path: str, offset: int) -> None:
        """Go on in another file, whose first ``offset`` bytes are durable. ``syncing`` is held too."""
        assert not self._pending, f"{self._path}: {self._pending_bytes} bytes are not on the disk"
        self._handle, self._path = handle, path
        self.durable = self._end = offset

    def fail(self, why: str) -> None:
        """From now on nothing can be written: the disk is not to be trusted."""
        self.failure = WriteFailed(why, hint=_DEAD_HINT)
        self._on_death()
        self._advanced.notify_all()

    def _write_again(self, error: OSError) -> None:
        """After a failed sync: write the same bytes again, and sync again; ``failure`` is set when that fails too.

        The system marks the pages of a failed sync clean: neither a second sync nor a read proves anything about them.
        Nobody appends meanwhile, because pages written during the failed sync are in doubt just as well.
        """
        logger.warning("%s: a sync failed (%s); writing %d bytes again", self._path, error, self._pending_bytes)
        try:
            if self._level == "none" and self._end > self.durable:
                raise error
            for offset, data in self._pending:
                write_all(self._disk, self._handle, data, offset)
            sync_file(self._disk, self._handle)
        except OSError as again:
            self.fail(
                f"{self._path}: the disk failed to keep what follows seq {self.durable_seq} "
                f"({again.strerror or again}); nothing more is written"
            )
        else:
            self._advance(self._end, self._seq)

    def _advance(self, offset: int, seq: int) -> None:
        before = len(self._pending)
        while self._pending and self._pending[0][0] < offset:
            self._pending_bytes -= len(self._pending.popleft()[1])
        self._group = before - len(self._pending)
        self.durable, self.durable_seq = offset, seq
        self._advanced.notify_all()

    # --- called without ---

    def sync(self, end: int | None = None) -> None:
        """Return when all that was written up to offset ``end`` (None: so far) is durable.

        Raises WriteFailed when the disk refuses it for good.
        """
        with self.syncing:
            with self._lock:
                if self.failure is not None:
                    raise self.died()
                target, seq = self._end, self._seq
                if self.durable >= (target if end is None else end):
                    return
            try:
                sync_file(self._disk, self._handle)
            except OSError as error:
                seq = self._repair(error)
            else:
                with self._lock:
                    self._advance(target, seq)
            self._tell(self._on_durable, seq)

    def _tell(self, listeners: Sequence[Callable[[T], object]], what: T) -> None:
        for listener in listeners:
            try:
                listener(what)
            except Exception:  # whatever is wrong with a listener, it is neither the disk's fault nor the writer's
                logger.exception("%s: a listener failed when it was told %r", self._path, what)

    def wait(self, seq: int, timeout: float | None) -> bool:
        """True when event ``seq`` is durable, False when it is not after ``timeout`` seconds."""
        with self._lock:
            if self.durable_seq < seq:
                self._hurry.set()
                self.wake()
            done = self._advanced.wait_for(lambda: self.durable_seq >= seq or self.failure is not None, timeout)
            if self.durable_seq < seq and self.failure is not None:
                raise self.died()
            return done

    def on_durable(self, durable: Callable[[int], object], failed: Callable[[LedgerError], object] | None) -> None:
        self._on_durable.append(durable)
        if failed is not None:
            self._on_failure.append(failed)

    def died(self) -> WriteFailed:
        """A fresh error that says why this writer is dead."""
        return WriteFailed(str(self.failure), hint=_DEAD_HINT)

    def close(self) -> None:
        """End the thread."""
        with self._lock:
            thread, self._thread = self._thread, None
            self._hurry.set()
            self._work.notify_all()
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def _repair(self, error: OSError) -> int:
        """Make a failed sync good; returns the seq that is durable then. Raises WriteFailed when that fails."""
        with self._lock:
            self._write_again(error)
            seq = self.durable_seq
        if self.failure is not None:
            self.tell()
            raise self.died() from error
        return seq

    def tell(self) -> None:
        """Tell the listeners how far all is durable, or that no more ever will be."""
        if self.failure is None:
            self._tell(self._on_durable, self.durable_seq)
        else:
            logger.error("%s", self.failure)
            self._tell(self._on_failure, self.failure)

    def _run(self) -> None:
        me = threading.current_thread()
        while True:
            with self._lock:
                while self._thread is me and self.durable >= self._end:
                    self._asleep = True
                    if not self._work.wait(IDLE_S) and self._asleep:
                        self._thread = None
                    self._asleep = False
                if self._thread is not me or self.failure is not None:
                    return
            if self._level != "commit":
                self._hurry.wait(INTERVAL_S)
                self._hurry.clear()
            elif self._group > 1:
                time.sleep(GATHER_S)
            try:
                self.sync()
            except WriteFailed:
                return  # kept in `failure`, logged, and told to everyone who waits


_DEAD_HINT = "Check the disk (its log tells more), then open the ledger again or record to another disk."
