"""The first line of a ledger: making it, and telling a ledger from everything else."""

import os
import uuid
from hashlib import sha256

import msgspec

from ezmsg.ledger.disk import Disk, sync_file, write_all
from ezmsg.ledger.errors import DamagedLedger, LogError, NewerFormat, NotALedger
from ezmsg.ledger.structural import COMMIT_PREFIX, FORMAT, HEADER_PREFIX, Header, encode_commit

HEADER_MAX = 4096
"""Bytes in which the first line must end. Ours takes about 110; what a newer one may add is small too."""

_MAKE_HINT = "Check the name. A ledger comes into being when it is opened for writing: `ezmsg-ledger run` does that."


class _AnyHeader(msgspec.Struct, tag_field="type", tag="ledger.header"):
    """What a header of any format has."""

    format: int


def new_header(created: int) -> Header:
    """A header with an id that no other ledger has. ``created``: ns since the epoch, UTC."""
    return Header(format=FORMAT, id=str(uuid.uuid4()), created=created)


def first_bytes(header: Header) -> bytes:
    """What a new ledger begins with: the header line, and a commit of no events that proves it."""
    line = msgspec.json.encode(header) + b"\n"
    return line + encode_commit(upto=0, count=0, at=len(line), synced=0, sha256=sha256(line).hexdigest())


def create(disk: Disk, path: str, created: int) -> None:
    """Make a new ledger at ``path``, in place of an empty file when there is one.

    It is written and synced under another name first, so that nobody, whatever happens, sees half a header. The caller
    holds the writer's lock. Raises LogError when the folder does not allow it.
    """
    temporary = f"{path}.new"
    try:
        if disk.kind(temporary) is not None:
            disk.remove(temporary)  # of a creation that died here; the lock says that it is nobody's now
        handle = disk.create(temporary)
        try:
            write_all(disk, handle, first_bytes(new_header(created)), 0)
            sync_file(disk, handle)
        finally:
            disk.close(handle)
        if disk.kind(path) is None:
            disk.link(temporary, path)
        else:
            disk.replace(temporary, path)
        disk.sync_folder(os.path.dirname(path))
    except OSError as error:
        raise LogError(
            f"{path} cannot be created: {error.strerror or error}",
            hint="Record into a folder that exists, that you may write to, and that has space left.",
        ) from error


def open_file(disk: Disk, path: str, *, write: bool = False) -> int:
    """A handle of the ledger file.

    Raises NotALedger when there is no regular file of that name, LogError when it may not be opened.
    """
    try:
        kind = disk.kind(path)
        if kind is None:
            raise NotALedger(f"{path}: there is no such file", hint=_MAKE_HINT)
        if kind != "file":
            what = "a folder" if kind == "folder" else "not a regular file"
            raise NotALedger(f"{path} is {what}", hint="A ledger is one file: name that.")
        return disk.open(path, write=write)
    except OSError as error:
        raise LogError(
            f"{path} cannot be {'written' if write else 'read'}: {error.strerror}",
            hint="Check the permissions of the file and of its folder.",
        ) from error


def read_header(disk: Disk, handle: int, path: str) -> tuple[Header, int]:
    """The header of an open file, and the offset at which the next line begins.

    Raises NotALedger when it is something else, NewerFormat when this version cannot read it, DamagedLedger when commit
    lines show that it was a ledger.
    """
    buffer = bytearray(HEADER_MAX)
    size = disk.read_into(handle, memoryview(buffer), 0)
    data = bytes(buffer[:size])
    if not data:
        raise NotALedger(f"{path} is empty", hint=_MAKE_HINT)
    line, newline, _ = data.partition(b"\n")
    if newline and line.startswith(HEADER_PREFIX):
        try:
            newer = msgspec.json.decode(line, type=_AnyHeader).format
            if newer > FORMAT:
                raise NewerFormat(f"{path} has format {newer}; this version of ezmsg-ledger reads up to {FORMAT}")
            header = msgspec.json.decode(line, type=Header)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            pass  # said below, with what the file looks like
        else:
            if header.format == FORMAT:
                return header, len(line) + 1
    raise _not_a_ledger(path, data)


def _not_a_ledger(path: str, data: bytes) -> LogError:
    if b"\n" + COMMIT_PREFIX in data:
        return DamagedLedger(f"{path} is damaged at offset 0: its first line is not the header", offset=0, seq=0)
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
