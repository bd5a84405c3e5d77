"""Reading a folder of segments as the one ledger that it is, from any process, while it is written."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from ezmsg.ledger.errors import (
    DamagedLedger,
    HistoryChanged,
    HistoryDropped,
    LedgerError,
    LogError,
    NotALedger,
)
from ezmsg.ledger.events import AnyEvent
from ezmsg.ledger.folder.segments import Segments, number_of
from ezmsg.ledger.storage.disk import Disk
from ezmsg.ledger.storage.reading.cursor import Cursor
from ezmsg.ledger.storage.reading.open_file import LedgerFile, Start
from ezmsg.ledger.storage.reading.reader import Reader, Stop, batches, clip, is_set
from ezmsg.ledger.storage.reading.scan import Place, stands
from ezmsg.ledger.storage.reading.verify import PROBLEMS_MAX, Verification, verify_file
from ezmsg.ledger.structural import Origin


class _Break(NamedTuple):
    """The place where the segments of a folder stop being a chain: in segment ``number``, after ``place``."""

    number: int
    place: Place
    error: DamagedLedger


_DAMAGE_HINT = DamagedLedger.hint
_LATER_HINT = " To read what follows, move all up to {} elsewhere: the next one begins with what was known there."


class FolderReader:
    """Reads a folder of segments. What a ``Reader`` does for a file; see there for ``named``.

    Sealed segments may be compressed or dropped meanwhile: what is being read of one is read to its end.
    """

    def __init__(self, disk: Disk, path: str, *, named: bool = True) -> None:
        self.path = path
        self.closed = False
        self._named = named
        self._segments = Segments(disk, path)
        self.header = self._segments.header()
        self._last: LedgerFile | None = None
        self._lock = threading.Lock()  # of `_last`, which is closed when another one follows it
        self._break = self._first_break() if named else None

    def _first_break(self) -> "_Break | None":
        """The place where the chain of segments breaks, as far as their beginnings and ends show. Cost: O(segments)."""
        reached: Place | None = None
        numbers = self._segments.numbers()
        for number in numbers:
            if self._segments.is_costly(number):
                reached = None
                continue
            place = reached or Place(0, 0, b"")
            try:
                with self._segments.open(number) as file:
                    self._check_joined(file, reached)
                    place = file.start
                    if number == numbers[-1]:
                        return None
                    place = reached = Reader(file).last()
                    self._check_whole(file, reached)
            except (DamagedLedger, NotALedger) as error:
                more = "" if number == numbers[-1] else _LATER_HINT.format(f"segment {number}")
                hint = _DAMAGE_HINT if place.seq else error.hint
                told = DamagedLedger(str(error), offset=place.offset, seq=place.seq, hint=f"{hint}{more}")
                return _Break(number, place, told)
            except LogError:  # it was dropped since, or something else keeps it from being read: reading says what
                reached = None
        return None

    def _numbers(self) -> range:
        """The segments that can be read: all that lead to the last one, or to where they are damaged."""
        numbers = self._segments.numbers()
        if self._break is None:
            return numbers
        broken, _, error = self._break
        last = broken if self._begins(broken) else broken - 1
        if last < numbers[0]:
            raise error
        return range(numbers[0], last + 1)

    def _begins(self, number: int) -> bool:
        """Whether segment ``number`` can be opened, and goes on from the one before it."""
        assert self._break is not None
        with suppress(DamagedLedger, NotALedger):
            return self._segments.opening(number).start.seq <= self._break.place.seq
        return False

    def damage(self) -> DamagedLedger | None:
        """The place where the chain of segments was found broken, else the fault at the end of the last one."""
        if self._break is not None:
            return self._break.error
        with self._lock:
            return Reader(self._current()).damage()

    # --- where it begins and ends ---

    @property
    def first(self) -> int:
        """The seq of the first event that is there."""
        return self._segments.first(self._numbers())

    @property
    def hole(self) -> str:
        """See ``LedgerReader.hole``."""
        return self._segments.hole(self._segments.numbers())

    def origins(self) -> tuple[Origin, ...]:
        """See ``LedgerReader.origins``. Those of the first segment: when that is dropped, they go with it."""
        first = self._numbers()[0]
        if self._segments.opening(first).segment is None:
            return ()
        with self._segments.open(first) as file:
            return file.origins()

    @property
    def began(self) -> int:
        """The time at which the last segment was begun: ns since the epoch, UTC."""
        opening = self._segments.opening(self._segments.numbers()[-1])
        return opening.header.created if opening.segment is None else opening.segment.opened

    def start(self, seq: int | None) -> Start | None:
        """See ``LedgerReader.start``."""
        numbers = self._numbers()
        if self._break is not None and seq is not None and seq > self._break.place.seq:
            raise self._break.error
        last = numbers[-1] if seq is None else self._segments.containing(seq, numbers)
        for number in reversed(range(numbers[0], last + 1)):
            with self._segments.open(number) as file:
                if (seq is None or file.start.seq <= seq) and (found := file.checkpoint()) is not None:
                    return found
        return None

    @property
    def tip(self) -> str:
        """The file of the last segment."""
        return self._segments.path_of(self._segments.numbers()[-1]) or self.path

    def last(self) -> Place:
        """The place after the last commit of the last segment that looks sound, now."""
        if self._break is not None:
            return self._break.place
        with self._lock:
            return Reader(self._current()).last()

    def mark(self) -> tuple[int, int]:
        """The number of the last segment and its bytes: one of them changes whenever something was written."""
        if self._break is not None:
            return self._break.number, self._break.place.offset
        with self._lock:
            file = self._current()
            return file.number, file.size

    def _current(self) -> LedgerFile:
        if self._last is None:
            self._last = self._segments.open(self._segments.numbers()[-1])
        while (number := self._last.number + 1) in self._segments:
            before, self._last = self._last, self._segments.open(number)
            before.close()
        return self._last

    def holds(self, place: Place) -> bool:
        """True when the commit that ended at ``place`` still stands there."""
        if not place.line:
            return True
        numbers = self._numbers()
        if place.seq < self._segments.first(numbers) - 1:
            return False
        # two segments hold a place of one seq: the end of the one is the beginning of the next
        number = self._segments.containing(place.seq, numbers)
        return any(self._holds(each, place) for each in (number, number - 1) if each in numbers)

    def _holds(self, number: int, place: Place) -> bool:
        with self._segments.open(number) as file:
            return stands(file.disk, file.handle, place)

    @property
    def in_place(self) -> bool:
        """Whether the folder is still there, with the segment that was the last one."""
        with self._lock:
            if self._last is not None:
                return self._is_in_place(self._last)
        try:
            return bool(self._segments.numbers())
        except LogError:  # the folder is gone, or empty
            return False

    def _is_in_place(self, file: LedgerFile) -> bool:
        disk = self._segments.disk
        return file.number + 1 in self._segments or disk.identity_at(file.path) == disk.identity(file.handle)

    def size_on_disk(self) -> int:
        """Bytes of all segments, compressed ones as they are."""
        return self._segments.size()

    # --- reading ---

    def place_before(self, seq: int) -> Place:
        """See ``LedgerReader.place_before``."""
        with self._segments.open(self._segments.containing(seq, self._numbers())) as file:
            return Reader(file).place_before(seq)

    def read(self, after: int, until: int | None) -> Iterator[list[AnyEvent]]:
        """See ``LedgerReader.read``."""
        numbers = self._numbers()
        reached: Place | None = None
        for number in range(self._segments.containing(after, numbers), numbers[-1] + 1):
            with self._segments.open(number) as file:
                self._check_joined(file, reached)
                if until is not None and file.start.seq >= until:
                    return
                size = file.size
                cursor = Reader(file).cursor(file.handle, after)
                yield from batches(cursor, size, after, until)
                reached = cursor.place
                if until is not None and reached.seq >= until:
                    return
                if number < numbers[-1]:
                    self._check_whole(file, reached)
        if self._break is not None:
            raise self._break.error

    def tail(self, after: int, stop: Stop, wait: Callable[[Place], None]) -> Iterator[list[AnyEvent]]:
        """See ``LedgerReader.tail``."""
        number = self._segments.containing(after, self._numbers())
        reached: Place | None = None
        while True:
            if self._break is not None and number > self._numbers()[-1]:
                raise self._break.error
            with self._segments.open(number) as file:
                self._check_joined(file, reached)
                cursor = Reader(file).cursor(file.handle, after)
                while True:
                    if is_set(stop):
                        return
                    closed = self.closed
                    # looked for before reading: a segment is whole before the next one has its name
                    followed = self._is_followed(file, cursor)
                    batch = cursor.next()
                    if batch is None:
                        if followed:
                            break
                        if closed:
                            return
                        wait(cursor.place)
                    elif batch := clip(batch, after, None):
                        yield batch
                reached = cursor.place
                self._check_whole(file, reached)
            number += 1

    def _is_followed(self, file: LedgerFile, cursor: Cursor) -> bool:
        number = file.number
        if number + 1 in self._segments:
            return True
        if not self._is_in_place(file):
            if any(other > number for other in self._segments.listed()):
                raise HistoryDropped(f"segment {number + 1} is no longer in {self.path}")
            if self._named:
                raise HistoryChanged(f"{file.path} was removed or replaced while it was followed")
        cursor.check_place()
        return False

    def _check_joined(self, file: LedgerFile, reached: Place | None) -> None:
        if reached is not None and file.start.seq != reached.seq:
            raise DamagedLedger(
                f"{file.path} begins after seq {file.start.seq}, but the one before it ends with seq {reached.seq}",
                offset=reached.offset,
                seq=reached.seq,
            )

    def _check_whole(self, file: LedgerFile, reached: Place) -> None:
        commit = reached.commit
        if reached.offset != file.size or commit is None or not commit.seals:
            raise DamagedLedger(
                f"{file.path} is damaged after seq {reached.seq} (offset {reached.offset}): it has a successor, but "
                "does not end in a seal",
                offset=reached.offset,
                seq=reached.seq,
            )

    # --- checking ---

    def verify(self) -> Verification:
        """Check every segment and that each goes on where the one before ended."""
        return self._verify(self._segments.numbers(), None)

    def verify_up_to(self, place: Place, path: str) -> Verification:
        """Check every segment up to a place of the one at ``path``: what a writer knows to be whole."""
        number = number_of(os.path.basename(path))
        assert number is not None, path
        return self._verify(range(self._segments.numbers()[0], number + 1), place)

    def _verify(self, numbers: range, place: Place | None) -> Verification:
        parts: list[Verification] = []
        problems = [f"{hole}: none before it is read"] if (hole := self._segments.hole(numbers)) else []
        reach = len(numbers)  # how many, from the first one on, the sound part can be in
        first = 0
        running: bool | None = None
        for number in numbers:
            name = f"segment {number}"
            try:
                with self._segments.open(number) as file:
                    if unjoined := [f"{name}: {why}" for why in joins(file, parts[-1] if parts else None)]:
                        problems += unjoined
                        reach = min(reach, len(parts))
                    first = first or file.start.seq + 1
                    part = self._verified(file, place if number == numbers[-1] else None, number == numbers[-1])
                    if file.segment is not None and part.sound and (known := file.checkpoint()) is not None:
                        running = _has_runs(known) if running is None else running
                    running = running if part.running is None else part.running
            except LedgerError as error:
                first_now = self._segments.numbers()[0]
                if number < first_now:  # dropped since: what remains is all of it now
                    return self._verify(range(first_now, max(numbers[-1], first_now) + 1), place)
                problems.append(f"{name}: {error}")
                reach = min(reach, max(1, len(parts)))
                parts.append(_NOTHING)
                continue
            problems += [f"{name}: {problem}" for problem in part.problems]
            parts.append(part)
        run = _sound_run(parts[:reach])
        return replace(
            run[-1],
            sound=not problems,
            first=first,
            segments=len(numbers),
            segment=numbers[len(run) - 1],
            offset=sum(part.offset for part in run),
            events=sum(part.events for part in run),
            commits=sum(part.commits for part in run),
            bytes=sum(part.bytes for part in parts),
            sealed=parts[-1].sealed and not running,
            running=running,
            tail_bytes=parts[-1].tail_bytes,
            torn=parts[-1].torn and len(problems) == len(parts[-1].problems),
            problems=problems[:PROBLEMS_MAX],
        )

    def _verified(self, file: LedgerFile, place: Place | None, last: bool) -> Verification:
        if last and place is None:
            return Reader(file).verify(self.path)
        return verify_file(file, file.size if place is None else place.offset, sealed=not last)

    def close(self) -> None:
        """Let the files go. Iterators that are under way have their own."""
        self.closed = True
        with self._lock:
            if self._last is not None:
                self._last.close()
                self._last = None


_NOTHING = Verification(
    sound=False, offset=0, seq=0, events=0, commits=0, bytes=0, sealed=False, tail_bytes=0, sha256="", problems=[]
)


def _has_runs(known: Start) -> bool | None:
    """Whether a run was on where a checkpoint was taken; None where it does not tell (see docs/FORMAT.md)."""
    found = [msgspec.json.decode(state) for state in known.states]
    texts = "".join(state for state in found if isinstance(state, str))
    state = msgspec.json.decode(texts) if texts else next(iter(found), None)
    return bool(state["runs"]) if isinstance(state, dict) and "runs" in state else None


def _sound_run(parts: list[Verification]) -> list[Verification]:
    """The parts up to the first that is not sound, that one included."""
    for index, part in enumerate(parts):
        if not part.sound:
            return parts[: index + 1]
    return parts


def joins(file: LedgerFile, before: Verification | None) -> Iterator[str]:
    """Faults in the way a segment follows the one ``before`` it, each in words."""
    if before is None or file.segment is None or not before.sound:  # that one's faults are said already
        return
    if not before.sealed:
        yield "the segment before it is not sealed"
    if file.segment.previous != before.sha256:
        yield f"it follows a segment with the digest {file.segment.previous}, but that has {before.sha256}"
    if file.start.seq != before.seq:
        yield f"it begins after seq {file.start.seq}, but the segment before it ends with seq {before.seq}"
