"""A place in a ledger file, always just after a whole commit, and the way forward from it.

A cursor keeps nothing of an unfinished commit: a writer whose disk was full takes such bytes back and writes others in
their place. It reads pieces into a reused buffer and looks at commit lines only, so that a batch costs little more than
decoding it.
"""

import re
from itertools import accumulate, count, islice, repeat
from operator import attrgetter, is_, le, lt, sub
from typing import cast

import msgspec

from ezmsg.ledger import codec
from ezmsg.ledger.codec import Line
from ezmsg.ledger.errors import DamagedLedger, EventError, HistoryChanged
from ezmsg.ledger.events import AnyEvent, Gap
from ezmsg.ledger.storage.disk import Disk
from ezmsg.ledger.storage.reading.damage import damage_after
from ezmsg.ledger.storage.reading.scan import (
    COMMIT_LINE,
    PIECE,
    Place,
    commits,
    fill,
    last_commit,
    moved_from,
    parse_commit,
    piece_of,
    stands,
)
from ezmsg.ledger.storage.reading.single_commits import lines_of_events
from ezmsg.ledger.structural import (
    COMMIT_PREFIX,
    STRUCTURAL,
    STRUCTURAL_PREFIX,
    Checkpoint,
    Commit,
    Header,
    Segment,
    encode_commit,
)

SPARSE = 64
"""Events of a piece's last commit from which on its commits are looked at one by one. Of smaller ones there are so many
that a pass over all lines costs less than as many steps."""

_NEWLINE = 10
_SINGLE = re.compile(re.escape(COMMIT_LINE) + rb'"upto":\d+,"count":1,')
_encoder = msgspec.json.Encoder()
_at_of, _upto_of, _count_of, _synced_of = map(attrgetter, ("at", "upto", "count", "synced"))
_seq_of = attrgetter("seq")


class Cursor:
    """Reads whole commits forward from a place of an open file.

    ``place`` moves with every batch, of about ``piece`` bytes. ``odd`` says why ``next`` came to an end where commit
    lines follow ("" otherwise).
    """

    def __init__(self, disk: Disk, handle: int, path: str, place: Place, piece: int = PIECE) -> None:
        self.place = place
        self._piece = piece
        self._disk = disk
        self._handle = handle
        self._path = path
        self._buffer = bytearray()
        self.odd = ""

    def next(self) -> list[AnyEvent] | None:
        """The events of the next whole commits, in one batch; None when there are no more now.

        A batch can be empty: commits need not hold events. Raises DamagedLedger when the next commit does not hold and
        a later line states that it had reached the disk; otherwise it is a tail, which counts as not there.
        """
        suspected = False
        self.odd = ""
        while True:
            if end := self._fill():
                batch = self._take(end)
                if batch is not None:
                    return batch
                events, place, self.odd = check_lines(bytes(memoryview(self._buffer)[1:end]), self.place)
                if place != self.place:
                    self.place = place
                    return events
            damage = damage_after(self._disk, self._handle, self._path, self.place, self.odd)
            if damage is None:
                return None
            if suspected:
                self.odd = self.odd or f"offset {self.place.offset}: no commit line stands where it says"
                raise damage
            suspected = True  # look again: the writer may have been in the middle of it at the first look

    def check_place(self) -> None:
        """Raise HistoryChanged unless the commit that ends here is still in the file."""
        offset, seq, _ = self.place
        if self._disk.size(self._handle) < offset:
            raise HistoryChanged(f"{self._path} was cut back: what followed seq {seq} or came just before it is gone")
        if not stands(self._disk, self._handle, self.place):
            raise HistoryChanged(f"{self._path} holds another history before offset {offset} (seq {seq})")

    def _fill(self) -> int:
        """Read from one byte before the place (a newline) on; returns the end of the last commit line in the buffer.

        0 when there is none. The buffer grows for a commit that is longer, if that commit has an end.
        """
        start = self.place.offset - 1
        wanted = min(self._piece, piece_of(self._disk, self._handle, start))
        if not wanted <= len(self._buffer) <= self._piece:
            self._buffer = bytearray(wanted)
        size = fill(self._disk, self._handle, memoryview(self._buffer), start)
        end = self._last_line(size)
        if end == 0 and size == len(self._buffer):
            beyond = next(commits(self._disk, self._handle, self.place.offset), None)
            if beyond is None:
                return 0
            self._buffer = bytearray(beyond[1].offset - start)
            size = fill(self._disk, self._handle, memoryview(self._buffer), start)
            end = self._last_line(size)
        return end

    def _last_line(self, size: int) -> int:
        begin = size
        while (begin := self._buffer.rfind(COMMIT_LINE, 0, begin)) >= 0:
            newline = self._buffer.find(b"\n", begin + 1, size)
            if newline >= 0:
                return newline + 1
        return 0

    # Four checkers of a batch. All ask one question: are these exactly the lines that a writer would have written from
    # the place on, seq after seq, each commit line at its own offset and counting what precedes it? They differ in what
    # they cost. `_take_sparse` steps from commit to commit by their counts, and looks at three lines of each: right
    # when commits are large and few. `_take_dense` takes the same facts as columns (offsets, counts, last seqs) and
    # compares whole columns at once, in loops that run in C: right when commits are small and many. `_take_single` is
    # for the commonest of these, one event each, of which commit lines are not even decoded (see single_commits). None
    # of them can say what is wrong, or pass a gap; when all give up, `check_lines` goes line by line, takes the whole
    # commits that are sound, and names the first thing that is not.

    def _take(self, end: int) -> list[AnyEvent] | None:
        """The events of the buffer up to ``end``, if all in it is sound at a glance. O(commits), not O(events).

        None when something is odd, such as damage, a gap, or another structural line, and needs a closer look.
        """
        begin = self._buffer.rfind(COMMIT_LINE, 0, end)
        if _SINGLE.match(self._buffer, begin) and (events := self._take_single(end)) is not None:
            return events
        try:
            lines = codec.decode(memoryview(self._buffer)[1:end])
        except EventError:
            return None
        last = lines[-1]
        if type(last) is not Commit:
            return None
        if last.count < SPARSE:
            events = self._take_dense(lines, end)
        else:
            events = self._take_sparse(lines, end)
        if events is not None:
            base = self.place.offset - 1
            self.place = Place(base + end, last.upto, bytes(memoryview(self._buffer)[last.at - base : end]))
        return events

    def _take_single(self, end: int) -> list[AnyEvent] | None:
        """The events, where each line of an event is followed by its commit line, all exactly as a writer writes them.

        Cost: 0.7 us for each, beside the decoding of the event.
        """
        lines = lines_of_events(memoryview(self._buffer)[1:end], self.place)
        if lines is None:
            return None
        lines.append(b"")
        seq = self.place.seq
        try:
            events = cast(list[AnyEvent], codec.decode(b"\n".join(lines)))
            if list(map(_seq_of, events)) != list(range(seq + 1, seq + len(lines))):
                return None
        except (EventError, AttributeError):  # AttributeError: a structural line
            return None
        line = bytes(self._buffer[self._buffer.rfind(COMMIT_PREFIX, 0, end) : end])
        self.place = Place(self.place.offset + end - 1, seq + len(events), line)
        return events

    def _take_sparse(self, lines: list[Line], end: int) -> list[AnyEvent] | None:
        """Go from commit line to commit line by their counts, last first, and take each out."""
        base, buffer = self.place.offset - 1, self._buffer
        index, upto = len(lines) - 1, -1
        while index >= 0:
            commit = lines[index]
            if type(commit) is not Commit or (commit.upto != upto and upto >= 0):
                return None
            at, count, upto = commit.at, commit.count, commit.upto
            line = encode_commit(upto, count, at, commit.synced, commit.sha256)
            begin = at - base
            if not 1 <= begin < end or buffer[begin - 1] != _NEWLINE or buffer[begin : begin + len(line)] != line:
                return None
            if not 0 <= commit.synced <= at or not 0 <= count <= index:
                return None
            if count:
                last, first = lines[index - 1], lines[index - count]
                if isinstance(last, STRUCTURAL) or isinstance(first, STRUCTURAL):
                    return None
                if last.seq != upto or first.seq != upto - count + 1:
                    return None
            del lines[index]
            end, upto, index = begin, upto - count, index - count - 1
        return cast(list[AnyEvent], lines) if upto == self.place.seq else None

    def _take_dense(self, lines: list[Line], end: int) -> list[AnyEvent] | None:
        """The checks of ``_take_sparse`` for many small commits: column by column, so that the loops run in C."""
        base, seq = self.place.offset - 1, self.place.seq
        found = [line for line in lines if type(line) is Commit]
        events = cast(list[AnyEvent], [line for line in lines if type(line) is not Commit])
        ats, uptos = list(map(_at_of, found)), list(map(_upto_of, found))
        try:
            if list(map(_seq_of, events)) != list(range(seq + 1, seq + 1 + len(events))):
                return None
        except AttributeError:  # another structural line
            return None
        counts, synced = list(map(_count_of, found)), list(map(_synced_of, found))
        if min(counts) < 0 or min(synced) < 0 or list(accumulate(counts, initial=seq))[1:] != uptos:
            return None
        if uptos[-1] != seq + len(events):  # bytes that changed have joined lines, or split them
            return None
        if not all(map(is_, map(lines.__getitem__, map(sub, uptos, count(seq, -1))), found)):
            return None
        if not all(map(le, synced, ats)) or not all(map(lt, ats, islice(ats, 1, None))):
            return None
        # As many lines as there are commits stand at rising offsets as we would have written them: that is all of them.
        data = bytes(memoryview(self._buffer)[:end])
        starts = list(map(sub, ats, repeat(base)))
        if not 1 <= starts[0] <= starts[-1] < end:
            return None
        if set(map(data.__getitem__, map(sub, starts, repeat(1)))) != {_NEWLINE}:
            return None
        exact = _encoder.encode_lines(found).splitlines(keepends=True)
        return events if all(map(data.startswith, exact, starts)) else None


def follows(event: AnyEvent, seq: int) -> bool:
    """True when ``event`` may come next after ``seq``: by one, or as a gap that names what was lost."""
    if event.seq == seq + 1:
        return not (type(event) is Gap and event.lost > 0)
    return type(event) is Gap and event.lost > 0 and event.first == seq + 1 <= event.last == event.seq - 1


def check_lines(data: bytes, place: Place) -> tuple[list[AnyEvent], Place, str]:
    """Look at the lines after ``place`` one by one.

    Returns the events of the whole sound commits, the place after the last of them, and what is wrong with the next
    ("" when nothing is). Cost: O(bytes), several times that of decoding.
    """
    events: list[AnyEvent] = []
    pending: list[AnyEvent] = []
    offset, seq = place.offset, place.seq
    for line in data.split(b"\n")[:-1]:
        if line.startswith(COMMIT_PREFIX):
            line += b"\n"
            why = _wrong_commit(line, offset, seq, len(pending))
            if why:
                return events, place, why
            events += pending
            pending = []
            place = Place(offset + len(line), seq, line)
            offset += len(line)
            continue
        try:
            found = codec.decode_line(line)
        except EventError as error:
            return events, place, f"offset {offset}: {error}"
        if not isinstance(found, STRUCTURAL):
            if not follows(found, seq):
                return events, place, f"offset {offset}: seq {found.seq} stands after seq {seq}"
            seq = found.seq
            pending.append(found)
        elif not line.startswith(STRUCTURAL_PREFIX) or isinstance(found, Commit | Header | Segment | Checkpoint):
            return events, place, f"offset {offset}: a structural line of odd form or in an odd place"
        offset += len(line) + 1
    return events, place, f"offset {offset}: {len(pending)} events without a commit" if pending else ""


def fits(disk: Disk, handle: int, start: Place, place: Place) -> bool:
    """True when what the commit line at ``place`` says of itself is so: its count, its last seq, where it was durable.

    Its hash does not cover them; the next commit's does, but the last has no next. Cost: O(bytes of the commit).
    """
    commit = place.commit
    if commit is None or not _ends_a_commit(disk, handle, start, commit.synced):
        return False
    cursor = Cursor(disk, handle, "", last_commit(disk, handle, commit.at, start.offset) or start)
    try:
        return cursor.next() is not None and cursor.place.offset >= place.offset
    except DamagedLedger:
        return False


def _ends_a_commit(disk: Disk, handle: int, start: Place, offset: int) -> bool:
    """True when ``offset`` is where a commit ends: what a writer can have synced. 0 is what a first commit states."""
    if offset in (0, start.offset):
        return True
    before = last_commit(disk, handle, offset, start.offset)
    return before is not None and before.offset == offset


def _wrong_commit(line: bytes, offset: int, seq: int, count: int) -> str:
    commit = parse_commit(line, offset)
    if commit is None:
        at = moved_from(line, offset)
        what = "a malformed commit line" if at is None else f"a commit line that states offset {at}"
        return f"offset {offset}: {what}"
    if commit.count != count:
        return f"offset {offset}: the commit line counts {commit.count} events, but {count} precede it"
    if commit.upto != seq:
        return f"offset {offset}: the commit line ends at seq {commit.upto}, but seq {seq} precedes it"
    return ""
