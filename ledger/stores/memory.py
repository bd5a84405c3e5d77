"""A ledger that lives in memory: a file's behaviour, hashes and receipts, without the file."""

import os
import threading
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from hashlib import sha256

from ezmsg.ledger import codec
from ezmsg.ledger.clock import Clock
from ezmsg.ledger.errors import Conflict, ForkedWriter, LedgerClosed, LedgerError
from ezmsg.ledger.events import AnyEvent, Event
from ezmsg.ledger.log import Ledger
from ezmsg.ledger.reader import POLL_S
from ezmsg.ledger.storage.header import first_bytes, new_header
from ezmsg.ledger.storage.reading.reader import Stop, clip, is_set
from ezmsg.ledger.storage.reading.scan import Hash, Place
from ezmsg.ledger.storage.reading.verify import Verification, verify_bytes
from ezmsg.ledger.storage.writing.stamp import encode_late, encode_stamped, stamp
from ezmsg.ledger.structural import encode_commit

BATCH = 1024
"""Events per batch, at least, where there are as many: about what a piece of a file holds."""


class MemoryLedger(Ledger):
    """Events in a list.

    What a file would hold is encoded and hashed, so that nothing is accepted that a file would refuse, and a receipt
    means the same.
    """

    location = "memory"
    durability = "none"
    failure = None
    tail_bytes = 0

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.header = new_header(clock.real())
        self._first = first_bytes(self.header)
        self._place = Place(len(self._first), 0, self._first[self._first.index(b"\n") + 1 :])
        self._hash: Hash = sha256(self._first)
        self.clock = clock
        self._pid = os.getpid()
        self._events: list[AnyEvent] = []
        self._ends = array("q")  # of each commit: how many events there were after it
        self._lock = threading.Lock()
        self._grown = threading.Condition(self._lock)
        self._followers = 0
        self._closed = False
        self._callbacks: list[Callable[[int], object]] = []

    # --- write ---

    def append(
        self, events: Iterable[Event], expected_seq: int | None = None, wait: bool = True, time: int | None = None
    ) -> list[Event]:
        batch = events if type(events) is list else list(events)
        self._refuse_fork()
        with self._lock:
            self._check_open()
            if expected_seq is not None and expected_seq != self._place.seq:
                raise Conflict(f"the ledger in memory is at seq {self._place.seq}, not at {expected_seq}")
            if not batch:
                return []
            stamped = stamp(batch, self._place.seq, self.clock.real() if time is None else time)
            self._store(encode_stamped(stamped), stamped)
        return stamped

    def append_late(self, events: list[Event]) -> None:
        self._refuse_fork()
        with self._lock:
            self._check_open()
            if events:
                self._store(encode_late(events, self._place.seq), events)

    def _refuse_fork(self) -> None:
        if os.getpid() != self._pid:
            raise ForkedWriter("a ledger in memory is not shared with the process that this one was forked from")

    def _check_open(self) -> None:
        if self._closed:
            raise LedgerClosed("the ledger in memory is closed", hint="Make a new one.")

    def _store(self, data: bytes, events: list[Event]) -> None:
        self._place, self._hash = self._next(self._place, self._hash, data, events)
        self._events += events
        self._ends.append(len(self._events))
        if self._followers:
            self._grown.notify_all()
        for callback in self._callbacks:
            callback(self._place.seq)

    @staticmethod
    def _next(place: Place, digest: Hash, data: bytes, events: Sequence[AnyEvent]) -> tuple[Place, Hash]:
        ahead = digest.copy()
        ahead.update(data)
        at = place.offset + len(data)
        line = encode_commit(events[-1].seq, len(events), at, 0, ahead.hexdigest())
        ahead.update(line)
        return Place(at + len(line), events[-1].seq, line), ahead

    @property
    def grown(self) -> int:
        return self._place.offset - len(self._first)

    @property
    def appended(self) -> int:
        return self.grown

    def probe(self, size: int) -> None:
        """Do nothing: no look is cheaper than the append itself."""

    def reopen(self) -> Ledger:
        """The ledger itself: memory neither breaks nor goes away."""
        return self

    in_place = True
    loss = ""

    def sync(self) -> None:
        """Do nothing: memory has no disk."""

    def wait_durable(self, seq: int, timeout: float | None = None) -> bool:
        with self._lock:
            self._followers += 1
            done = self._grown.wait_for(lambda: self._place.seq >= seq or self._closed, timeout)
            self._followers -= 1
            return done and self._place.seq >= seq

    def on_durable(
        self, durable: Callable[[int], object], failed: Callable[[LedgerError], object] | None = None
    ) -> None:
        self._callbacks.append(durable)

    @property
    def durable_seq(self) -> int:
        return self._place.seq

    def touch(self) -> None:
        """Do nothing: a ledger in memory has no next writer."""

    # --- read ---

    def read(self, after: int = 0, until: int | None = None) -> Iterator[list[AnyEvent]]:
        if self._closed:
            raise LedgerClosed("the ledger in memory is closed", hint="Read before closing it.")
        return self._batches(after, until, len(self._ends))

    def _batches(self, after: int, until: int | None, commits: int) -> Iterator[list[AnyEvent]]:
        begin = self._index_behind(after)
        end = self._ends[commits - 1] if commits else 0
        while begin < end:
            stop = self._ends[min(bisect_right(self._ends, begin + BATCH - 1), commits - 1)]
            batch = clip(self._events[begin:stop], after, until)
            if batch:
                yield batch
            if until is not None and self._events[stop - 1].seq >= until:
                return
            begin = stop

    def _index_behind(self, seq: int) -> int:
        return bisect_right(self._events, seq, key=lambda event: event.seq) if seq > 0 else 0

    def tail(self, after: int = 0, poll: float = POLL_S, stop: Stop = None) -> Iterator[list[AnyEvent]]:
        seen = 0
        while not is_set(stop):
            closed, commits = self._closed, len(self._ends)
            if commits > seen:
                for batch in self._batches(after, None, commits):
                    after = batch[-1].seq
                    yield batch
                    if is_set(stop):
                        return
                seen = commits
            elif closed:
                return
            else:
                self._wait_grown(commits, poll)

    def _wait_grown(self, commits: int, poll: float) -> None:
        with self._lock:
            self._followers += 1
            self._grown.wait_for(lambda: len(self._ends) > commits or self._closed, poll)
            self._followers -= 1

    @property
    def place(self) -> Place:
        return self._place

    def holds(self, place: Place) -> bool:
        return True

    @property
    def being_written(self) -> bool:
        return not self._closed

    def verify(self) -> Verification:
        with self._lock:
            return verify_bytes(self._bytes(), self.location)

    def _bytes(self) -> bytes:
        """The bytes that a file would hold."""
        place = Place(len(self._first), 0, b"")
        digest: Hash = sha256(self._first)
        parts, begin = [self._first], 0
        for end in self._ends:
            events = self._events[begin:end]
            parts.append(codec.encode(events))
            place, digest = self._next(place, digest, parts[-1], events)
            parts.append(place.line)
            begin = end
        return b"".join(parts)

    def check(self) -> None:
        with self._lock:
            data = self._bytes()
            assert sha256(data).digest() == self._hash.digest(), "the hash is not that of the events"
            assert data.endswith(self._place.line), "the last commit line is not that of the events"
            assert len(data) == self._place.offset, (len(data), self._place.offset)

    def close(self) -> None:
        if os.getpid() != self._pid:
            return
        with self._lock:
            self._closed = True
            self._grown.notify_all()
