"""Profiling samples on their way from processes to dashboards: kept for a while, never recorded."""

import os
from time import time
from uuid import UUID

from ezmsg.core.graphmeta import (
    ProcessProfilingTraceBatch,
    ProfilingStreamControl,
    ProfilingTraceSample,
    ProfilingTraceStreamBatch,
)

BUFFER_LIMIT = int(os.environ.get("EZMSG_PROFILE_TRACE_BUFFER_LIMIT", "200000"))
"""Samples kept per process for streams that lag behind; ezmsg's variable and default."""


class TraceBuffer:
    """The last samples of one process, numbered from 1; reading on from a number costs O(samples read)."""

    def __init__(self, limit: int = BUFFER_LIMIT) -> None:
        self.pid = -1
        self.host = ""
        self._limit = limit
        self._samples: list[ProfilingTraceSample] = []
        self._dropped = 0

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


class Traces:
    """The trace buffers of the connected processes, by UUID text."""

    def __init__(self) -> None:
        self._buffers: dict[str, TraceBuffer] = {}

    def open(self, uuid: str) -> None:
        """A process connected."""
        self._buffers[uuid] = TraceBuffer()

    def close(self, uuid: str) -> None:
        """A process ended."""
        self._buffers.pop(uuid, None)

    def identify(self, uuid: str, pid: int | None, host: str | None) -> None:
        """A process said who it is."""
        buffer = self._buffers[uuid]
        buffer.pid = -1 if pid is None else pid
        buffer.host = host or ""

    def add(self, uuid: str, batch: ProcessProfilingTraceBatch) -> None:
        """A process sent samples."""
        self._buffers[uuid].extend(batch.samples)

    def collect(self, control: ProfilingStreamControl, read: dict[str, int]) -> ProfilingTraceStreamBatch:
        """What a stream has not read yet; ``read`` holds its place in each buffer and is moved on."""
        now = time()
        wanted = self._buffers if control.process_ids is None else {*map(str, control.process_ids)}
        most = max(1, int(control.max_samples))
        batches: dict[UUID, ProcessProfilingTraceBatch] = {}
        for uuid in sorted(wanted):
            buffer = self._buffers.get(uuid)
            samples: list[ProfilingTraceSample] = []
            if buffer is not None:
                samples, read[uuid] = buffer.after(read.get(uuid, 0), most)
            if samples or control.include_empty_batches:
                batches[UUID(uuid)] = ProcessProfilingTraceBatch(
                    process_id=UUID(uuid),
                    pid=-1 if buffer is None else buffer.pid,
                    host="" if buffer is None else buffer.host,
                    timestamp=now,
                    samples=samples,
                )
        return ProfilingTraceStreamBatch(timestamp=now, batches=batches)
