"""The append-only log, open for append by its one writer. Any number of readers see whole commits only."""

import os
from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import Literal, overload

from ezmsg.ledger.clock import SYSTEM_CLOCK, Clock, WallClock, as_clock
from ezmsg.ledger.errors import LedgerError, LogError, WriteFailed
from ezmsg.ledger.events import Event
from ezmsg.ledger.lock.holder import Unwritten
from ezmsg.ledger.reader import LedgerReader
from ezmsg.ledger.storage.disk import OS_DISK, Disk, Space
from ezmsg.ledger.storage.durability import Durability
from ezmsg.ledger.storage.file_access import explained
from ezmsg.ledger.storage.reading.open_file import Sealed, Since
from ezmsg.ledger.stores.addresses import address_of, opened_for_reading, without_secret

LEDGER_ENV = "EZMSG_LEDGER"
"""The variable that names the ledger to record to, or to look at, where none is given."""


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
