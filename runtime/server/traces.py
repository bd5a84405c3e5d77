"""Profiling samples on their way from processes to dashboards: kept for a while, never recorded."""

import asyncio
import os
from collections import deque
from collections.abc import Callable, Iterable
from time import time
from uuid import UUID

from ezmsg.core.graphmeta import (
    ProcessProfilingTraceBatch,
    ProfilingStreamControl,
    ProfilingTraceSample,
    ProfilingTraceStreamBatch,
)

from ezmsg.ledger.runtime.server.payloads import load
from ezmsg.ledger.runtime.server.wire.protocol import Malformed

BUFFER_LIMIT = int(os.environ.get("EZMSG_PROFILE_TRACE_BUFFER_LIMIT", "200000"))
"""Samples kept per process for streams that lag; ezmsg's variable and default."""

UNOPENED_BYTES = 16 * 2**20
"""Bytes of unread batches kept per process: about as many samples as are kept of opened ones."""

UNOPENED_ALL = 256 * 2**20
"""Bytes of such batches of all processes together: beyond, each keeps its part of them."""

UNOPENED_EXTRA = 256
"""Bytes that a batch takes beside its own."""

LEFT_MAX = 16
"""Processes that have ended and that one reader has not read to the end. One that never reads keeps no more."""

OPENED_AT_ONCE = 32 * 1024
"""Bytes up to which a batch is opened in the event loop: about two milliseconds. A larger one is opened beside it."""

Refuse = Callable[[str], None]
"""Says that a batch is malformed, when that shows."""


class TraceBuffer:
    """The last samples of one process, numbered from 1; reading on from a number costs O(samples read)."""

    def __init__(self, limit: int = BUFFER_LIMIT) -> None:
        self._limit = limit
        self._samples: list[ProfilingTraceSample] = []
        self._dropped = 0

    @property
    def last(self) -> int:
        """The number of the last sample."""
        return self._dropped + len(self._samples)

    def extend(self, samples: list[ProfilingTraceSample]) -> None:
        """Add samples; the oldest go when twice the limit is reached, so that dropping stays cheap."""
        self._samples.extend(samples)
        if len(self._samples) >= 2 * self._limit:
            excess = len(self._samples) - self._limit
            del self._samples[:excess]
            self._dropped += excess

    def after(self, number: int, most: int) -> tuple[list[ProfilingTraceSample], int]:
        """At most ``most`` samples after ``number`` and within the limit, and the number of the last one."""
        oldest = max(self._dropped, self._dropped + len(self._samples) - self._limit)
        start = max(number, oldest)
        samples = self._samples[start - self._dropped : start - self._dropped + most]
        return samples, start + len(samples)


class Trace:
    """The trace of one process: batches as they came and, as far as a stream reads them, their samples.

    Opening a batch takes 7 us per sample, and most are never looked at. ``bytes``: what the unopened ones take.
    """

    def __init__(self) -> None:
        self.pid = -1
        self.host = ""
        self.ended = False
        self._opened = TraceBuffer()
        self._unopened: deque[tuple[bytes, Refuse]] = deque()
        self.bytes = 0
        self._turn = asyncio.Lock()

    def add(self, data: bytes, refuse: Refuse) -> None:
        """A batch, unopened; the oldest go when there are more than UNOPENED_BYTES."""
        self._unopened.append((data, refuse))
        self.bytes += len(data) + UNOPENED_EXTRA
        self.trim(UNOPENED_BYTES)

    def trim(self, most: int) -> None:
        """Let the oldest unopened batches go until those that are left take ``most`` bytes at most."""
        while self.bytes > most:
            self._take()

    def _take(self) -> tuple[bytes, Refuse]:
        data, refuse = self._unopened.popleft()
        self.bytes -= len(data) + UNOPENED_EXTRA
        return data, refuse

    def is_read(self, number: int) -> bool:
        """Whether there is nothing after ``number``."""
        return not self._unopened and number >= self._opened.last

    async def after(self, number: int, most: int) -> tuple[list[ProfilingTraceSample], int]:
        """See ``TraceBuffer.after``. Opens one batch at most, so that every process has its turn."""
        async with self._turn:
            if number >= self._opened.last and self._unopened:
                await self._open(*self._take())
        return self._opened.after(number, most)

    async def _open(self, data: bytes, refuse: Refuse) -> None:
        try:
            if len(data) <= OPENED_AT_ONCE:
                batch = load(data, ProcessProfilingTraceBatch)
            else:
                batch = await asyncio.to_thread(load, data, ProcessProfilingTraceBatch)
        except Malformed as error:
            refuse(str(error))
        else:
            self._opened.extend(batch.samples)


class TraceStream:
    """A reader of the traces. A trace whose process has ended is still read to its end by those who read it before."""

    def __init__(self, traces: "Traces", control: ProfilingStreamControl) -> None:
        self._traces = traces
        self._control = control
        self._most = max(1, int(control.max_samples))
        self._wanted = None if control.process_ids is None else {*map(str, control.process_ids)}
        self._read: dict[str, int] = {}
        self._left: dict[str, Trace] = {}

    @property
    def left(self) -> Iterable[Trace]:
        """The traces of processes that have ended, as far as it has not read them."""
        return self._left.values()

    def keep(self, uuid: str, trace: Trace) -> None:
        """A process ended."""
        if (self._wanted is None or uuid in self._wanted) and not trace.is_read(self._read.get(uuid, 0)):
            self._left[uuid] = trace
            if len(self._left) > LEFT_MAX:
                self._forget(next(iter(self._left)))
        else:
            self._forget(uuid)

    def _forget(self, uuid: str) -> None:
        self._left.pop(uuid, None)
        self._read.pop(uuid, None)

    async def collect(self) -> ProfilingTraceStreamBatch:
        """The samples that this stream has not read yet, of each process at most as many as it asked for."""
        now = time()
        traces = {**self._traces.connected, **self._left}
        batches: dict[UUID, ProcessProfilingTraceBatch] = {}
        for uuid in sorted(traces if self._wanted is None else self._wanted):
            trace = traces.get(uuid)
            samples: list[ProfilingTraceSample] = []
            if trace is not None:
                samples, number = await trace.after(self._read.get(uuid, 0), self._most)
                if trace.ended and trace.is_read(number):
                    self._forget(uuid)
                else:
                    self._read[uuid] = number
                    if trace.ended:  # perhaps just now, while it was being read
                        self._left[uuid] = trace
            if samples or (self._control.include_empty_batches and (trace is None or not trace.ended)):
                batches[UUID(uuid)] = ProcessProfilingTraceBatch(
                    process_id=UUID(uuid),
                    pid=-1 if trace is None else trace.pid,
                    host="" if trace is None else trace.host,
                    timestamp=now,
                    samples=samples,
                )
        return ProfilingTraceStreamBatch(timestamp=now, batches=batches)

    def close(self) -> None:
        """End the stream."""
        self._traces.streams.discard(self)


class Traces:
    """The traces of the connected processes, by UUID text, and who reads them."""

    def __init__(self) -> None:
        self.connected: dict[str, Trace] = {}
        self.streams: set[TraceStream] = set()

    def open(self, uuid: str) -> None:
        """A process connected."""
        self.connected[uuid] = Trace()

    def close(self, uuid: str) -> None:
        """A process ended."""
        trace = self.connected.pop(uuid, None)
        if trace is not None:
            trace.ended = True
            for stream in self.streams:
                stream.keep(uuid, trace)

    def identify(self, uuid: str, pid: int | None, host: str | None) -> None:
        """A process said who it is."""
        trace = self.connected[uuid]
        trace.pid = -1 if pid is None else pid
        trace.host = host or ""

    def add(self, uuid: str, data: bytes, refuse: Refuse) -> None:
        """A process sent a batch. Raises Malformed when it plainly is none; ``refuse`` is told if that shows later."""
        if ProcessProfilingTraceBatch.__name__.encode() not in data:
            load(data, ProcessProfilingTraceBatch)
        self.connected[uuid].add(data, refuse)

    def tend(self) -> None:
        """Keep the unopened batches of all processes within UNOPENED_ALL. Cost: O(processes)."""
        traces = {*self.connected.values(), *(trace for stream in self.streams for trace in stream.left)}
        if sum(trace.bytes for trace in traces) > UNOPENED_ALL:
            for trace in traces:
                trace.trim(UNOPENED_ALL // len(traces))

    def stream(self, control: ProfilingStreamControl) -> TraceStream:
        """A new reader, to be closed."""
        stream = TraceStream(self, control)
        self.streams.add(stream)
        return stream
