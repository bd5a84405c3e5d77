"""The sealed segments of a folder that are known to be as they were written, so that each is hashed once, not again.

A segment states the digest of the one before it, so the chain proves every byte, as far as the files were hashed. The
note beside the folder says which were, and is bound to their sizes, times and identities: whatever was done to a file
through the operating system changes one of these. It is derived: without it all is hashed, and it is made anew.
"""

import logging
import os
from hashlib import sha256

import msgspec

from ezmsg.ledger.errors import DamagedLedger, LogError
from ezmsg.ledger.folder.segments import Segments
from ezmsg.ledger.storage import compression
from ezmsg.ledger.storage.disk import Disk
from ezmsg.ledger.storage.file_access import NEW, closing_handle, open_file, size_of, write_new
from ezmsg.ledger.storage.reading.scan import hash_file, read_at
from ezmsg.ledger.storage.reading.verify import verify_file

logger = logging.getLogger("ezmsg.ledger.proven")

NOTE = ".verified"
"""The end of the note's name, after that of the folder which it is about."""

NOTE_MAX = 2**24
"""Bytes of a note: some 60,000 segments. What is longer is not read."""


class Seen(msgspec.Struct, frozen=True):
    """A file as it was when its bytes had this ``digest``: unpacked, where it is compressed."""

    size: int
    modified: int
    changed: int
    device: int
    inode: int
    digest: str


class _Note(msgspec.Struct, frozen=True):
    """The files by name; ``proof`` is the digest of their JSON, so that half a note is none."""

    files: dict[str, Seen]
    proof: str


def prove_sealed(segments: Segments, numbers: range) -> None:
    """See that all segments but the last are as they were written; those that were seen so before are not hashed.

    One that is compressed is passed over where the library is missing. Raises DamagedLedger, LogError. Cost: 1.8 GB/s
    of what is new, and some 0.05 ms a segment.
    """
    disk = segments.disk
    known = read_note(disk, segments.path)
    seen: dict[str, Seen] = {}
    new: list[int] = []
    for number in numbers[:-1]:
        path = segments.path_of(number) or ""
        if _is_closed_book(path) or _is_closed_book(segments.path_of(number + 1) or ""):
            logger.warning("%s is not verified: the library zstandard is not installed", path)
            continue
        name = os.path.basename(path)
        found = known.get(name)
        if found is not None and found == seen_now(disk, path, found.digest):
            seen[name] = found
            _compare(segments, number, path, found.digest)
        else:
            new.append(number)
    if new:
        _hash(segments, new, seen)
    if seen != known:
        write_note(disk, segments.path, seen)


def _is_closed_book(path: str) -> bool:
    """Whether a file is compressed and cannot be unpacked here."""
    return path.endswith(compression.SUFFIX) and not compression.is_there()


def _hash(segments: Segments, numbers: list[int], seen: dict[str, Seen]) -> None:
    disk = segments.disk
    paths = {number: segments.path_of(number) or "" for number in numbers}
    size = sum(size_of(disk, path) for path in paths.values())
    what = "1 sealed segment" if len(numbers) == 1 else f"{len(numbers):,} sealed segments"
    logger.info("%s: verifying %s (%d bytes), which no writer has seen as they are now", segments.path, what, size)
    for number, path in paths.items():
        before = seen_now(disk, path, "")
        with segments.open(number) as file:
            digest = hash_file(file.disk, file.handle, file.size).hexdigest()
        _compare(segments, number, path, digest)
        seen[os.path.basename(path)] = msgspec.structs.replace(before, digest=digest)


def _compare(segments: Segments, number: int, path: str, digest: str) -> None:
    """Raise DamagedLedger unless the next segment says that this one has the ``digest``."""
    following = segments.opening(number + 1).segment
    if following is not None and following.previous == digest:
        return
    with segments.open(number) as file:
        found = verify_file(file, file.size, sealed=True)
    raise DamagedLedger(
        f"{path} is damaged after seq {found.seq} (offset {found.offset}): segment {number + 1} follows one with "
        f"another digest",
        offset=found.offset,
        seq=found.seq,
    )


def seen_now(disk: Disk, path: str, digest: str) -> Seen:
    """The file at ``path`` as it is now. Raises as ``open_file`` does."""
    with closing_handle(disk, open_file(disk, path)) as handle:
        modified, changed = disk.times(handle)
        return Seen(disk.size(handle), modified, changed, *disk.identity(handle), digest)


def read_note(disk: Disk, folder: str) -> dict[str, Seen]:
    """The note about the folder's files, by name; empty where there is no note, or one that is not whole."""
    try:
        if disk.kind(folder + NOTE) != "file":
            return {}
        with closing_handle(disk, open_file(disk, folder + NOTE)) as handle:
            data = read_at(disk, handle, 0, min(disk.size(handle), NOTE_MAX))
        note = msgspec.json.decode(data, type=_Note)
    except (OSError, LogError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        logger.info("%s%s is not used: %s", folder, NOTE, error)
        return {}
    return note.files if note.proof == _proof(note.files) else {}


def write_note(disk: Disk, folder: str, files: dict[str, Seen]) -> None:
    """Note the files. What the system refuses is logged: without a note they are hashed again."""
    path = folder + NOTE
    try:
        write_new(disk, path + NEW, [msgspec.json.encode(_Note(files, _proof(files)))])
        disk.replace(path + NEW, path)
    except OSError as error:
        logger.info("%s cannot be written: %s", path, error)


def add_to_note(disk: Disk, folder: str, names: dict[str, str]) -> None:
    """Note files whose digests are known already: a segment that was just sealed, or compressed. By name."""
    files = read_note(disk, folder)
    try:
        files = {name: seen for name, seen in files.items() if disk.kind(os.path.join(folder, name))}
        files |= {name: seen_now(disk, os.path.join(folder, name), digest) for name, digest in names.items()}
    except (OSError, LogError) as error:  # removed since, or it cannot be looked at
        logger.info("%s: not noted: %s", folder, error)
    write_note(disk, folder, files)


def _proof(files: dict[str, Seen]) -> str:
    return sha256(msgspec.json.encode(files)).hexdigest()
