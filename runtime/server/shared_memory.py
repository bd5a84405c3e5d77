"""Shared-memory segments: created here, for the clients of this host, and kept while anyone holds a lease."""

import logging
import os
from collections import Counter
from multiprocessing.shared_memory import SharedMemory

import msgspec

from ezmsg.ledger.runtime.server.wire.admission import Admission

logger = logging.getLogger("ezmsg.ledger")

BUFFERS_MAX = 1 << 16
"""Buffers of one segment; ezmsg's default is 32."""

SEGMENT_MAX = 1 << 36
"""Bytes of one segment (64 GiB): beyond any message, and far below what would overflow an address."""

HEADER = 16
"""Bytes that ezmsg reserves at the start of each buffer."""

STAYS_WITHOUT_HANDLE = os.name == "posix"
"""Whether a segment outlives its handles until it is unlinked. Then the server keeps none, and no file descriptor."""

SHM_FOLDER = "/dev/shm"


class LeaseRefused(ValueError):
    """A segment of that size, or one more, cannot be made."""


class _Segment(msgspec.Struct, eq=False):
    """A segment, with how many hold it and which host asked for it."""

    memory: SharedMemory
    size: int
    host: str
    leases: int = 1


class Leases:
    """Segments by name, with the number of leases on each. The last lease that ends unlinks the segment.

    ``bytes``: what all segments were asked to hold together.
    """

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self._segments: dict[str, _Segment] = {}
        self._of_host: Counter[str] = Counter()
        self._bytes_of_host: Counter[str] = Counter()
        self.bytes = 0

    def create(self, num_buffers: int, buf_size: int, host: str) -> str:
        """A new segment with one lease on it; returns its name. ``buf_size``: bytes of a buffer's data.

        Raises LeaseRefused when that is beyond the limits or the memory is not there.
        """
        effective = buf_size + HEADER * num_buffers
        size = num_buffers * effective
        if not 1 <= num_buffers <= BUFFERS_MAX or size > SEGMENT_MAX:
            raise LeaseRefused(f"{num_buffers} buffers of {buf_size} bytes are beyond the limits")
        self._refuse_beyond_limits(size, host)
        _refuse_beyond_free_memory(size)
        try:
            memory = SharedMemory(create=True, size=size)
        except OSError as error:
            raise LeaseRefused(f"no segment of {size} bytes: {error}") from error
        assert memory.buf is not None
        # The system hands out zeroed pages. ezmsg's clients look for a preamble, so zeros read as "never written".
        memory.buf[0:8] = num_buffers.to_bytes(8, "little")
        memory.buf[8:16] = effective.to_bytes(8, "little")
        if STAYS_WITHOUT_HANDLE:
            memory.close()
        self._segments[memory.name] = _Segment(memory, size, host)
        self._count(size, host, 1)
        return memory.name

    def _refuse_beyond_limits(self, size: int, host: str) -> None:
        limits = self._admission.limits
        if len(self._segments) >= limits.segments or self.bytes + size > limits.segment_bytes:
            raise LeaseRefused(
                f"there are {len(self._segments)} segments of {self.bytes} bytes, and may be {limits.segments} of "
                f"{limits.segment_bytes}; {size} bytes more do not fit"
            )
        if self._admission.is_local(host):
            return
        many, much = self._of_host[host], self._bytes_of_host[host]
        if many >= limits.segments_per_host or much + size > limits.segment_bytes_per_host:
            raise LeaseRefused(
                f"{host} has {many} segments of {much} bytes, and may have {limits.segments_per_host} of "
                f"{limits.segment_bytes_per_host}; {size} bytes more do not fit"
            )

    def _count(self, size: int, host: str, number: int) -> None:
        self.bytes += size * number
        self._of_host[host] += number
        self._bytes_of_host[host] += size * number
        if not self._of_host[host]:
            del self._of_host[host], self._bytes_of_host[host]

    def attach(self, name: str) -> bool:
        """Add a lease to a segment; False when no segment has that name."""
        segment = self._segments.get(name)
        if segment is None:
            return False
        segment.leases += 1
        return True

    def release(self, name: str) -> None:
        """Take a lease from a segment; the last one unlinks it."""
        segment = self._segments.get(name)
        if segment is None:
            return
        segment.leases -= 1
        if segment.leases == 0:
            self._unlink(name)

    def _unlink(self, name: str) -> None:
        segment = self._segments.pop(name)
        self._count(segment.size, segment.host, -1)
        segment.memory.close()
        try:
            segment.memory.unlink()
        except FileNotFoundError:  # somebody tidied the folder up; the other segments must still go
            logger.warning("the shared-memory segment %s was already gone", name)

    def close(self) -> None:
        """Unlink every segment, even those that are held."""
        for name in list(self._segments):
            self._unlink(name)

    def __len__(self) -> int:
        return len(self._segments)


def _refuse_beyond_free_memory(size: int) -> None:
    """A segment larger than what is free is made without complaint and kills the process that touches its pages."""
    try:
        free = os.statvfs(SHM_FOLDER)
    except (OSError, AttributeError):  # not Linux: the system itself refuses
        return
    if size > free.f_bavail * free.f_frsize:
        raise LeaseRefused(f"a segment of {size} bytes does not fit into the shared memory that is free")
