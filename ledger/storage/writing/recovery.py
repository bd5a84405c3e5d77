"""Opening a ledger file for append: what is sound is kept, what is torn is put aside, damage is left alone."""

import logging
import os
from collections.abc import Callable
from hashlib import sha256
from typing import NamedTuple

import msgspec

from ezmsg.ledger.errors import DamagedLedger
from ezmsg.ledger.lock.lock import WriterLock
from ezmsg.ledger.storage.disk import Disk, sync_file, write_all
from ezmsg.ledger.storage.file_access import (
    NEW,
    closing_handle,
    explained,
    forget_creation,
    open_file,
    size_of,
    write_new,
)
from ezmsg.ledger.storage.header import read_header
from ezmsg.ledger.storage.reading.cursor import fits
from ezmsg.ledger.storage.reading.damage import damage_after
from ezmsg.ledger.storage.reading.scan import (
    Hash,
    Place,
    Window,
    commits,
    hash_file,
    hash_range,
    last_commit,
    pieces,
)
from ezmsg.ledger.structural import Header, Recovered, encode_commit

logger = logging.getLogger("ezmsg.ledger")


class Opened(NamedTuple):
    """A ledger file that is ready for its next append; all of it is durable. ``hash`` has seen every byte."""

    path: str
    handle: int
    header: Header
    start: Place
    place: Place
    hash: Hash


def open_for_append(disk: Disk, lock: WriterLock, path: str, clock: Callable[[], int]) -> Opened:
    """Open a file of the ledger that ``lock`` is for, and recover it when its end is torn.

    Raises NotALedger, NewerFormat, DamagedLedger (nothing was cut), LogError when the system refuses. Cost: the file is
    hashed once, at about 1.8 GB/s.
    """
    with explained(path, "made ready for writing", "Nothing of it is lost. Check the disk."):
        handle = open_file(disk, path, write=True)
        lock.hold(handle)
        header, _, start = read_header(disk, handle, path)
        forget_creation(disk, path)
        place, digest, synced = sound_end(disk, handle, path, start)
        if place.seq == start.seq:  # its creation may have been cut short before its name was on the disk
            disk.sync_folder(os.path.dirname(path))
        return Opened(path, handle, header, start, *_recover(disk, handle, path, place, digest, synced, clock))


def is_missing_or_empty(disk: Disk, path: str) -> bool:
    """Whether there is nothing at ``path``, or a file of no bytes."""
    kind = disk.kind(path)
    if kind != "file":
        return kind is None
    return size_of(disk, path) == 0


def sound_end(disk: Disk, handle: int, path: str, start: Place) -> tuple[Place, Hash, int]:
    """The place after the last sound commit, the hash up to there, and how far the file is known to be durable.

    Raises DamagedLedger when bytes that some line states to be durable have changed, or a line was moved.
    """
    found = _last_if_sound(disk, handle, start) or _last_sound(disk, handle, path, start)
    if (damage := damage_after(disk, handle, path, found[0])) is not None:
        raise damage
    return found


def _last_if_sound(disk: Disk, handle: int, start: Place) -> tuple[Place, Hash, int] | None:
    """The last commit, when its hash is right: that proves all before it, at the speed of hashing."""
    place = last_commit(disk, handle, disk.size(handle), start.offset)
    if place is None:
        return None
    commit = place.commit
    assert commit is not None
    digest = hash_file(disk, handle, commit.at)
    if digest.hexdigest() != commit.sha256 or not fits(disk, handle, start, place):
        return None
    digest.update(place.line)
    return place, digest, commit.synced


def _last_sound(disk: Disk, handle: int, path: str, start: Place) -> tuple[Place, Hash, int]:
    """The last commit before the first unsound one: hashed commit by commit."""
    window = Window(disk, handle)
    before = now = (start, hash_range(sha256(), window, 0, start.offset), 0)
    for commit, behind in commits(disk, handle, start.offset):
        place, digest, _ = now
        ahead = hash_range(digest.copy(), window, place.offset, commit.at)
        if ahead.hexdigest() != commit.sha256:
            if commit.at == start.offset:  # header and first commit line were on the disk before the file had its name
                raise DamagedLedger(
                    f"{path} is damaged at offset 0: its header, or the line that proves it, has changed",
                    offset=0,
                    seq=0,
                )
            break
        ahead.update(behind.line)
        before, now = now, (behind, ahead, commit.synced)
    if now[0].line and not fits(disk, handle, start, now[0]):
        return before  # the hash of the last one proves all but what it says of itself
    return now


def _recover(
    disk: Disk, handle: int, path: str, place: Place, digest: Hash, synced: int, clock: Callable[[], int]
) -> tuple[Place, Hash]:
    """Cut a torn tail, bring the rest to the disk, and note what was done; the new end and its hash."""
    size = disk.size(handle)
    tail = size - place.offset
    saved = f"{path}.tail-{place.offset}"
    if tail:
        saved = _save_tail(disk, handle, path, place.offset, size)
        disk.truncate(handle, place.offset)
    elif disk.kind(saved) is not None:  # a recovery was cut short between the truncation and its note
        tail = size_of(disk, saved)
    _write_again(disk, handle, synced, place.offset)
    sync_file(disk, handle)
    if not tail:
        return place, digest
    logger.warning(
        "%s: its last writer was interrupted. %d bytes after seq %d were not a whole commit; they are kept in %s",
        path, tail, place.seq, saved,
    )  # fmt: skip
    note = Recovered(at=place.offset, bytes=tail, saved=_text_of(os.path.basename(saved)), time=clock())
    data = msgspec.json.encode(note) + b"\n"
    digest.update(data)
    at = place.offset + len(data)
    line = encode_commit(place.seq, 0, at, place.offset, digest.hexdigest())
    digest.update(line)
    write_all(disk, handle, data + line, place.offset)
    sync_file(disk, handle)
    return Place(at + len(line), place.seq, line), digest


def _text_of(name: str) -> str:
    """A file's name as a text that JSON can hold: bytes of it that are not UTF-8 as ``\\xff``."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _save_tail(disk: Disk, handle: int, path: str, begin: int, end: int) -> str:
    """Copy what is about to be cut into a file of its own, durably; returns its name. An equal copy serves too."""
    temporary = f"{path}.tail{NEW}"
    write_new(disk, temporary, pieces(disk, handle, begin, end))
    wanted = _hash_of(disk, temporary)
    number = 1
    name = f"{path}.tail-{begin}"
    while disk.kind(name) is not None:
        if _hash_of(disk, name) == wanted:
            disk.remove(temporary)
            return name
        number += 1
        name = f"{path}.tail-{begin}.{number}"
    disk.link(temporary, name)
    disk.sync_folder(os.path.dirname(path))
    return name


def _write_again(disk: Disk, handle: int, begin: int, end: int) -> None:
    """Write the bytes that are not known to be durable over themselves: a sync may have failed in the run before."""
    for piece in pieces(disk, handle, begin, end):
        write_all(disk, handle, piece, begin)
        begin += len(piece)


def _hash_of(disk: Disk, path: str) -> bytes:
    with closing_handle(disk, disk.open(path)) as handle:
        return hash_file(disk, handle, disk.size(handle)).digest()
