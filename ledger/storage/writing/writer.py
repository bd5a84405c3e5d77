"""The writer of a ledger file: stamps, encodes, hashes and writes whole commits, and takes back what did not fit."""

import atexit
import logging
import os
import threading
import time
import warnings
import weakref
from collections.abc import Callable, Iterable
from typing import NamedTuple

from ezmsg.ledger.errors import Conflict, ForkedWriter, LedgerClosed, LedgerLocked, WriteFailed
from ezmsg.ledger.events import Event
from ezmsg.ledger.lock.lock import WriterLock
from ezmsg.ledger.storage.disk import Disk, write_all
from ezmsg.ledger.storage.durability import Durability
from ezmsg.ledger.storage.reading.scan import Hash, Place, hash_file
from ezmsg.ledger.storage.writing.flusher import Flusher
from ezmsg.ledger.storage.writing.recovery import Opened
from ezmsg.ledger.storage.writing.stamp import encode_late, encode_stamped, stamp
from ezmsg.ledger.structural import encode_commit

logger = logging.getLogger("ezmsg.ledger")

TOUCH_S = 1.0
"""How often the lock file's time is renewed while events come: what is told later as the moment of last life."""


class Begun(NamedTuple):
    """A segment that was just begun, durably: its first ``place``, and the ``hash`` that has seen all before that."""

    path: str
    place: Place
    hash: Hash


class Writer:
    """Appends to one open ledger file. Safe to use from several threads; a forked child can do nothing with it."""

    def __init__(
        self, disk: Disk, lock_file: WriterLock, opened: Opened, durability: Durability, clock: Callable[[], int]
    ) -> None:
        self.path = opened.path
        self.durability = durability
        self.lock_file = lock_file
        self.place = opened.place
        self.began = opened.start  # of this file
        self.earlier = -opened.place.offset  # bytes appended to the files before this one, and what this one had
        self.handle = opened.handle
        self.lock = threading.Lock()
        self.grown = threading.Condition(self.lock)
        self.followers = 0
        self.closed = False
        self._disk = disk
        self._clock = clock
        self._hash = opened.hash
        self._unfinished = False  # bytes of a commit that did not come to its end may stand after the place
        self._touched = 0.0
        self.flusher = Flusher(
            disk, opened.handle, self.path, self.lock, durability, self.place.offset, self.place.seq, self._died
        )
        _open.add(self)

    def append(
        self, events: Iterable[Event], expected_seq: int | None, wait: bool, at: int | None = None
    ) -> list[Event]:
        """See ``Ledger.append``."""
        batch = events if type(events) is list else list(events)
        if self.lock_file.forked:
            raise self._forked()
        flusher = self.flusher
        with self.lock:
            self._check(expected_seq)
            if not batch:
                return []
            stamped = stamp(batch, self.place.seq, self._clock() if at is None else at)
            end = self._commit(encode_stamped(stamped), stamped[-1].seq, len(stamped)).offset
            inline = flusher.full or (wait and self.durability == "commit")
            self._tell(wake=not inline and self.durability != "none")
        if inline:
            flusher.sync(end)
        return stamped

    def append_late(self, events: list[Event]) -> None:
        """See ``Ledger.append_late``."""
        if self.lock_file.forked:
            raise self._forked()
        with self.lock:
            self._check(None)
            if not events:
                return
            end = self._commit(encode_late(events, self.place.seq), events[-1].seq, len(events)).offset
            inline = self.flusher.full
            self._tell(wake=not inline and self.durability != "none")
        if inline:
            self.flusher.sync(end)

    def probe(self, size: int) -> None:
        """Write ``size`` bytes after the end, and take them back. Raises WriteFailed."""
        with self.lock:
            self._put(bytes(size), self.place.offset)
            self._take_back(self.place.offset)

    def rotate(self, begin: Callable[[Place, str], Begun], expected_seq: int | None) -> None:
        """Seal the file, and go on in the one that ``begin`` makes, given its end and the digest of all its bytes.

        When ``begin`` raises OSError, all goes on as before. Raises as ``append`` does.
        """
        if self.lock_file.forked:
            raise self._forked()
        self._seal_early()
        try:
            with self.flusher.syncing:
                with self.lock:
                    self._check(expected_seq)
                    self._seal_now()
                    before = self.handle
                    self._go_on(self._begun(begin))
                    self.lock_file.let_go(before)
                    if self.followers:
                        self.grown.notify_all()
                # What is appended from here on is not called durable before this is done: `syncing` is still held.
                self._keep_name()
        finally:
            self.flusher.tell()

    @property
    def appended(self) -> int:
        """Bytes that this writer has added, in all its files."""
        return self.earlier + self.place.offset

    def _seal_early(self) -> None:
        """Bring it to the disk with a seal, while others still append: if none does, nothing is left to wait for."""
        self.flusher.sync()
        with self.lock:
            self._check(None)
            if not self._sealed():
                self._commit(b"", self.place.seq, 0)
        self.flusher.sync()

    def _seal_now(self) -> None:
        """Bring the file to the disk, its seal too, with both locks held."""
        self.flusher.settle()
        if self._unfinished or not self._sealed():
            self._commit(b"", self.place.seq, 0)
            self.flusher.settle()

    def _begun(self, begin: Callable[[Place, str], Begun]) -> Begun:
        try:
            return begin(self.place, self._hash.hexdigest())
        except OSError as error:
            raise WriteFailed(
                f"{self.path}: no segment could be begun after it ({error.strerror or error}); it goes on"
            ) from error

    def _go_on(self, begun: Begun) -> None:
        """From here on the new segment is the last one, whatever happens: the old one must not grow any more."""
        try:
            handle = self._disk.open(begun.path, write=True)
            self.lock_file.hold(handle)
        except (OSError, LedgerLocked) as error:
            raise self._cannot_go_on(begun.path, error) from error
        self.earlier += self.place.offset - begun.place.offset
        self.path, self.handle, self.place, self._hash = begun.path, handle, begun.place, begun.hash
        self.began, self._unfinished = begun.place, False
        self.flusher.go_on(handle, begun.path, begun.place.offset)

    def _keep_name(self) -> None:
        try:
            self._disk.sync_folder(os.path.dirname(self.path))
        except OSError as error:  # it may vanish, and all that is written to it: nothing can be promised
            with self.lock:
                raise self._cannot_go_on(self.path, error) from error

    def _cannot_go_on(self, path: str, error: OSError | LedgerLocked) -> WriteFailed:
        why = error.strerror if isinstance(error, OSError) else None
        self.flusher.fail(f"{path} was begun and cannot be gone on with ({why or error}): nothing is written")
        return self.flusher.died()

    def _tell(self, *, wake: bool) -> None:
        """Tell the flusher, the followers and the lock file, which says when this writer last lived, of an append."""
        if wake:
            self.flusher.wake()
        if self.followers:
            self.grown.notify_all()
        self._touch()

    def _check(self, expected_seq: int | None) -> None:
        if self.closed:
            raise LedgerClosed(f"{self.path} is closed", hint="Open it again to append.")
        if self.flusher.failure is not None:
            raise self.flusher.died()
        if expected_seq is not None and expected_seq != self.place.seq:
            raise Conflict(f"{self.path} is at seq {self.place.seq}, not at {expected_seq}")

    def _commit(self, data: bytes, upto: int, count: int) -> Place:
        """Write the lines of ``count`` events and their commit line, all or nothing; returns the new end."""
        offset = self.place.offset
        at = offset + len(data)
        digest = self._hash.copy()
        digest.update(data)
        line = encode_commit(upto, count, at, self.flusher.durable, digest.hexdigest())
        digest.update(line)
        block = data + line
        self._put(block, offset)
        self._hash = digest
        self.place = place = Place(at + len(line), upto, line)
        self.flusher.wrote(block, offset, upto)
        self._unfinished = False
        return place

    def lost(self) -> str:
        """The fate of the file under this writer, in words; "" while it is there with all that was written.

        A file that was cut short is written no more: what comes would stand after a hole. Cost: two looks at it.
        """
        with self.lock:
            there = None if self.closed else self._disk.identity_at(self.path)
            if there is None:
                return f"{self.path} is no longer there: it was removed"
            if there != self._disk.identity(self.handle):
                return f"{self.path} was replaced by another file"
            if self.flusher.failure is None and (why := self._cut_short()):
                self.flusher.fail(why)
                return why
        return ""

    def _cut_short(self) -> str:
        """In words, that the file has lost bytes that were written; "" when it has not. With the lock held."""
        size = self._disk.size(self.handle)
        if size >= self.place.offset:
            return ""
        return f"{self.path} was cut short: it ends at offset {size}, but {self.place.offset} bytes had been written"

    def _put(self, block: bytes, offset: int) -> None:
        try:
            if why := self._cut_short():
                self.flusher.fail(why)
                raise self.flusher.died()
            if self._unfinished:
                self._cut(offset)
            self._unfinished = True
            write_all(self._disk, self.handle, block, offset)
        except OSError as error:
            self._take_back(offset)
            raise WriteFailed(
                f"{self.path}: {len(block)} bytes after seq {self.place.seq} (offset {offset}) could not be written: "
                f"{error.strerror or error}"
            ) from error
        except BaseException:  # a signal's handler raised: half a commit must not stay either
            self._take_back(offset)
            raise

    def _take_back(self, offset: int) -> None:
        try:
            self._cut(offset)
        except OSError as error:  # the next append tries again; readers do not show it, recovery would cut it
            logger.warning("%s: an unfinished commit at offset %d could not be cut: %s", self.path, offset, error)

    def _cut(self, offset: int) -> None:
        if self._disk.size(self.handle) > offset:  # never longer than it is: of a hole nobody could tell what was there
            self._disk.truncate(self.handle, offset)
        self._unfinished = False

    def _touch(self) -> None:
        now = time.monotonic()
        if now - self._touched >= TOUCH_S:
            self._touched = now
            try:
                self.lock_file.touch()
            except OSError as error:
                logger.warning("%s: its time cannot be renewed: %s", self.lock_file.lock_path, error)

    def _died(self) -> None:
        """The flusher's last word, with the lock held. At level commit nothing beyond the durable part was promised."""
        if self.durability == "commit":
            self._take_back(self.flusher.durable)
            self.place = Place(self.flusher.durable, self.flusher.durable_seq, b"")
        self.grown.notify_all()

    def _forked(self) -> ForkedWriter:
        return ForkedWriter(f"{self.path} is written by the process that this one was forked from")

    def check_usable(self) -> None:
        """Raise ForkedWriter in a forked child, LedgerClosed after ``close``."""
        if self.lock_file.forked:
            raise self._forked()
        if self.closed:
            raise LedgerClosed(f"{self.path} is closed", hint="Open it again.")

    def waiter(self, poll: float) -> Callable[[Place], None]:
        """A function that returns when something was appended after the place it is given, or after ``poll`` s."""
        tried: Place | None = None

        def wait(place: Place) -> None:
            nonlocal tried
            if self.lock_file.forked:
                raise self._forked()
            with self.lock:
                self.followers += 1
                # `tried`: should the file not show what was written, do not spin on it
                self.grown.wait_for(lambda: self.place not in (place, tried) or self.closed, poll)
                self.followers -= 1
                tried = self.place

        return wait

    def check(self) -> None:
        """Assert that hash, place and durable part agree with the file."""
        with self.lock:
            if self.closed or self.lock_file.forked or self.flusher.failure is not None:
                return
            place, digest = self.place, self._hash.hexdigest()
            self.flusher.check(place)
        found = hash_file(self._disk, self.handle, place.offset).hexdigest()
        assert found == digest, f"the file up to offset {place.offset} has the hash {found}, not {digest}"

    def close(self) -> None:
        """Sync, seal, and let others write. Raises WriteFailed when that fails; the file is released all the same."""
        if self.lock_file.forked:
            self.closed = True
            return
        with self.lock:
            if self.closed:
                return
            self.closed = True
            self.grown.notify_all()
        _open.discard(self)
        self.flusher.close()
        try:
            if self.flusher.failure is None:
                self.flusher.sync()
                self._seal()
        finally:
            self.lock_file.release()

    def _seal(self) -> None:
        try:
            with self.lock:
                if not self._sealed():
                    self._commit(b"", self.place.seq, 0)
                self._touched = 0.0
                self._touch()
        except WriteFailed as error:  # all events are on the disk; the next writer will look for a tail, and find none
            logger.warning("%s; it is closed without a seal", error)
        else:
            self.flusher.sync()

    def _sealed(self) -> bool:
        commit = self.place.commit
        return commit is not None and commit.seals

    def __del__(self) -> None:
        if not getattr(self, "closed", True) and not self.lock_file.forked:
            warnings.warn(f"{self.path} was never closed", ResourceWarning, stacklevel=2, source=self)
            self.lock_file.release()


_open: "weakref.WeakSet[Writer]" = weakref.WeakSet()


@atexit.register
def _close_all() -> None:
    """A program that ends without closing its ledgers has them synced and sealed all the same."""
    for writer in list(_open):
        try:
            writer.close()
        except WriteFailed as error:
            logger.error("%s", error)
