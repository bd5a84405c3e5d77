"""A ledger that can be read: what every kind of ledger has in common, open for append or not."""

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Self

from ezmsg.ledger.errors import DamagedLedger
from ezmsg.ledger.events import AnyEvent
from ezmsg.ledger.storage.disk import OS_DISK, Disk
from ezmsg.ledger.storage.reading.open_file import Start
from ezmsg.ledger.storage.reading.reader import Stop
from ezmsg.ledger.storage.reading.scan import Place
from ezmsg.ledger.storage.reading.seq_times import SeqTimes
from ezmsg.ledger.storage.reading.verify import Verification
from ezmsg.ledger.structural import Header, Origin

POLL_S = 0.05
"""How often a tail looks for what other processes have written. Within the writer's process it wakes at once."""


class LedgerReader(ABC):
    """A ledger that can be read, from any process and thread, perhaps while it is written: typed events, seq by seq.

    Seqs begin at 1, have no gaps but those that a ``Gap`` event names, and never change. ``Ledger.open(location, "r")``
    gives a reader; a ``Ledger``, which can append, is one as well.

    >>> from ezmsg.ledger import Ledger, events
    >>> with Ledger.open("rig.ledger") as ledger:
    ...     _ = ledger.append([events.Mark(name="left hand"), events.Mark(name="right hand")])
    >>> with Ledger.open("rig.ledger", "r") as reader:
    ...     reader.head, [event.name for event in reader.entries()]
    (2, ['left hand', 'right hand'])
    """

    location: str
    """The absolute path of the file or folder; ``memory`` for a ledger without one."""

    header: Header

    disk: Disk = OS_DISK
    """The disk that its files are on."""

    segmented: bool = False
    """Whether the ledger is a folder of segments rather than one file."""

    def __init__(self) -> None:
        self._times = SeqTimes(self)

    @property
    def name(self) -> str:
        """The name that people know it by: of the file or folder, or of the rig whose ledger a stream has."""
        return os.path.basename(self.location)

    # --- events ---

    @abstractmethod
    def read(self, after: int = 0, until: int | None = None) -> Iterator[list[AnyEvent]]:
        """The events with ``after`` < seq <= ``until`` as of now, in batches of whole commits (about 256 KiB).

        A torn tail is not shown. Raises DamagedLedger after the last event before the damage. Cost: that of decoding
        (3 M events/s), from the place of ``after`` on.
        """

    @abstractmethod
    def tail(self, after: int = 0, poll: float = POLL_S, stop: Stop = None) -> Iterator[list[AnyEvent]]:
        """Read on as ``read`` does, then what comes, without a gap; ends when ``stop`` is set or the ledger is closed.

        Looks every ``poll`` seconds for what another process wrote; in the writer's process it wakes at once. Raises
        HistoryChanged when what was shown is no longer there.
        """

    def entries(self, after: int = 0, until: int | None = None) -> Iterator[AnyEvent]:
        """Yield what ``read`` yields, event by event.

        >>> from ezmsg.ledger import Ledger, events
        >>> ledger = Ledger.memory()
        >>> _ = ledger.append([events.Mark(name="baseline")])
        >>> [(event.seq, event.name) for event in ledger.entries()]
        [(1, 'baseline')]
        """
        for batch in self.read(after, until):
            yield from batch

    def seq_at(self, time: int) -> int:
        """The largest seq whose time is <= ``time`` (ns since the epoch, UTC), whatever the clock did; 0 without one.

        Cost: one pass over the ledger at first, then over what is new; O(log(n)).
        """
        return self._times.seq_at(time)

    # --- where it begins and ends ---

    @property
    def id(self) -> str:
        """The name of this ledger for ever. ``id:seq`` names an event anywhere."""
        return self.header.id

    @property
    def created(self) -> int:
        """The time at which the ledger was made: ns since the epoch, UTC."""
        return self.header.created

    @property
    def head(self) -> int:
        """The seq of the last event; 0 when there is none. A reader looks at the file each time."""
        return self.place.seq

    @property
    @abstractmethod
    def place(self) -> Place:
        """The end of the last whole commit: what is derived from the ledger up to here names it."""

    def place_before(self, seq: int) -> Place:
        """The end of a whole commit at or before event ``seq``, near it: what is derived can stop there for a while.

        Cost: O(log(bytes)) reads of a piece.
        """
        return Place(0, 0, b"")

    @abstractmethod
    def holds(self, place: Place) -> bool:
        """Whether the commit that ended at ``place`` still stands there: if so, so does all that was before it."""

    @property
    def receipt(self) -> str:
        """The last commit line. Kept elsewhere, it proves every byte before it: see docs/FORMAT.md."""
        return self.place.line.decode("ascii").rstrip("\n")

    @property
    @abstractmethod
    def tail_bytes(self) -> int:
        """Bytes after the last whole commit: torn off, or still being written. They are not shown."""

    @property
    def tip(self) -> str:
        """The path of the file that is written: ``location``, or the last segment in it."""
        return self.location

    @property
    def bytes_on_disk(self) -> int:
        """Bytes of all its files, compressed ones as they are; in memory: what a file would have. Cost: O(segments)."""
        return self.place.offset

    @property
    @abstractmethod
    def in_place(self) -> bool:
        """Whether the file that was opened is still the one at ``location``."""

    @property
    @abstractmethod
    def being_written(self) -> bool:
        """Whether somebody has the ledger open for writing, here or in another process. A sealed file nobody has.

        Cost: two files are opened, and their locks taken for a moment if they are free.
        """

    @property
    def damage(self) -> DamagedLedger | None:
        """The sign that bytes of the ledger were moved, put in, or taken out: the history ends before it.

        None when nothing shows it, which proves nothing of letters that were changed: reading tells of lines that it
        meets and ``verify`` of all. Cost: a look at the end of the last file, at that of each segment the first time,
        and at the bytes after the last whole commit.
        """
        return None

    # --- what a folder can have dropped ---

    @property
    def first(self) -> int:
        """The seq of the first event that is there (or would be): 1, or later when earlier segments were dropped."""
        return 1

    @property
    def hole(self) -> str:
        """The segments that are missing in the middle, in words; nothing before them is read. "" when none is.

        Cost: a look into the folder.
        """
        return ""

    def start(self, seq: int | None = None) -> Start | None:
        """The last place at or before event ``seq`` (None: the head) where a fold can start; None: only from nothing.

        Raises HistoryDropped when ``seq`` lies before all that is there, DamagedLedger. Cost: O(bytes of what is kept
        there), and a few files are opened.
        """
        return None

    @property
    def origins(self) -> tuple[Origin, ...]:
        """The ledgers that this one was made of, as by ``cut``, the nearest one last; none for one that was recorded.

        Raises DamagedLedger. Cost: a file is opened.
        """
        return ()

    # --- checks ---

    @abstractmethod
    def verify(self) -> Verification:
        """Check every byte and say what does not hold. Raises nothing about the content. Cost: O(bytes).

        >>> from ezmsg.ledger import Ledger
        >>> Ledger.open("run.ledger").close()
        >>> report = Ledger.open("run.ledger", "r").verify()
        >>> report.sound, report.sealed, report.problems
        (True, True, [])
        """

    @abstractmethod
    def check(self) -> None:
        """Assert the invariants of what this object keeps in memory against what is stored."""

    # --- life ---

    @abstractmethod
    def close(self) -> None:
        """Let the ledger go. Does nothing a second time. Iterators that are under way go on to their end."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.location} at seq {self.head}>"
