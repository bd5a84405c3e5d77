"""The lock that lets a ledger have one writer, and what becomes of it in a forked child.

The lock is ``flock`` on the sidecar ``NAME.lock``, which is never unlinked (a lock on a name that somebody else removed
would be worth nothing). Not ``fcntl`` locks: those vanish when anyone in the process closes any handle of the file. The
sidecar says who holds it and what that writer could not write, and its time of modification when it was last alive.
"""

import logging
import os
import platform
import sys
import threading
import time
from collections.abc import Iterator

from msgspec import UNSET
from msgspec.structs import replace

from ezmsg.ledger.errors import LedgerLocked, LogError
from ezmsg.ledger.lock.content import read_block, write_block
from ezmsg.ledger.lock.holder import Holder, Unwritten
from ezmsg.ledger.storage.disk import Disk, Identity
from ezmsg.ledger.storage.file_access import closing_handle, explained

logger = logging.getLogger("ezmsg.ledger")

SUFFIX = ".lock"

LET_GO_S = 2.0
"""How long a successor waits for the lock of a writer that is gone. A process that the writer was just starting has the
lock until it has closed what it inherited, which on a busy machine takes a while."""

POLL_S = 0.005
"""How often the successor looks meanwhile."""

NETWORK_FILE_SYSTEMS = frozenset(
    ["nfs", "nfs4", "cifs", "smb", "smb2", "smb3", "smbfs", "9p", "afs", "ceph", "lustre", "fuse.sshfs", "ncpfs"]
)
"""File systems whose locks and syncs do not promise what they do on a disk of this machine."""


_LOCK_HINT = "Record into a folder that exists and that you may write to."


class WriterLock:
    """The right to write one ledger, held until ``release`` or the end of the process.

    ``previous_seen``: when the writer before was last alive (ns since the epoch, UTC), None when there was none.
    ``unwritten``: what that one, or this one, gave seqs to and could not write; it stays until ``note`` says otherwise.
    ``previous_told``: whether the lock file says that much of a writer that was killed.
    ``forked`` turns True in a forked child, whose inherited handles are closed at once: otherwise the child would keep
    the lock after its parent died.
    """

    def __init__(self, disk: Disk, path: str) -> None:
        """Raises LedgerLocked, saying who holds it, and LogError when the lock file cannot be made."""
        self.path = path
        self.lock_path = path + SUFFIX
        self.forked = False
        self._disk = disk
        self._guarded: list[int] = []
        for last in _attempts():
            try:
                self._acquire()
                break
            except LedgerLocked as refusal:
                if last or self._identity in _held or not _is_gone(refusal.holder):
                    raise

    def _acquire(self) -> None:
        disk = self._disk
        with _registry, explained(self.path, "written", _LOCK_HINT, f"its lock file {self.lock_path} cannot be used"):
            existed = disk.kind(self.lock_path) is not None
            self._handle = disk.open_lock(self.lock_path)
            try:
                self._identity = disk.identity(self._handle)
                if self._identity in _held or not self._take():
                    raise self._refusal()
                self.previous_seen = disk.modified(self._handle) if existed else None
                before = read_block(disk, self._handle)
                self.previous_told = before is not None and before.unwritten is not UNSET
                self.unwritten = (before.unwritten or None) if before is not None else None
                self._say_who()
            except BaseException:
                disk.close(self._handle)
                raise
            _held[self._identity] = self

    def _take(self) -> bool:
        try:
            return self._disk.lock(self._handle)
        except OSError as error:
            raise LogError(
                f"{self.path} cannot be locked: {error.strerror} ({self.lock_path})",
                hint="The file system has no locks. Record to a disk of this machine.",
            ) from error

    def _refusal(self) -> LedgerLocked:
        return _written_by(self.path, read_block(self._disk, self._handle), mine=self._identity in _held)

    def _say_who(self) -> None:
        self._holder = Holder(os.getpid(), platform.node(), time.time_ns(), self.unwritten)
        try:
            write_block(self._disk, self._handle, self._holder)
        except OSError as error:  # the lock holds without it
            logger.warning(
                "%s: the lock file cannot say who holds it, nor what is lost if this writer is killed while the disk "
                "is full: %s",
                self.lock_path,
                error,
            )

    def note(self, unwritten: Unwritten | None) -> None:
        """Keep for the next writer what this one cannot write; None: nothing. Raises OSError.

        It is not synced: the disk may hang, and a process that is killed does not lose it. Cost: a write of one block.
        """
        with _registry:
            if self.forked:
                return
            if _held.get(self._identity) is not self:
                leave_note(self._disk, self.path, unwritten)
            else:
                self._holder = replace(self._holder, unwritten=unwritten)
                write_block(self._disk, self._handle, self._holder)
            self.unwritten = unwritten

    def guard(self, handle: int) -> None:
        """From now on ``handle`` belongs to the lock: it is closed with it, and in every forked child."""
        self._guarded.append(handle)

    def hold(self, handle: int) -> None:
        """Guard and lock the ledger file itself: people delete lock files. Raises LedgerLocked.

        Readers are not kept out; on Windows they would be, so it is not done there. A writer that just died may have
        lost its lock file a moment before this one.
        """
        self.guard(handle)
        for last in _attempts():
            if sys.platform == "win32" or self._disk.lock(handle):
                return
            if last or self.previous_seen is None:
                raise LedgerLocked(f"{self.path} is being written by another process, whose lock file was removed")

    def let_go(self, handle: int) -> None:
        """Close a handle that was guarded, and with it the lock of its file."""
        with _registry:
            self._guarded.remove(handle)
            self._disk.close(handle)

    def touch(self) -> None:
        """Say that this writer is alive. Does nothing in a forked child, nor after the release. Raises OSError."""
        if not self.forked and _held.get(self._identity) is self:
            self._disk.touch(self._handle, self.lock_path)

    def release(self) -> None:
        """Close the guarded handles and let others write. Does nothing in a forked child, nor a second time."""
        with _registry:
            if self.forked or _held.get(self._identity) is not self:
                return
            del _held[self._identity]
            for handle in self._guarded:
                self._disk.close(handle)  # and with it the lock of the file: no other handle shares it
            try:
                if self.unwritten is None:
                    write_block(self._disk, self._handle, None)  # nobody holds it any more; its bytes stay its own
            except OSError as error:
                logger.warning("%s: still names this process as the writer: %s", self.lock_path, error)
            finally:
                self._disk.unlock(self._handle)
                self._disk.close(self._handle)

    def _in_child(self) -> None:
        self.forked = True
        for handle in (*self._guarded, self._handle):
            self._disk.close(handle)


def leave_note(disk: Disk, path: str, unwritten: Unwritten | None) -> None:
    """``WriterLock.note`` of a writer that has let go, and could not yet get hold of its ledger again.

    Raises OSError: there is no lock file, or another writer has it.
    """
    with _registry, closing_handle(disk, disk.open(path + SUFFIX, write=True)) as handle:
        if not disk.lock(handle):
            raise OSError(f"another process writes {path}")
        write_block(disk, handle, Holder(os.getpid(), platform.node(), time.time_ns(), unwritten))
        disk.unlock(handle)


def is_written(disk: Disk, path: str, file: str) -> bool:
    """Whether somebody writes the ledger at ``path`` now, whose last file is ``file``: here or in another process.

    The locks tell: that of the sidecar, and that of the ledger's own file, which stays when people delete the sidecar.
    Each is taken if it is free, and given back at once. The number that a dead writer left in the sidecar may be that
    of another process by now, so it counts only where there are no locks to ask, and as long as that process runs.
    """
    try:
        if _is_locked(disk, path + SUFFIX):
            return True
    except OSError:  # there never was a writer, its file cannot be read, or there are no locks to ask
        if not _is_gone(_holder_of(disk, path)):
            return True
    try:
        return disk.kind(file) == "file" and _is_locked(disk, file)  # opening a pipe would wait for its other end
    except OSError:  # it is gone, or cannot be read: nobody that could be known of
        return False


def refuse_written(disk: Disk, path: str) -> None:
    """Raise LedgerLocked when somebody writes the ledger at ``path`` now."""
    for last in _attempts():
        if not is_written(disk, path, path):
            return
        holder = _holder_of(disk, path)
        if last or not _is_gone(holder):
            raise _written_by(path, holder, hint="Stop that writer first.")


def _is_locked(disk: Disk, path: str) -> bool:
    with closing_handle(disk, disk.open(path)) as handle:
        free = disk.lock(handle)
        if free:
            disk.unlock(handle)
        return not free


def _written_by(path: str, holder: Holder | None, *, mine: bool = False, hint: str | None = None) -> LedgerLocked:
    who = f"{holder if holder is not None else 'another process'}{' (this process)' if mine else ''}"
    return LedgerLocked(f"{path} is being written by {who}", holder=holder, hint=hint)


def _holder_of(disk: Disk, path: str) -> Holder | None:
    try:
        with closing_handle(disk, disk.open(path + SUFFIX)) as handle:
            return read_block(disk, handle)
    except OSError:  # there never was a writer, or its file cannot be read
        return None


def _attempts() -> Iterator[bool]:
    """One attempt now and more for LET_GO_S, at pauses of POLL_S; True for the last one."""
    deadline = time.monotonic() + LET_GO_S
    while time.monotonic() < deadline:
        yield False
        time.sleep(POLL_S)
    yield True


def _is_gone(holder: Holder | None) -> bool:
    """Whether a lock file names no process, or one of this machine that has ended."""
    return holder is None or (holder.host == platform.node() and not runs(holder.pid))


def runs(pid: int) -> bool:
    """Whether a process of that number runs on this machine. On Windows, where that cannot be asked: True."""
    if sys.platform == "win32":  # signal 0 is Ctrl-C there
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stat:
            return stat.read().rpartition(")")[2].split()[0] not in ("Z", "X")  # ended, and nobody has asked how
    except (OSError, IndexError):  # not Linux
        return True


_registry = threading.RLock()
_held: dict[Identity, WriterLock] = {}
"""The locks of this process by the identity of their file."""


def _after_fork_in_child() -> None:
    for lock in _held.values():
        lock._in_child()
    _held.clear()
    _registry.release()


if hasattr(os, "register_at_fork"):
    # no fork in the middle of taking or releasing: the child would inherit a handle that nobody knows of
    os.register_at_fork(
        before=_registry.acquire, after_in_parent=_registry.release, after_in_child=_after_fork_in_child
    )


def network_file_system(disk: Disk, path: str) -> str | None:
    """The type of the network file system that a path is on; None for others, and where that cannot be told.

    Cost: O(mounts). Linux only.
    """
    folder = os.path.dirname(os.path.abspath(path))
    best, kind = "", ""
    for line in disk.mounts().splitlines():
        _, point, file_system, *_ = line.split(" ")
        point = point.replace("\\040", " ")
        if len(point) >= len(best) and (folder == point or folder.startswith(point.rstrip("/") + "/")):
            best, kind = point, file_system
    return kind if kind in NETWORK_FILE_SYSTEMS else None
