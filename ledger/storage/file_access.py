"""Opening, making and replacing the files of a ledger, and what the system refuses as errors that help."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from ezmsg.ledger.errors import LogError, NotALedger
from ezmsg.ledger.storage.disk import OS_DISK, Disk, sync_file, write_all

NEW = ".new"
"""At the end of a file's name while it is being made."""

MAKE_HINT = "Check the name. A ledger comes into being when it is opened for writing: `ezmsg-ledger run` does that."

_ROOM_HINT = "Record into a folder that exists, that you may write to, and that has space left."


def create(disk: Disk, path: str, data: bytes) -> None:
    """Make a file at ``path`` that holds ``data``, in place of an empty file when there is one.

    It is written and synced under another name first, so that nobody, whatever happens, sees half a header. The caller
    holds the writer's lock. Raises LogError when the folder does not allow it.
    """
    temporary = path + NEW
    with explained(path, "created", _ROOM_HINT):
        forget_creation(disk, path)
        write_new(disk, temporary, (data,))
        if disk.kind(path) is None:
            disk.link(temporary, path)
        else:
            disk.replace(temporary, path)
        disk.sync_folder(os.path.dirname(path))


def write_new(disk: Disk, path: str, blocks: Iterable[bytes]) -> None:
    """Make a file of ``blocks`` and sync it; one that died on the way to its own name goes. Raises OSError."""
    if disk.kind(path) is not None:
        disk.remove(path)  # the writer's lock says that it is nobody's now
    with closing_handle(disk, disk.create(path)) as handle:
        offset = 0
        for block in blocks:
            write_all(disk, handle, block, offset)
            offset += len(block)
        sync_file(disk, handle)


@contextmanager
def replacing(path: str, disk: Disk = OS_DISK) -> Iterator[str]:
    """A name beside ``path``, to write a file under: at the end it takes the place of ``path``, whole or not at all.

    A symbolic link stays, and leads to the new file. What is not a file, such as ``/dev/null`` or a pipe, is written to
    as it is: a name given to a file in its place would take it away from everybody. Nobody syncs what is written: it is
    for what a power cut may take. Raises OSError, which names ``path``.

    >>> with replacing("baseline.json") as beside, open(beside, "w") as file:
    ...     _ = file.write("{}")
    >>> open("baseline.json").read()
    '{}'
    """
    if disk.kind(path) not in (None, "file"):
        yield path
        return
    path = os.path.realpath(path)
    folder, name = os.path.split(path)
    beside = os.path.join(folder, f".{name}.{os.getpid()}")
    if disk.kind(beside) is not None:
        disk.remove(beside)  # of a process that had this number before
    try:
        yield beside
        disk.replace(beside, path)
    except BaseException as error:
        if disk.kind(beside) is not None:
            disk.remove(beside)
        if isinstance(error, OSError) and error.filename in (None, beside):
            error.filename = path  # the name that was asked for
        raise


@contextmanager
def closing_handle(disk: Disk, handle: int) -> Iterator[int]:
    """Close ``handle`` at the end."""
    try:
        yield handle
    finally:
        disk.close(handle)


def size_of(disk: Disk, path: str) -> int:
    """The bytes of the file at ``path``. Raises OSError."""
    with closing_handle(disk, disk.open(path)) as handle:
        return disk.size(handle)


@contextmanager
def explained(
    path: str, what: str, hint: str = "Check the disk, and the permissions of the file.", where: str = ""
) -> Iterator[None]:
    """Turn what the system refuses inside into a LogError: ``path`` cannot be ``what``; ``where`` says more."""
    try:
        yield
    except OSError as error:
        why = error.strerror or error
        raise LogError(f"{path} cannot be {what}: {f'{where} ({why})' if where else why}", hint=hint) from error


def forget_creation(disk: Disk, path: str) -> None:
    """Remove what a creation that died left beside a ledger, if only a second name of it.

    The caller holds the writer's lock: it is nobody's now.
    """
    if disk.kind(path + NEW) is not None:
        disk.remove(path + NEW)


def open_file(disk: Disk, path: str, *, write: bool = False) -> int:
    """A handle of the ledger file.

    Raises NotALedger when there is no regular file of that name, LogError when it may not be opened.
    """
    try:
        kind = disk.kind(path)
        if kind is None:
            raise NotALedger(f"{path}: there is no such file", hint=MAKE_HINT)
        if kind != "file":
            what = "a folder" if kind == "folder" else "not a regular file"
            raise NotALedger(f"{path} is {what}", hint="A ledger is one file: name that.")
        return disk.open(path, write=write)
    except OSError as error:
        raise LogError(
            f"{path} cannot be {'written' if write else 'read'}: {error.strerror}",
            hint="Check the permissions of the file and of its folder.",
        ) from error
