"""When a served ledger begins a new segment, and what becomes of the sealed ones."""

import logging
import threading
import time
from collections.abc import Callable

import msgspec

from ezmsg.ledger import packed
from ezmsg.ledger.errors import LedgerError
from ezmsg.ledger.runtime.recorded import RecordedGraph
from ezmsg.ledger.segmented import SegmentedLedger

logger = logging.getLogger("ezmsg.ledger")

RETRY_S = 10.0
"""How long to wait after a rotation that could not be done: the segment goes on meanwhile, and nothing is lost."""

HOUSEWORK_S = 60.0
"""How often it is looked whether a segment has become too old, when none was sealed meanwhile."""


class Rotation(msgspec.Struct, frozen=True, kw_only=True):
    """When to begin a new segment: after ``size`` bytes of events, or ``every`` ns, whichever comes first.

    Sealed segments are compressed if ``compress``, and removed ``keep`` ns after they were sealed (None: never).
    """

    size: int | None = None
    every: int | None = None
    keep: int | None = None
    compress: bool = False


class Keeper:
    """Keeps the segments of a graph's ledger as a ``Rotation`` says.

    Rotating is done where it is asked for, between two commits; compressing and removing in a thread.
    """

    def __init__(self, rotation: Rotation) -> None:
        """Raises LogError when compressing was asked for and the library is not there."""
        if rotation.compress:
            packed.library()
        self.rotation = rotation
        self._not_before = 0.0
        self._housework_at = 0.0
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()

    def tend(self, graph: RecordedGraph) -> None:
        """Rotate when that is due. Costs next to nothing when it is not."""
        ledger, now = graph.ledger, time.monotonic()
        if not isinstance(ledger, SegmentedLedger):
            return
        if now >= self._not_before and self._is_due(ledger):
            try:
                if graph.rotate():
                    self._housework_at = now
            except LedgerError as error:
                logger.warning("%s: %s", ledger.location, error)
                self._not_before = now + RETRY_S
        if now >= self._housework_at and (self._thread is None or not self._thread.is_alive()):
            self._housework_at = now + HOUSEWORK_S
            self._thread = threading.Thread(target=self._tidy, args=(ledger,), name="ezmsg-ledger-keeper", daemon=True)
            self._thread.start()

    def _is_due(self, ledger: SegmentedLedger) -> bool:
        size, every = self.rotation.size, self.rotation.every
        if size is not None and ledger.grown >= size:
            return True
        return every is not None and time.time_ns() - ledger.began >= every

    def _tidy(self, ledger: SegmentedLedger) -> None:
        """In the thread: what fails now is tried again after the next rotation, or in a while."""
        works: list[Callable[[], list[str]]] = []
        if self.rotation.keep is not None:
            before = time.time_ns() - self.rotation.keep
            works.append(lambda: ledger.drop(before))
        if self.rotation.compress:
            works.append(lambda: ledger.pack(self._stopping.is_set))
        for work in works:
            try:
                for name in work():
                    logger.info("%s: %s", ledger.location, name)
            except (LedgerError, OSError) as error:
                if not self._stopping.is_set():
                    logger.warning("%s: sealed segments cannot be put in order: %s", ledger.location, error)

    def close(self) -> None:
        """Return when the thread has ended; what it was compressing is left as it was."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
