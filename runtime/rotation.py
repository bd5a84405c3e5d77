"""Rotation: the times at which a served ledger begins a new segment, and what becomes of the sealed ones."""

import logging
import threading
import time
from collections.abc import Callable

import msgspec

from ezmsg.ledger.errors import LedgerError
from ezmsg.ledger.log import Ledger
from ezmsg.ledger.projections.graph.segment_start import rotate
from ezmsg.ledger.projections.lifetimes.sealed_age import SealedAges
from ezmsg.ledger.runtime.recorded_graph import RecordedGraph
from ezmsg.ledger.storage import compression
from ezmsg.ledger.storage.reading.open_file import Sealed

logger = logging.getLogger("ezmsg.ledger")

RETRY_S = 10.0
"""Pause after a rotation that failed: the segment goes on meanwhile, and nothing is lost."""

HOUSEWORK_S = 60.0
"""Time between two looks for segments that are too old, when none was sealed meanwhile."""


class Rotation(msgspec.Struct, frozen=True, kw_only=True):
    """The rule for beginning a new segment: after ``size`` bytes of events, or ``every`` ns, whichever comes first.

    Sealed segments are compressed if ``compress``, and removed ``keep`` ns after they were sealed (None: never). Both
    spans are of time that really passed, as far as that can be told: see ``ClockWatch.age`` and, of earlier runs,
    ``SealedAges``.
    """

    size: int | None = None
    every: int | None = None
    keep: int | None = None
    compress: bool = False


class Rotator:
    """Keeps the segments of a graph's ledger as a ``Rotation`` says.

    All the work is done in a thread: beginning a segment, compressing and removing. For what an append waits that comes
    while a segment is begun, see ``Ledger.rotate``.
    """

    def __init__(self, rotation: Rotation) -> None:
        """Raises LogError when compressing was asked for and the library is not there."""
        if rotation.compress:
            compression.library()
        self.rotation = rotation
        self._not_before = 0.0
        self._housework_at = 0.0
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()
        self._ages: tuple[Ledger, SealedAges] | None = None  # of the segments of earlier runs

    def tend(self, graph: RecordedGraph) -> None:
        """Have done what is due. Costs next to nothing."""
        ledger, now = graph.ledger, time.monotonic()
        if not ledger.segmented or (self._thread is not None and self._thread.is_alive()):
            return
        due = now >= self._not_before and graph.degraded is None and self._is_due(graph)
        if due or now >= self._housework_at:
            self._housework_at = now + HOUSEWORK_S
            self._thread = threading.Thread(
                target=self._work, args=(graph, ledger, due), name="ezmsg-ledger-rotator", daemon=True
            )
            self._thread.start()

    def _is_due(self, graph: RecordedGraph) -> bool:
        ledger, size, every = graph.ledger, self.rotation.size, self.rotation.every
        if size is not None and ledger.grown >= size:
            return True
        return every is not None and ledger.grown > 0 and graph.clocks.age(ledger.began) >= every

    # --- in the thread -----------------------------------------------------------------------------------------------

    def _work(self, graph: RecordedGraph, ledger: Ledger, due: bool) -> None:
        """Do what is due; a failure is logged, and the work tried again after RETRY_S."""
        try:
            if due:
                rotate(ledger)
            keep = self.rotation.keep
            if keep is not None:
                ages = self._ages_of(graph)
                self._say(ledger, "removed", ledger.drop(lambda sealed: ages(sealed) > keep))
            if self.rotation.compress:
                self._say(ledger, "made", ledger.pack(self._stopping.is_set))
        except (LedgerError, OSError) as error:
            if not self._stopping.is_set():
                logger.warning("%s: its segments cannot be put in order: %s", ledger.location, error)
                self._not_before = time.monotonic() + RETRY_S

    def _ages_of(self, graph: RecordedGraph) -> Callable[[Sealed], int]:
        """A function that tells how long ago (ns) a segment was sealed: those of this run by its own watch."""
        if self._ages is None or self._ages[0] is not graph.ledger:
            self._ages = graph.ledger, SealedAges(graph.ledger, graph.ledger.clock)
        earlier = self._ages[1]

        def age(sealed: Sealed) -> int:
            return graph.clocks.age(sealed.time) if sealed.seq >= graph.run else earlier.age(sealed).ns

        return age

    def _say(self, ledger: Ledger, what: str, names: list[str]) -> None:
        for name in names:
            logger.info("%s: %s %s", ledger.location, what, name)

    def close(self) -> None:
        """Return when the thread has ended; what it was compressing is left as it was."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
