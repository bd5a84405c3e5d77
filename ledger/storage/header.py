"""The beginning of a ledger file: making it, and telling a ledger from everything else."""

import uuid
from collections.abc import Sequence
from hashlib import sha256
from typing import NamedTuple

import msgspec

from ezmsg.ledger.codec import LINE_MAX
from ezmsg.ledger.errors import DamagedLedger, InvalidEvent, LogError, NewerFormat, NotALedger
from ezmsg.ledger.events import INT_MAX
from ezmsg.ledger.storage.disk import Disk
from ezmsg.ledger.storage.file_access import MAKE_HINT, closing_handle, explained, open_file
from ezmsg.ledger.storage.reading.scan import Hash, Place, fill, read_at
from ezmsg.ledger.structural import (
    COMMIT_PREFIX,
    FORMAT,
    HEADER_PREFIX,
    SEGMENT_FORMAT,
    STRUCTURAL_PREFIX,
    Checkpoint,
    Header,
    Segment,
    encode_commit,
)

HEADER_MAX = 4096
"""Bytes in which the first line must end, and the second of a segment. Ours take about 300; what a newer one may add is
small too."""

class Opening(NamedTuple):
    """The beginning of a ledger file. ``start`` is the place after these lines, just before the first commit line.

    ``segment`` is None for a file that begins a ledger. What it says of the checkpoint is not looked at here.
    """

    header: Header
    segment: Segment | None
    start: Place


class _AnyHeader(msgspec.Struct, tag_field="type", tag="ledger.header"):
    """The field that a header of any format has."""

    format: int


def new_header(created: int) -> Header:
    """A header with an id that no other ledger has. ``created``: ns since the epoch, UTC."""
    return Header(format=FORMAT, id=str(uuid.uuid4()), created=created)


def first_bytes(header: Header) -> bytes:
    """The bytes that a new ledger begins with: the header line, and a commit of no events that proves it."""
    line = msgspec.json.encode(header) + b"\n"
    return line + encode_commit(upto=0, count=0, at=len(line), synced=0, sha256=sha256(line).hexdigest())


def check_states(states: Sequence[bytes]) -> None:
    """Raise InvalidEvent unless each of ``states`` can stand in a checkpoint line. Cost: a megabyte in 2 ms."""
    for state in states:
        line = _checkpoint_line(INT_MAX, state)
        if len(line) > LINE_MAX:
            raise InvalidEvent(
                f"a part of a checkpoint takes {len(line)} bytes, more than the {LINE_MAX} of a line",
                hint="Keep large values out of settings and metadata.",
            )
        try:
            msgspec.json.decode(line, type=Checkpoint)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise InvalidEvent(f"a part of a checkpoint is not JSON: {error}") from error
        if line.count(b"\n") > 1:
            raise InvalidEvent("a part of a checkpoint has a newline in it")


def _checkpoint_line(upto: int, state: bytes) -> bytes:
    return msgspec.json.encode(Checkpoint(upto, msgspec.Raw(state))) + b"\n"


def segment_bytes(
    header: Header, number: int, opened: int, upto: int, previous: str, states: Sequence[bytes]
) -> tuple[bytes, Place, Hash]:
    """The bytes that segment ``number`` of the ledger ``header`` begins with; the one before ended with seq ``upto``.

    ``previous``: the hex digest of all bytes of that one; ``states``, which were checked: the parts of its checkpoint.
    Returns the bytes, the place after them, and their hash. Cost: each byte is hashed once.
    """
    lines = [_checkpoint_line(upto, state) for state in states]
    segment = Segment(number, opened, upto + 1, previous, sum(map(len, lines)))
    begin = Header(SEGMENT_FORMAT, header.id, header.created)
    data = b"".join([msgspec.json.encode(begin), b"\n", msgspec.json.encode(segment), b"\n", *lines])
    digest: Hash = sha256(data)
    commit = encode_commit(upto=upto, count=0, at=len(data), synced=0, sha256=digest.hexdigest())
    digest.update(commit)
    return data + commit, Place(len(data) + len(commit), upto, commit), digest


def refuse_foreign(disk: Disk, path: str) -> None:
    """Raise what ``read_header`` would, should there be something at ``path`` that is neither empty nor a ledger.

    What is in a folder is looked at later.
    """
    with explained(path, "read"):
        if disk.kind(path) in (None, "folder"):
            return
        with closing_handle(disk, open_file(disk, path)) as handle:
            if disk.size(handle) > 0:
                read_header(disk, handle, path)


def read_header(disk: Disk, handle: int, path: str) -> Opening:
    """Read the beginning of an open file.

    Raises NotALedger when it is something else, NewerFormat when this version cannot read it, DamagedLedger when commit
    lines show that it was a ledger.
    """
    buffer = bytearray(HEADER_MAX)
    with explained(path, "read"):
        data = bytes(buffer[: fill(disk, handle, memoryview(buffer), 0)])
    if not data:
        raise NotALedger(f"{path} is empty", hint=MAKE_HINT)
    line, newline, rest = data.partition(b"\n")
    if newline and line.startswith(HEADER_PREFIX):
        try:
            newer = msgspec.json.decode(line, type=_AnyHeader).format
            if newer > SEGMENT_FORMAT:
                raise NewerFormat(
                    f"{path} has format {newer}; this version of ezmsg-ledger reads up to {SEGMENT_FORMAT}"
                )
            header = msgspec.json.decode(line, type=Header)
            if header.format == FORMAT:
                return Opening(header, None, Place(len(line) + 1, 0, b""))
            second, newline, _ = rest.partition(b"\n")
            segment = msgspec.json.decode(second, type=Segment)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            pass  # said below, with what the file looks like
        else:
            sound = header.format == SEGMENT_FORMAT and min(segment.first, segment.checkpoint + 1) > 0
            if newline and sound and msgspec.json.encode(segment) == second:
                start = len(line) + len(second) + 2 + segment.checkpoint
                if start > (size := disk.size(handle)):
                    raise DamagedLedger(
                        f"{path} is damaged: its checkpoint should end at offset {start}, the file ends at {size}",
                        offset=0,
                        seq=segment.first - 1,
                    )
                return Opening(header, segment, Place(start, segment.first - 1, b""))
    raise _not_a_ledger(path, data, _end_of(disk, handle))


def _end_of(disk: Disk, handle: int) -> bytes:
    return read_at(disk, handle, max(0, disk.size(handle) - HEADER_MAX), HEADER_MAX)


_HEADER_HINT = (
    "Without that line nothing after it is proven, so none of it is shown. Keep it: `repair` says how much can still "
    "be read in its lines, which are JSON."
)


def _not_a_ledger(path: str, data: bytes, end: bytes) -> LogError:
    """The words for a file that begins with ``data`` and ends in ``end``: a ledger once, if lines of one show."""
    if any(b"\n" + STRUCTURAL_PREFIX in piece or piece.startswith(COMMIT_PREFIX) for piece in (data, end)) or (
        data.startswith(HEADER_PREFIX) and COMMIT_PREFIX in data
    ):
        problem = f"{path} is damaged at offset 0: its first line is not the header"
        return DamagedLedger(problem, offset=0, seq=0, hint=_HEADER_HINT)
    if data.startswith(HEADER_PREFIX):
        return NotALedger(
            f"{path} is not a ledger: its header line is incomplete or malformed",
            hint="If it was one, keep the file: its first line was cut or changed after it was recorded.",
        )
    if b"\0" in data or not _is_text(data):
        looks = "it holds binary data"
    elif data.lstrip().startswith((b"{", b"[")):
        looks = "it is JSON, but does not begin with a ledger.header line"
    else:
        looks = f"it begins with {data[:40].decode('utf-8', 'replace').splitlines()[0]!r}"
    return NotALedger(f"{path} is not a ledger: {looks}", hint="Name a file that ezmsg-ledger has recorded.")


def _is_text(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.end == len(data)  # a character cut at the end of the piece
    return True
