"""The append-only log: one writer, any number of readers, whole commits only."""

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Literal, Self, overload

from ezmsg.ledger.clock import SYSTEM_CLOCK, Clock, WallClock, as_clock
from ezmsg.ledger.errors import DamagedLedger, LedgerError, LogError, WriteFailed
from ezmsg.ledger.events import AnyEvent, Event
from ezmsg.ledger.lock.holder import Unwritten
from ezmsg.ledger.storage.disk import OS_DISK, Disk, Space
from ezmsg.ledger.storage.durability import Durability
from ezmsg.ledger.storage.file_access import explained
from ezmsg.ledger.storage.reading.open_file import Sealed, Since, Start
from ezmsg.ledger.storage.reading.reader import Stop
from ezmsg.ledger.storage.reading.scan import Place
from ezmsg.ledger.storage.reading.seq_times import SeqTimes
from ezmsg.ledger.storage.reading.verify import Verification
from ezmsg.ledger.stores.addresses import address_of, opened_for_reading, without_secret
from ezmsg.ledger.structural import Header, Origin

LEDGER_ENV = "EZMSG_LEDGER"
"""The variable that names the ledger to record to, or to look at, where none is given."""

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


class Ledger(LedgerReader):
    """A ledger that is open for append, by its one writer. ``Ledger.open`` and ``Ledger.memory`` make them.

    All methods may be called from any thread. In a process forked from the writer's, appending raises ForkedWriter and
    closing does nothing.

    >>> from ezmsg.ledger import Ledger, events
    >>> ledger = Ledger.memory()
    >>> [edge] = ledger.append([events.EdgeConnected(from_topic="EEG", to_topic="FILTER", owner=None)])
    >>> edge.seq, ledger.head, ledger.verify().sound
    (1, 1, True)
    """

    durability: Durability
    clock: Clock
    """The clock that stamps events."""

    previous_writer_seen: int | None = None
    """When the writer before this one was last alive (ns since the epoch, UTC); None without one."""
    previous_writer_told: bool = True
    """Whether that one, if it was killed, has left word of what it could not write, or that there was nothing."""

    @overload
    @staticmethod
    def open(
        location: str | os.PathLike[str],
        mode: Literal["a"] = "a",
        durability: Durability = "interval",
        clock: Clock | WallClock = SYSTEM_CLOCK,
        disk: Disk = OS_DISK,
        segmented: bool = False,
    ) -> "Ledger": ...

    @overload
    @staticmethod
    def open(location: str | os.PathLike[str], mode: Literal["r"], *, disk: Disk = OS_DISK) -> LedgerReader: ...

    @staticmethod
    def open(
        location: str | os.PathLike[str],
        mode: Literal["a", "r"] = "a",
        durability: Durability = "interval",
        clock: Clock | WallClock = SYSTEM_CLOCK,
        disk: Disk = OS_DISK,
        segmented: bool = False,
    ) -> LedgerReader:
        """A ledger, file or folder of segments: for append, made when missing or empty, or for reading alone.

        For reading, ``location`` can be an address, ``nats://HOST:PORT/STREAM/ID``, of a ledger that was shipped.

        ``durability`` says when an append is acknowledged: ``commit``, when it is on the disk; ``interval``, when the
        system has it (a killed process loses nothing, a power cut at most 50 ms); ``none``, likewise, and nothing syncs
        it before ``close``. ``clock`` is a Clock, or a function that gives ns since the epoch, UTC.
        ``disk`` stands for the operating system.

        For append the ledger is locked, and hashed (1.8 GB/s): of a folder the last segment, and each other one that
        was not hashed since it was last changed. A torn tail is copied to ``NAME.tail-OFFSET`` and cut. With
        ``segmented`` a new ledger is a folder, and one that is a file becomes one.
        When the writer before ended while it could not write, a ``gap`` names the seqs that went with it (``owed``).

        Raises NotALedger, NewerFormat, LedgerLocked, DamagedLedger (and leaves the file alone), LogError.
        """
        from ezmsg.ledger.folder.segments import MOVING

        if (address := address_of(os.fsdecode(location))) is not None:
            if mode != "r":
                raise LogError(
                    f"{without_secret(address)} is in a stream, and only a ledger on this machine is recorded to",
                    hint="Record to a file, and ship that: ezmsg-ledger ship FILE nats://HOST:PORT",
                )
            return opened_for_reading(address)
        path = os.path.realpath(os.fsdecode(location))
        if mode not in ("a", "r"):
            raise ValueError(f'mode is {mode!r}; a ledger is opened with "a" (append) or "r" (read)')
        if durability not in ("commit", "interval", "none"):
            raise ValueError(f'durability is {durability!r}; it is one of "commit", "interval", "none"')
        with explained(path, "opened", "Check the permissions of the folder that it is in."):
            kind = disk.kind(path)
            moving = kind is None and disk.kind(path + MOVING) == "folder"  # a writer died in between
        if mode == "r":
            from ezmsg.ledger.stores.disk_reader import (
                DiskReader,  # a ledger itself; and who reads loads nothing that writes
            )

            return DiskReader(disk, path + MOVING if moving else path)
        from ezmsg.ledger.stores.file_ledger import FileLedger
        from ezmsg.ledger.stores.segmented import SegmentedLedger

        if segmented or moving or kind == "folder":
            ledger: FileLedger = SegmentedLedger(disk, path, durability, as_clock(clock), make=segmented)
        else:
            ledger = FileLedger(disk, path, durability, as_clock(clock))
        ledger.make_good()
        return ledger

    @staticmethod
    def memory(clock: Clock | WallClock = SYSTEM_CLOCK) -> "Ledger":
        """A ledger without a file. It behaves as one at durability ``none``, and is gone with the process."""
        from ezmsg.ledger.stores.memory import MemoryLedger

        return MemoryLedger(as_clock(clock))

    # --- append ---

    @abstractmethod
    def append(
        self, events: Iterable[Event], expected_seq: int | None = None, wait: bool = True, time: int | None = None
    ) -> list[Event]:
        """Add ``events`` as one commit; returns copies with their seqs and one common time.

        At level ``commit`` it returns when they are on the disk; with ``wait=False`` at once, and the flusher brings
        them there (see ``on_durable``). ``expected_seq`` is the head that the caller has seen: Conflict when it has
        moved. ``time`` is for a caller that has just read ``clock`` (ns); else it is read now.
        No events, no commit. A ``Gap`` with losses takes seq ``last + 1``; any other event the next one.

        Raises InvalidEvent, Conflict, WriteFailed (the disk is full: the ledger stays usable; it is broken: see
        ``failure``), LedgerClosed, ForkedWriter. After any of them none of the events is in the ledger. Cost: one
        write; about 1 us per event, and a sync at level ``commit``.
        """

    @abstractmethod
    def append_late(self, events: list[Event]) -> None:
        """Add events that were given their seqs and times before, as one commit, unchanged.

        Such are those that came while nothing could be written, and those of several clients that share a commit. Their
        seqs follow the head (a ``Gap`` with losses stands at ``last + 1``). Raises as ``append`` does, and InvalidEvent
        when they do not follow.
        """

    @property
    def next_seq(self) -> int:
        """The seq that the next event will get: a batch can refer to its own ids."""
        return self.place.seq + 1

    @property
    @abstractmethod
    def appended(self) -> int:
        """Bytes that were added through this object."""

    # --- the disk ---

    @abstractmethod
    def sync(self) -> None:
        """Return when all that was appended is on the disk. Raises WriteFailed."""

    @abstractmethod
    def wait_durable(self, seq: int, timeout: float | None = None) -> bool:
        """Wait until event ``seq`` is on the disk; False when it is not after ``timeout`` seconds.

        Raises WriteFailed when it never will be.
        """

    @abstractmethod
    def on_durable(
        self, durable: Callable[[int], object], failed: Callable[[LedgerError], object] | None = None
    ) -> None:
        """Call ``durable(seq)`` whenever more has reached the disk, ``failed(error)`` once when no more ever will.

        Called from the thread that synced, in order; they must be short, and must not append or wait.
        """

    @property
    @abstractmethod
    def durable_seq(self) -> int:
        """The last seq that is known to be on the disk (in memory: the head)."""

    @property
    @abstractmethod
    def failure(self) -> WriteFailed | None:
        """The reason why nothing can be written any more; None while all is well."""

    @property
    @abstractmethod
    def loss(self) -> str:
        """The fate of the file that is written, in words: removed, replaced, cut short; "" while all of it is there.

        Cost: a look at the file. One that was cut short is written no more (``failure``).
        """

    @property
    def space(self) -> Space | None:
        """The bytes that are free, and those in all, of the file system that is written to.

        None for a ledger in memory, and where the system does not tell. Cost: a call of the system.
        """
        return None

    @abstractmethod
    def probe(self, size: int) -> None:
        """Raise WriteFailed or LogError when ``size`` bytes can surely not be written now, by the cheapest look at it.

        For a caller that waits until writing works again: what is to be written may be dear to make, and to open the
        ledger anew costs a hash of it. The look leaves nothing. Returns where nothing can be told.
        """

    @abstractmethod
    def reopen(self) -> "Ledger":
        """Close this ledger, as far as that is possible, and open the one at its location anew, in the same way.

        For a writer that is broken (``failure``) or whose file was taken away (``in_place``): what recovery finds in
        the file is what the new one has; a file that is gone is made anew. Raises as ``open`` does.
        """

    @property
    def owed(self) -> list[Event]:
        """The events to append before anything else, which could not be: the writer before gave seqs to events that
        it could not write. A ``Gap``, and the end of its run if that came in good order. An append of anything else
        writes them first.
        """
        return []

    def note(self, unwritten: Unwritten | None) -> None:
        """Leave word of what this writer cannot write, for the next one to find; None: there is nothing any more.

        Raises OSError when that cannot be written either.
        """

    @abstractmethod
    def touch(self) -> None:
        """Say that the writer is alive, while it has nothing to write: the next one sees when this was last done."""

    @abstractmethod
    def close(self) -> None:
        """Sync, seal and unlock. Does nothing a second time. Raises WriteFailed when the disk refuses."""

    # --- segments: a ledger that is one file has none that are sealed ---

    @property
    def began(self) -> int:
        """The time at which the file that is written was begun: ns since the epoch, UTC."""
        return self.created

    @property
    @abstractmethod
    def grown(self) -> int:
        """Bytes of events in the file that is written."""

    def rotate(
        self, states: Sequence[bytes] = (), expected_seq: int | None = None, since: Since | None = None
    ) -> bool:
        """Seal the segment that is written and begin the next; False when there is none, or it holds no event yet.

        ``states``, each one JSON value, are what is known at the head: ``start`` gives them back, and a fold can start
        from them when all before is gone. ``expected_seq``: the head that they were made for; or ``since`` gives what
        is to follow them, for the head that it is told, while no append comes in between.

        Costs a few syncs. An append that comes meanwhile waits while ``states`` are hashed and written (some
        milliseconds a megabyte), and for one sync, or for three when another one has just come before it. A crash at
        any step leaves the ledger as it was before or after it.

        Raises InvalidEvent when a state is not JSON or too long for a line, Conflict; WriteFailed when it could not be
        done: then the segment goes on, unless ``failure`` says otherwise.

        >>> from ezmsg.ledger import events
        >>> with Ledger.open("run.ledger", segmented=True) as ledger:
        ...     _ = ledger.append([events.Mark(name="baseline")])
        ...     ledger.rotate()
        True
        """
        return False

    def pack(self, stop: Callable[[], bool] = lambda: False) -> list[str]:
        """Compress all sealed segments; returns the names of the files made. From any thread.

        Raises LogError without the library or when the folder cannot be read, OSError; InterruptedError when ``stop``
        says so in between. Cost: some hundred MB/s.
        """
        return []

    def drop(self, before: int | Callable[[Sealed], bool]) -> list[str]:
        """Remove the segments that were sealed before a time (ns since the epoch, UTC); their names. From any thread.

        ``before`` can be a function as well: given a segment and when it was sealed, it says whether that is to go.

        The history then begins with the checkpoint of the first that stays. Raises LogError, OSError.
        """
        return []
