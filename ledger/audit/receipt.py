"""Receipts: what a ledger held at a moment, in a few lines to be kept elsewhere, and whether it still holds that.

The text has the form of a checkpoint of a transparency log (https://c2sp.org/tlog-checkpoint): whose it is, a size, a
digest, and lines of our own. Here the size is an offset in a file and the digest that of all bytes before it, in hex,
so that ``head -c`` and ``sha256sum`` are enough to check one.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import msgspec

from ezmsg.ledger.errors import (
    CutBack,
    DamagedLedger,
    HistoryDropped,
    MalformedNote,
    OtherHistory,
    OtherLedger,
    SegmentGone,
)
from ezmsg.ledger.folder.segments import Segments
from ezmsg.ledger.storage.disk import OS_DISK, Disk
from ezmsg.ledger.storage.reading.cursor import fits
from ezmsg.ledger.storage.reading.open_file import LedgerFile
from ezmsg.ledger.storage.reading.reader import Reader
from ezmsg.ledger.storage.reading.scan import (
    COMMIT_LINE_MAX,
    Place,
    commits,
    hash_file,
    last_commit,
    parse_commit,
    read_at,
)
from ezmsg.ledger.storage.writing.recovery import sound_end
from ezmsg.ledger.structural import Commit

ORIGIN = "ezmsg-ledger/"

_FORM = re.compile(
    rf"{ORIGIN}(?P<id>[0-9A-Za-z.-]{{1,100}})\n(?P<size>0|[1-9]\d{{0,17}})\n(?P<sha256>[0-9a-f]{{64}})\n"
    r"segment (?P<segment>[1-9]\d{0,17})\nseq (?P<seq>0|[1-9]\d{0,17})\ntime (?P<time>\S{20})\n(?:.+\n)*",
    re.ASCII,
)
_TIME = "%Y-%m-%dT%H:%M:%SZ"


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """The first ``size`` bytes of file ``segment`` of the ledger ``id`` had the digest ``sha256`` (hex).

    These bytes hold every event up to ``seq`` that is in that file, and the ones of earlier files through the chain.
    ``segment`` is 1 for a ledger that is one file. ``time``: when it was taken, ns since the epoch, UTC, whole seconds.

    >>> from ezmsg.ledger import Ledger, events
    >>> from ezmsg.ledger.receipt import check, take
    >>> with Ledger.open("kept.ledger") as ledger:
    ...     _ = ledger.append([events.Mark(name="baseline")])
    >>> receipt = take("kept.ledger", time=0)
    >>> receipt.seq, Receipt.parse(receipt.text) == receipt
    (1, True)
    >>> check("kept.ledger", receipt)  # raises what it is instead, if it does not hold
    """

    id: str
    size: int
    sha256: str
    segment: int
    seq: int
    time: int

    @property
    def text(self) -> str:
        """The lines that are given away, or signed."""
        time = datetime.fromtimestamp(self.time // 10**9, UTC).strftime(_TIME)
        return f"{ORIGIN}{self.id}\n{self.size}\n{self.sha256}\nsegment {self.segment}\nseq {self.seq}\ntime {time}\n"

    @staticmethod
    def parse(text: str) -> "Receipt":
        """The receipt of these lines; lines that a newer version adds after them are passed over.

        Raises MalformedNote.
        """
        found = _FORM.fullmatch(text)
        if found is None:
            first = text.partition("\n")[0][:80]
            what = "its lines are not those of one" if first.startswith(ORIGIN) else f"it begins with {first!r}"
            raise MalformedNote(f"not a receipt of a ledger: {what}")
        try:
            time = int(datetime.strptime(found["time"], _TIME).replace(tzinfo=UTC).timestamp()) * 10**9
        except ValueError as error:
            raise MalformedNote(f"not a receipt of a ledger: no time {found['time']!r}") from error
        size, segment, seq = (int(found[name]) for name in ("size", "segment", "seq"))
        return Receipt(id=found["id"], size=size, sha256=found["sha256"], segment=segment, seq=seq, time=time)


def take(path: str, time: int, durable_seq: int = 0, disk: Disk = OS_DISK) -> Receipt:
    """A receipt for what is known to be on the disk of the ledger at ``path``, be it written just now or not.

    A commit line states how far its writer had synced when it wrote it; ``durable_seq`` is what the writer itself says
    by now. ``time``: ns since the epoch, UTC. Cost: the last file is hashed up to there, at 1.8 GB/s: what would not
    hold today is not given away. Raises NotALedger, NewerFormat, DamagedLedger, LogError.

    >>> import time
    >>> from ezmsg.ledger import Ledger
    >>> from ezmsg.ledger.receipt import check
    >>> Ledger.open("run.ledger").close()
    >>> check("run.ledger", take("run.ledger", time.time_ns()))  # raises when the ledger does not go on from it
    """
    with _last(disk, path) as file:
        reader = Reader(file)
        if (damage := reader.damage()) is not None:
            raise damage
        place = _durable(file, reader.last(), durable_seq)
        commit = _commit_of(place)
        sound = _digest(file, commit.at) == commit.sha256 and fits(file.disk, file.handle, file.start, place)
        if not sound:
            sound_end(file.disk, file.handle, file.path, file.start)  # says where
            raise DamagedLedger(
                f"{file.path} is damaged before offset {place.offset}: its bytes are not those that were written",
                offset=commit.at,
                seq=commit.upto,
            )
        return Receipt(
            id=file.header.id,
            size=commit.at,
            sha256=commit.sha256,
            segment=file.number,
            seq=commit.upto,
            time=time - time % 10**9,
        )


def check(path: str, receipt: Receipt, disk: Disk = OS_DISK) -> None:
    """Return when the ledger at ``path`` goes on from what the receipt says; raise what it is instead.

    OtherLedger, CutBack, OtherHistory, SegmentGone; LogError when it cannot be read. That the files from the receipt's
    segment on are a sound chain is what ``Ledger.verify`` says. Cost: one file is hashed, at 1.8 GB/s.
    """
    with _segment(disk, path, receipt) as file:
        if file.size < receipt.size:
            raise CutBack(
                f"{file.path} ends at offset {file.size}, but at offset {receipt.size} it had had seq {receipt.seq}"
            )
        digest = _digest(file, receipt.size)
        if digest != receipt.sha256:
            raise OtherHistory(
                f"the first {receipt.size} bytes of {file.path} have the digest {digest}, but the receipt says "
                f"{receipt.sha256}: they have been changed since it was taken"
            )
        if (seq := _committed(file, receipt)) is None:
            behind = next(commits(file.disk, file.handle, receipt.size), None)
            kind = CutBack if behind is None else OtherHistory
            raise kind(f"{file.path} has lost the commit line at offset {receipt.size}: what it closed counts no more")
        if seq != receipt.seq:
            raise OtherHistory(
                f"{file.path} had seq {seq} at offset {receipt.size}, but the receipt says {receipt.seq}"
            )


def _durable(file: LedgerFile, last: Place, durable_seq: int) -> Place:
    """The place after the last commit that is known to be durable, its own line aside."""
    if not last.line:
        return _first(file)
    commit = _commit_of(last)
    if commit.synced == commit.at:
        return last
    stated = _last_before(file, commit.synced) if commit.synced > file.start.offset else _first(file)
    while last.seq > durable_seq and last.offset > stated.offset:
        last = _last_before(file, last.offset - len(last.line))
    return last


def _last_before(file: LedgerFile, end: int) -> Place:
    return last_commit(file.disk, file.handle, end, file.start.offset) or _first(file)


def _first(file: LedgerFile) -> Place:
    """The commit line that proves the header: it was on the disk before the file had its name."""
    at = file.start.offset
    line = _line_at(file, at)
    if parse_commit(line, at) is None:
        raise DamagedLedger(
            f"{file.path} is damaged at offset {at}: the line that proves its header has changed",
            offset=0,
            seq=file.start.seq,
        )
    return Place(at + len(line), file.start.seq, line)


def _line_at(file: LedgerFile, at: int) -> bytes:
    data = read_at(file.disk, file.handle, at, COMMIT_LINE_MAX)
    return data[: data.find(b"\n") + 1]


def _commit_of(place: Place) -> Commit:
    commit = place.commit
    assert commit is not None, place
    return commit


def _committed(file: LedgerFile, receipt: Receipt) -> int | None:
    """The seq up to which events count at the receipt's offset: by the line that stands there, or ends; else None."""
    commit = parse_commit(_line_at(file, receipt.size), receipt.size)
    if commit is not None and commit.sha256 == receipt.sha256:
        return commit.upto
    before = last_commit(file.disk, file.handle, receipt.size, file.start.offset)
    return before.seq if before is not None and before.offset == receipt.size else None


def _digest(file: LedgerFile, end: int) -> str:
    return hash_file(file.disk, file.handle, end).hexdigest()


def _last(disk: Disk, path: str) -> LedgerFile:
    """The file that is written, or was at last."""
    if disk.kind(path) != "folder":
        return LedgerFile(disk, path)
    segments = Segments(disk, path)
    return segments.open(segments.numbers()[-1])


@contextmanager
def _segment(disk: Disk, path: str, receipt: Receipt) -> Iterator[LedgerFile]:
    """The file that the receipt speaks of. Raises OtherLedger, CutBack, SegmentGone."""
    with _last(disk, path) as last:
        _check_id(last, receipt)
        number = last.number
        if number == receipt.segment:
            yield last
            return
        if number < receipt.segment:
            raise CutBack(f"{path} ends with segment {number}, but segment {receipt.segment} was there")
    if disk.kind(path) != "folder":
        raise SegmentGone(f"{path} is segment {number}, and the receipt is about segment {receipt.segment}")
    try:
        with Segments(disk, path).open(receipt.segment) as file:
            yield file
    except HistoryDropped as error:
        raise SegmentGone(f"segment {receipt.segment} is no longer in {path}") from error


def _check_id(file: LedgerFile, receipt: Receipt) -> None:
    if file.header.id != receipt.id:
        raise OtherLedger(f"{file.path} is the ledger {file.header.id}, but the receipt is about {receipt.id}")
