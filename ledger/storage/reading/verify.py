"""Checking all of a ledger: every byte hashed, every line read, every seq in its place."""

from collections import deque
from hashlib import sha256
from operator import attrgetter

import msgspec

from ezmsg.ledger.errors import DamagedLedger
from ezmsg.ledger.events import ServerLost, ServerStarted, ServerStopped
from ezmsg.ledger.storage.disk import Disk
from ezmsg.ledger.storage.reading.cursor import Cursor, check_lines
from ezmsg.ledger.storage.reading.damage import damage_after
from ezmsg.ledger.storage.reading.open_file import LedgerFile
from ezmsg.ledger.storage.reading.scan import Hash, Place, Window, commits, hash_range, last_commit, read_at
from ezmsg.ledger.structural import Commit
from ezmsg.ledger.wording import seqs_text

PROBLEMS_MAX = 20
"""Problems listed. More of them say no more than that the file is damaged."""

_ASIDE = "opening the ledger for append puts them aside"
_REPAIR = "that is not a torn end, and nothing is cut: `ezmsg-ledger repair` copies what is sound before them"

_seq_of = attrgetter("seq")
_RUNS: dict[type, bool] = {ServerStarted: True, ServerStopped: False, ServerLost: False}


class Verification(msgspec.Struct, frozen=True, kw_only=True):
    """The findings of ``verify``.

    ``offset`` and ``seq``: where the sound part ends, in bytes, and its last event. ``events`` and ``commits``: how
    many it holds. ``sha256``: the hex digest of its bytes: ``head -c OFFSET FILE | sha256sum``. ``bytes``: of all.
    ``sealed``: the last writer closed it in good order; of a folder, too, that no run is open where the last segment
    is sealed, as by a rotation: the ones that follow may be missing. ``running``: whether a run began and did not end;
    None when nothing tells of one. ``tail_bytes``: what follows the last commit line: torn off,
    it never happened. ``problems``: each names its offset and seq; none when ``sound``. ``torn``: nothing is wrong but
    an end that no line states to have been on the disk: opening the ledger for append puts it aside. ``first``: the
    seq that the history begins with.

    Of a folder, ``offset``, ``events``, ``commits`` and ``bytes`` are sums over its ``segments``; ``sha256`` is that of
    the sound bytes of ``segment``, the one in which the sound part ends, which states the digest of the one before;
    ``tail_bytes`` is that of the last one.

    >>> from ezmsg.ledger import Ledger, events
    >>> with Ledger.open("checked.ledger") as ledger:
    ...     _ = ledger.append([events.Mark(name="baseline")])
    >>> found = Ledger.open("checked.ledger", "r").verify()
    >>> found.sound, found.sealed, found.seq, found.problems
    (True, True, 1, [])
    """

    sound: bool
    offset: int
    seq: int
    events: int
    commits: int
    bytes: int
    sealed: bool
    tail_bytes: int
    sha256: str
    problems: list[str]
    first: int = 1
    segments: int = 1
    segment: int = 1
    torn: bool = False
    running: bool | None = None


class BytesDisk(Disk):
    """Bytes in memory, in place of a file that is read."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def kind(self, path: str) -> str:
        return "file"

    def open(self, path: str, *, write: bool = False) -> int:
        return 0

    def read_into(self, handle: int, view: memoryview, offset: int) -> int:
        piece = self._data[offset : offset + len(view)]
        view[: len(piece)] = piece
        return len(piece)

    def size(self, handle: int) -> int:
        return len(self._data)


def verify_bytes(data: bytes, name: str) -> Verification:
    """``verify_file`` for what a file would hold."""
    return verify_file(LedgerFile(BytesDisk(data), name), len(data))


def verify_file(file: LedgerFile, size: int, *, sealed: bool = False) -> Verification:
    """Check the first ``size`` bytes of a file; ``sealed``: another one goes on from it, so nothing of it can be torn.

    Two passes: one reads every line, one hashes, commit by commit. Cost: about 1 us per event.
    """
    disk, handle, start = file.disk, file.handle, file.start
    formed, problems, running = _check_lines(disk, handle, file.path, start, size)
    end, last, events, count, digest, mismatch = _check_hashes(disk, handle, start, min(size, formed))
    if mismatch:
        problems.insert(0, mismatch)
    shown = last_commit(disk, handle, size, start.offset) or start
    tail = size - shown.offset
    torn = not sealed and end.offset > 0 and damage_after(disk, handle, file.path, end) is None
    if tail:
        advice = _ASIDE if torn else _REPAIR
        problems.append(f"offset {size - tail}: {tail:,} bytes after seq {shown.seq} are not a whole commit; {advice}")
    elif end.offset < size and not problems:
        problems.append(f"offset {end.offset}, seq {end.seq}: no commit line proves what follows")
    return Verification(
        sound=not problems,
        offset=end.offset,
        seq=end.seq,
        events=events,
        commits=count,
        bytes=size,
        sealed=end.offset == size and last is not None and last.seals,
        tail_bytes=tail,
        sha256=digest,
        problems=problems,
        first=start.seq + 1,
        segment=file.number,
        torn=bool(problems) and torn,
        running=running,
    )


def _check_lines(
    disk: Disk, handle: int, path: str, start: Place, size: int
) -> tuple[int, list[str], bool | None]:
    """Read every line; the offset up to which all are in order, what is wrong after it, and whether a run is open."""
    runs: list[bool] = []
    cursor = Cursor(disk, handle, path, start)
    problems: list[str] = []
    formed = -1
    while len(problems) < PROBLEMS_MAX:
        _advance(cursor, disk, handle, size, runs)
        formed = cursor.place.offset if formed < 0 else formed
        if cursor.place.offset >= size or not cursor.odd:
            break
        problems.append(f"after seq {cursor.place.seq}, {cursor.odd}")
        _, beyond = next(commits(disk, handle, cursor.place.offset), (None, None))
        if beyond is None:
            break
        cursor.place = beyond
    return formed, problems, runs[-1] if runs else None


def _advance(cursor: Cursor, disk: Disk, handle: int, size: int, runs: list[bool]) -> None:
    """Move ``cursor`` on as far as every single line is in order; ``cursor.odd`` says what is wrong with the next.

    Each beginning of a run is added to ``runs`` as True, each end as False.
    """
    while (before := cursor.place).offset < size:
        try:
            batch = cursor.next()
        except DamagedLedger:
            return  # `odd` says what the error said
        if batch is None:
            return
        if list(map(_seq_of, batch)) != list(range(before.seq + 1, before.seq + 1 + len(batch))):
            data = read_at(disk, handle, before.offset, cursor.place.offset - before.offset)
            _, cursor.place, cursor.odd = check_lines(data, before)
            if cursor.odd:
                return
        runs += [_RUNS[type(event)] for event in batch if type(event) in _RUNS]


def _check_hashes(disk: Disk, handle: int, start: Place, size: int) -> tuple[Place, Commit | None, int, int, str, str]:
    """Hash commit by commit.

    Returns the place after the last whose hash is right, that commit, the events and commits up to there, the digest
    of all these bytes, and what is wrong with the next one ("" for nothing).
    """
    place, last, events, count = Place(0, start.seq, b""), None, 0, 0  # the first commit line proves the header too
    ends = deque([0, start.offset])
    window = Window(disk, handle)
    digest: Hash = sha256()
    for commit, behind in commits(disk, handle, start.offset):
        if behind.offset > size:
            break
        ahead = hash_range(digest.copy(), window, place.offset, commit.at)
        if ahead.hexdigest() != commit.sha256:
            what = seqs_text(place.seq + 1, commit.upto) if commit.count else f"no event, after seq {place.seq}"
            why = f"offset {place.offset} to {commit.at} ({what}): not the bytes whose hash the commit line states"
            return place, last, events, count, digest.hexdigest(), why
        while ends and ends[0] < commit.synced:
            ends.popleft()  # what is stated to be durable never shrinks
        if not ends or ends[0] != commit.synced:
            why = f"offset {commit.at} (seq {commit.upto}): a commit line that was synced where none ends"
            return place, last, events, count, digest.hexdigest(), why
        ends.append(behind.offset)
        ahead.update(behind.line)
        place, digest, last = behind, ahead, commit
        events, count = events + commit.count, count + 1
    return place, last, events, count, digest.hexdigest(), ""
