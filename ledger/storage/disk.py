"""The one seam through which the log touches the operating system.

Everything that can fail, block or be lost at a power cut goes through a ``Disk``; a simulated or a faulty one can stand
in its place. Handles are file descriptors. All methods raise OSError as the system does; nothing is retried here.
"""

import errno
import os
import stat
import sys
from collections.abc import Callable
from typing import NamedTuple

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

FILE_MODE = 0o600
"""Settings can name subjects: what is recorded is for the owner alone."""

FOLDER_MODE = 0o700

_BINARY = getattr(os, "O_BINARY", 0)
_CLOEXEC = getattr(os, "O_CLOEXEC", 0)
_LOCK_BYTE = 2**30
"""On Windows a locked region cannot be read by others: lock one byte far beyond what the lock file says."""

Identity = tuple[int, int]
"""Device and inode: tells a file from another one that took its name."""


class Space(NamedTuple):
    """The bytes of a file system: ``free`` for us, of ``total``."""

    free: int
    total: int


class Disk:
    """Files and folders of the operating system.

    Reads and writes are positional, so that any number of threads share a handle. There is no ``O_APPEND`` (a failed
    write could not be repaired at its place) and no buffer of Python's.
    """

    def open(self, path: str, *, write: bool = False) -> int:
        """A handle of an existing file."""
        return os.open(path, (os.O_RDWR if write else os.O_RDONLY) | _BINARY | _CLOEXEC)

    def create(self, path: str) -> int:
        """A handle of a new, empty file that only its owner may read. FileExistsError when there is one."""
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | _BINARY | _CLOEXEC, FILE_MODE)

    def open_lock(self, path: str) -> int:
        """A handle of a lock file, made when there is none. An existing one keeps its content and its time."""
        return os.open(path, os.O_RDWR | os.O_CREAT | _BINARY | _CLOEXEC, FILE_MODE)

    def duplicate(self, handle: int, path: str) -> int:
        """A second handle of the same open file, for reading: outlives the first, even when the file lost its name."""
        if sys.platform == "win32":  # a duplicate would share its position there
            return self.open(path)
        return os.dup(handle)

    def close(self, handle: int) -> None:
        os.close(handle)

    def read_into(self, handle: int, view: memoryview, offset: int) -> int:
        """Fills ``view`` from ``offset`` on; returns the bytes read: 0 at the end of the file, else any number."""
        if hasattr(os, "preadv"):
            return os.preadv(handle, [view], offset)
        if hasattr(os, "pread"):
            data = os.pread(handle, len(view), offset)
        else:  # Windows has no positional read: each handle is used by one thread there
            os.lseek(handle, offset, os.SEEK_SET)
            data = os.read(handle, len(view))
        view[: len(data)] = data
        return len(data)

    def write(self, handle: int, data: bytes | memoryview, offset: int) -> int:
        """Writes at ``offset``; returns the bytes written, which may be fewer than given."""
        if hasattr(os, "pwrite"):
            return os.pwrite(handle, data, offset)
        os.lseek(handle, offset, os.SEEK_SET)
        return os.write(handle, data)

    def sync(self, handle: int) -> None:
        """Returns when every byte written so far is on the disk itself."""
        _sync(handle)

    def truncate(self, handle: int, size: int) -> None:
        os.ftruncate(handle, size)

    def size(self, handle: int) -> int:
        if hasattr(os, "pwrite"):  # then nobody uses the place that a handle keeps, and it tells for a third of fstat
            return os.lseek(handle, 0, os.SEEK_END)
        return os.fstat(handle).st_size

    def identity(self, handle: int) -> Identity:
        status = os.fstat(handle)
        return status.st_dev, status.st_ino

    def identity_at(self, path: str) -> Identity | None:
        """The identity of the file that has this name now; None when there is none."""
        try:
            status = os.stat(path)
        except (FileNotFoundError, NotADirectoryError):  # of the latter: a file stands where a folder is named
            return None
        return status.st_dev, status.st_ino

    def kind(self, path: str) -> str | None:
        """``file``, ``folder``, ``other`` (a device, a pipe), or None when there is nothing."""
        try:
            mode = os.stat(path).st_mode
        except (FileNotFoundError, NotADirectoryError):
            return None
        return "file" if stat.S_ISREG(mode) else "folder" if stat.S_ISDIR(mode) else "other"

    def names(self, folder: str) -> list[str]:
        """The names in a folder, in no particular order."""
        return os.listdir(folder)

    def make_folder(self, path: str) -> None:
        """Makes a folder that only its owner may enter. FileExistsError when the name is taken."""
        os.mkdir(path, FOLDER_MODE)

    def link(self, source: str, target: str) -> None:
        """Gives ``source`` the name ``target``, and takes the old one away. FileExistsError when it is taken."""
        try:
            os.link(source, target)
        except OSError as error:
            if isinstance(error, FileExistsError):
                raise
            # a file system without hard links (FAT, some network ones): the writer's lock still keeps others out
            if os.path.lexists(target):
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), target) from error
            os.rename(source, target)
        else:
            os.unlink(source)

    def replace(self, source: str, target: str) -> None:
        """Gives a file or a folder the name ``target``, in place of a file that has it."""
        os.replace(source, target)

    def remove(self, path: str) -> None:
        os.unlink(path)

    def remove_folder(self, path: str) -> None:
        """Removes a folder that is empty."""
        os.rmdir(path)

    def sync_folder(self, path: str) -> None:
        """Makes the names in a folder durable. Windows has no such call; its journal keeps them in order."""
        if sys.platform == "win32":
            return
        handle = os.open(path, os.O_RDONLY | _CLOEXEC)
        try:
            os.fsync(handle)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # what file systems say that sync names by themselves
                raise
        finally:
            os.close(handle)

    def lock(self, handle: int) -> bool:
        """Takes the exclusive lock of a file, without waiting; False when another open file holds it."""
        try:
            if sys.platform == "win32":
                os.lseek(handle, _LOCK_BYTE, os.SEEK_SET)
                msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
            else:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.EWOULDBLOCK, errno.EACCES, errno.EDEADLK):
                return False
            raise
        return True

    def unlock(self, handle: int) -> None:
        """Gives a lock back, for every duplicate of the handle in any process."""
        if sys.platform == "win32":
            os.lseek(handle, _LOCK_BYTE, os.SEEK_SET)
            msvcrt.locking(handle, msvcrt.LK_UNLCK, 1)
        else:
            fcntl.flock(handle, fcntl.LOCK_UN)

    def touch(self, handle: int, path: str) -> None:
        """Sets a file's time of modification to now."""
        os.utime(handle if os.utime in os.supports_fd else path)

    def modified(self, handle: int) -> int:
        """A file's time of modification: ns since the epoch, UTC."""
        return os.fstat(handle).st_mtime_ns

    def times(self, handle: int) -> tuple[int, int]:
        """The times when a file was last modified, and when anything about it was changed (Windows: made): ns, UTC."""
        status = os.fstat(handle)
        return status.st_mtime_ns, status.st_ctime_ns

    def space(self, path: str) -> Space:
        """The bytes of the file system that a file or folder is on. A quota may allow less."""
        import shutil  # it loads three compressors: not before a script's first line

        usage = shutil.disk_usage(path)
        return Space(usage.free, usage.total)

    def mounts(self) -> str:
        """The file systems that are mounted, in the form of Linux' ``/proc/mounts``; "" where that cannot be told."""
        try:
            with open("/proc/mounts", encoding="utf-8", errors="surrogateescape") as mounts:
                return mounts.read()
        except OSError:
            return ""


def _sync_call() -> Callable[[int], None]:
    if sys.platform == "darwin" and hasattr(fcntl, "F_FULLFSYNC"):
        # fsync alone leaves the bytes in the drive's cache there
        return lambda handle: _full_sync(handle)
    return getattr(os, "fdatasync", os.fsync)


def _full_sync(handle: int) -> None:
    try:
        fcntl.fcntl(handle, fcntl.F_FULLFSYNC)  # type: ignore[attr-defined,unused-ignore]
    except OSError as error:
        if error.errno not in (errno.ENOTSUP, errno.EINVAL, errno.ENOTTY):  # a file system that cannot: do what it can
            raise
        os.fsync(handle)


_sync = _sync_call()

OS_DISK = Disk()


def write_all(disk: Disk, handle: int, data: bytes, offset: int) -> None:
    """Write all of ``data`` at ``offset``, in as many goes as the system takes. Raises OSError."""
    written = 0
    while written < len(data):
        try:
            count = disk.write(handle, memoryview(data)[written:] if written else data, offset + written)
        except InterruptedError:
            continue
        if count == 0:
            raise OSError(f"nothing could be written at offset {offset + written}")
        written += count


def sync_file(disk: Disk, handle: int) -> None:
    """Sync, again if a signal came in between. Raises OSError."""
    while True:
        try:
            return disk.sync(handle)
        except InterruptedError:
            continue
