"""The history of both event feeds as the wire has it: from any number on, made from the log, once for all readers."""

import asyncio
import logging
from array import array
from bisect import bisect_right
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice, pairwise
from time import perf_counter
from typing import Any
from uuid import UUID

import msgspec
from ezmsg.core.graphmeta import SettingsChangedEvent, SettingsEventType, TopologyChangedEvent, TopologyEventType
from sortedcontainers import SortedDict

from ezmsg.ledger.errors import LedgerError, OutOfOrder
from ezmsg.ledger.projections.feeds import Checkpoint, Checkpoints, Kind, Replay
from ezmsg.ledger.projections.graph.replay import beginning
from ezmsg.ledger.projections.graph.views.feed_entries import FeedEntry, SettingsChanged, TopologyChanged
from ezmsg.ledger.runtime.live import LiveGraph
from ezmsg.ledger.runtime.server import translate
from ezmsg.ledger.runtime.server.payloads import NS_PER_S
from ezmsg.ledger.runtime.server.pickles import dumps, parts
from ezmsg.ledger.runtime.server.wire.protocol import encode_blob
from ezmsg.ledger.runtime.server.wire.waiters import release

logger = logging.getLogger("ezmsg.ledger")

CHUNK_BYTES = 128 * 1024
"""Entries are handed over in chunks of about this size: few calls, and little memory per stream."""

CHUNK_ENTRIES = 1024

SLICE_S = 0.001
"""Time that is spent on history before other tasks have a turn."""

RECENT_ENTRIES, RECENT_BYTES = 4096, 4 * 2**20
"""Entries and bytes kept of each feed for the streams that keep up, while there are any. Others read the log."""

CHUNKS_BYTES, CHUNKS_MAX = 2 * 2**20, 256
"""Bytes and number of the chunks that are kept, for tools that join together read the same ones."""

REPLAYS_MAX = 4
"""Places in the log that are kept for readers that lag, each with a state of the graph. Without one, the next chunk of
a reader is searched from a checkpoint on."""

LENGTH_BYTES = 8
"""Bytes of the length that stands before each pickle on the wire."""

_KINDS: tuple[Kind, ...] = (TopologyChanged, SettingsChanged)

_encode = msgspec.json.Encoder().encode


def ezmsg_event(entry: FeedEntry) -> TopologyChangedEvent | SettingsChangedEvent:
    """An entry of a feed as ezmsg's class."""
    common: dict[str, Any] = {
        "seq": entry.number,
        "timestamp": entry.time / NS_PER_S,
        "source_session_id": entry.session,
        "source_process_id": None if entry.process is None else UUID(entry.process),
    }
    if isinstance(entry, TopologyChanged):
        return TopologyChangedEvent(
            event_type=TopologyEventType(entry.kind), changed_topics=list(entry.topics), **common
        )
    return SettingsChangedEvent(
        event_type=SettingsEventType(entry.kind),
        component_address=entry.component,
        value=translate.settings_to_ezmsg(entry.value),
        **common,
    )


def listed(pickles: list[bytes]) -> bytes:
    """The pickle of the list of what ``pickles`` hold, made without opening one. Cost: a copy of the bytes."""
    return parts.whole(parts.listed(map(parts.body, pickles)))


class Chunk:
    """Entries of a feed, one after the other: all that it has after number ``begin`` up to number ``last``.

    ``data`` has each as the stream sends it, a pickle with its length before it.
    """

    def __init__(self, after: int) -> None:
        self.begin = self.last = after
        self.data = bytearray()
        self._numbers: list[int] = []
        self._ends = array("q", (0,))

    def add(self, entry: FeedEntry) -> None:
        """Add the next entry. Cost: that of its pickle, 10 us for an ordinary one."""
        self.data += encode_blob(dumps(ezmsg_event(entry), parts.PROTOCOL))
        self.last = entry.number
        self._numbers.append(entry.number)
        self._ends.append(len(self.data))

    def after(self, number: int) -> bytes:
        """The bytes of the entries after ``number``."""
        return bytes(memoryview(self.data)[self._ends[bisect_right(self._numbers, number)] :])

    def pickles(self, number: int) -> list[bytes]:
        """The pickles of the entries after ``number``, each by itself."""
        ends = self._ends[bisect_right(self._numbers, number) :]
        return [bytes(self.data[begin + LENGTH_BYTES : end]) for begin, end in pairwise(ends)]


class _Feed:
    """A feed in memory: the last entries for streams that keep up, and chunks for those that read history."""

    def __init__(self) -> None:
        self.recent: deque[tuple[FeedEntry, int]] = deque()
        self.bytes = 0
        self.chunks: SortedDict[int, Chunk] = SortedDict()

    def add(self, entry: FeedEntry) -> None:
        if self.recent and self.recent[-1][0].number != entry.number - 1:  # a gap took the numbers between
            self.recent.clear()
            self.bytes = 0
        size = len(_encode(entry.value)) if type(entry) is SettingsChanged else 0
        self.recent.append((entry, size))
        self.bytes += size
        while len(self.recent) > RECENT_ENTRIES or self.bytes > RECENT_BYTES:
            self.bytes -= self.recent.popleft()[1]

    def after(self, number: int) -> list[FeedEntry]:
        """The first of the recent entries after ``number``; none when what follows it is not among them."""
        if not self.recent or number + 1 < self.recent[0][0].number:
            return []
        start = number + 1 - self.recent[0][0].number
        return [entry for entry, _ in islice(self.recent, start, start + CHUNK_ENTRIES)]

    def chunk(self, number: int) -> Chunk | None:
        place = self.chunks.bisect_right(number) - 1
        if place < 0:
            return None
        chunk: Chunk = self.chunks.peekitem(place)[1]
        return chunk if chunk.last > number else None


class History:
    """The feeds of a live graph, of any length, in bounded memory.

    History comes from the log, by replays in slices of SLICE_S; one reader's chunk is made at a time, and serves all.
    While somebody reads, the last entries are kept, so that a stream that keeps up costs no replay.
    """

    def __init__(self, live: LiveGraph) -> None:
        self._live = live
        self._start = {kind: live.opening.number(kind) for kind in _KINDS}
        self._checkpoints = Checkpoints(live.beginning, live.opening)
        self._first = live.beginning.seq + 1
        self._losses = 0
        self._forget()
        self._turn = asyncio.Lock()
        self._readers = 0
        self._waiters: set[asyncio.Future[None]] = set()
        live.on_feed = self._add
        live.on_lost = self._cut

    def number(self, kind: Kind) -> int:
        """The last number that a feed has given out."""
        state = self._live.state
        return state.topology if kind is TopologyChanged else state.settings_changes

    def place(self, kind: Kind, after: int) -> int:
        """The number after which a client begins to read that asks for ``after``; 0 or less asks for this run in full.

        A number that the feed has not reached comes from another server: what happens from now on is told all the same.
        """
        return self._start[kind] if after <= 0 else min(after, self.number(kind))

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Keep what makes reading cheap for as long as the block runs."""
        self._readers += 1
        try:
            yield
        finally:
            self._readers -= 1
            if not self._readers:
                self._forget()

    def _forget(self) -> None:
        self._feeds: dict[Kind, _Feed] = {kind: _Feed() for kind in _KINDS}
        self._replays: list[Replay] = []
        self._made: deque[tuple[Kind, int, int]] = deque()
        self._made_bytes = 0

    async def grown(self) -> None:
        """Return when a feed has a new entry."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.add(waiter)
        try:
            await waiter
        finally:
            self._waiters.discard(waiter)

    async def after(self, kind: Kind, number: int) -> Chunk | None:
        """A chunk with the entry after ``number`` and perhaps more; None when there is none yet, or when it is in a
        ledger that cannot be read at the moment.

        Cost: nothing when another reader has just had it; else its pickles, and before the recent entries a replay:
        from the place of the last chunk, or from a checkpoint.
        """
        feed = self._feeds[kind]
        if (chunk := feed.chunk(number)) is not None:
            return chunk
        if number >= self.number(kind):
            return None
        async with self._turn:
            chunk = feed.chunk(number)
            if chunk is not None:
                return chunk
            try:
                return await self._make(kind, number)
            except OutOfOrder:
                raise
            except LedgerError as error:  # no client has to end for it; when there are new entries this is tried again
                logger.warning("a client waits for history that cannot be read now: %s", error)
                return None

    # --- what the live graph tells -----------------------------------------------------------------------------------

    def _add(self, entries: list[FeedEntry]) -> None:
        if self._readers:
            for entry in entries:
                self._feeds[type(entry)].add(entry)
        for waiter in self._waiters:
            release(waiter)

    def _cut(self, seq: int) -> None:
        """Forget what was made of events after ``seq``: they are lost, and no replay can go on from there."""
        self._losses += 1
        self._checkpoints.cut(seq)
        self._replays = [replay for replay in self._replays if replay.state.seq <= seq]
        self._made.clear()
        self._made_bytes = 0
        for feed in self._feeds.values():
            feed.chunks.clear()

    # --- chunks ------------------------------------------------------------------------------------------------------

    async def _make(self, kind: Kind, number: int) -> Chunk | None:
        entries = deque(self._feeds[kind].after(number))
        if entries:
            return await self._chunk(kind, number, entries)
        losses = self._losses
        replay = self._replay(kind, number)
        while not replay.pending or replay.pending[-1].number <= number:
            replay.skip()
            try:
                more = replay.step()
            except OutOfOrder:  # the events that were next have been dropped meanwhile
                if not self._drop_dropped():
                    raise
                return await self._make(kind, number)
            if not more:
                self._park(replay)
                return None
            self._checkpoints.note(replay.state)
            await asyncio.sleep(0)
            if losses != self._losses:  # meanwhile: what it has folded may be lost
                return await self._make(kind, number)
        while replay.pending[0].number <= number:
            replay.take()
        chunk = await self._chunk(kind, number, replay.pending)
        replay.number = chunk.last
        if losses == self._losses:
            self._park(replay)
        return chunk

    async def _chunk(self, kind: Kind, number: int, entries: deque[FeedEntry]) -> Chunk:
        """A chunk of the first of ``entries``, which are taken out."""
        chunk = Chunk(number)
        began = perf_counter()
        while entries and len(chunk.data) < CHUNK_BYTES:
            chunk.add(entries.popleft())
            if perf_counter() - began > SLICE_S:
                await asyncio.sleep(0)
                began = perf_counter()
        self._keep(kind, chunk)
        return chunk

    def _keep(self, kind: Kind, chunk: Chunk) -> None:
        self._feeds[kind].chunks[chunk.begin] = chunk
        self._made.append((kind, chunk.begin, len(chunk.data)))
        self._made_bytes += len(chunk.data)
        while self._made_bytes > CHUNKS_BYTES or len(self._made) > CHUNKS_MAX:
            old, after, size = self._made.popleft()
            self._made_bytes -= size
            self._feeds[old].chunks.pop(after, None)

    def _replay(self, kind: Kind, number: int) -> Replay:
        """The replay that is nearest before ``number``, or a new one from a checkpoint that is nearer."""
        self._drop_dropped()
        start = self._checkpoints.before(kind, number)
        near = [each for each in self._replays if each.kind is kind and start.number(kind) <= each.number <= number]
        if not near:
            return Replay(kind, start, self._live.spool.read)
        replay = max(near, key=lambda each: each.number)
        self._replays.remove(replay)
        return replay

    def _drop_dropped(self) -> bool:
        """Begin where the ledger now begins; False when it begins where it did."""
        ledger = self._live.ledger
        if ledger.first <= self._first:
            return False
        self._first = ledger.first
        start = Checkpoint(beginning(ledger))
        self._checkpoints.begin(start)
        self._replays = [replay for replay in self._replays if replay.state.seq >= start.seq]
        return True

    def _park(self, replay: Replay) -> None:
        if self._readers:
            self._replays.append(replay)
            del self._replays[:-REPLAYS_MAX]
