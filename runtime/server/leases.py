"""Shared-memory segments: created here, for the clients of this host, and kept while anyone holds a lease."""

import logging
import os
from multiprocessing.shared_memory import SharedMemory

logger = logging.getLogger("ezmsg.ledger")

BUFFERS_MAX = 1 << 16
"""Buffers of one segment; ezmsg's default is 32."""

SEGMENT_MAX = 1 << 36
"""Bytes of one segment (64 GiB): beyond any message, and far below what would overflow an address."""

HEADER = 16
"""Bytes that ezmsg reserves at the start of each buffer."""

SHM_FOLDER = "/dev/shm"


class LeaseRefused(ValueError):
    """A segment of that size cannot be made."""


class Leases:
    """Segments by name, with the number of leases on each. The last lease that ends unlinks the segment."""

    def __init__(self) -> None:
        self._segments: dict[str, tuple[SharedMemory, int]] = {}

    def create(self, num_buffers: int, buf_size: int) -> str:
        """A new segment with one lease on it; returns its name. ``buf_size``: bytes of a buffer's data.

        Raises LeaseRefused when the size is beyond the limits or the memory is not there.
        """
        effective = buf_size + HEADER * num_buffers
        size = num_buffers * effective
        if not 1 <= num_buffers <= BUFFERS_MAX or size > SEGMENT_MAX:
            raise LeaseRefused(f"{num_buffers} buffers of {buf_size} bytes are beyond the limits")
        _refuse_beyond_free_memory(size)
        try:
            segment = SharedMemory(create=True, size=size)
        except OSError as error:
            raise LeaseRefused(f"no segment of {size} bytes: {error}") from error
        assert segment.buf is not None
        # The system hands out zeroed pages. ezmsg's clients look for a preamble, so zeros read as "never written".
        segment.buf[0:8] = num_buffers.to_bytes(8, "little")
        segment.buf[8:16] = effective.to_bytes(8, "little")
        self._segments[segment.name] = (segment, 1)
        return segment.name

    def attach(self, name: str) -> bool:
        """One more lease on a segment; False when there is none of that name."""
        entry = self._segments.get(name)
        if entry is None:
            return False
        self._segments[name] = (entry[0], entry[1] + 1)
        return True

    def release(self, name: str) -> None:
        """One lease less; the last one unlinks the segment."""
        entry = self._segments.get(name)
        if entry is None:
            return
        segment, leases = entry
        if leases > 1:
            self._segments[name] = (segment, leases - 1)
            return
        del self._segments[name]
        segment.close()
        try:
            segment.unlink()
        except FileNotFoundError:  # whoever tidied the folder up spared us the work; the others must still go
            logger.warning("the shared-memory segment %s was already gone", name)

    def close(self) -> None:
        """Unlink every segment, whoever holds it."""
        for name, (segment, _) in list(self._segments.items()):
            self._segments[name] = (segment, 1)
            self.release(name)

    def __len__(self) -> int:
        return len(self._segments)


def _refuse_beyond_free_memory(size: int) -> None:
    """A segment larger than what is free is made without complaint and kills whoever touches its pages: refuse it."""
    try:
        free = os.statvfs(SHM_FOLDER)
    except (OSError, AttributeError):  # not Linux: the system itself refuses
        return
    if size > free.f_bavail * free.f_frsize:
        raise LeaseRefused(f"a segment of {size} bytes does not fit into the shared memory that is free")
