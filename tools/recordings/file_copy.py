"""A copy of a file that is made in a thread, while its maker does something else."""

import os
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event, Thread
from types import TracebackType
from typing import Self

PIECE_BYTES = 64 * 2**20
"""The bytes that are copied at once; between two pieces the copy can be given up. After each one the thread may have to
wait 5 ms for its turn, while modules are loaded."""

READ_BYTES = 2**20
"""The bytes that are copied at once where they pass through this process."""

_sync_data = getattr(os, "fdatasync", os.fsync)


class FileCopy:
    """A copy of the file ``source`` under the new name ``target``, from the beginning of a ``with`` block on.

    ``wait`` returns when it is whole and on the disk; a block that ends earlier gives it up. The disk takes what is
    copied while the rest is. File systems that share blocks between files (Btrfs, XFS) copy without reading. Cost:
    O(bytes), and no memory.
    """

    def __init__(self, source: str | os.PathLike[str], target: str | os.PathLike[str]) -> None:
        self._source, self._target = source, target
        self._given_up = Event()
        self._error: BaseException | None = None
        self._thread = Thread(target=self._run, name="file-copy", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._given_up.set()
        self._thread.join()

    def wait(self) -> None:
        """Return when the copy is whole and on the disk. Raises OSError for what kept it from that."""
        self._thread.join()
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            with (
                open(self._source, "rb", buffering=0) as source,
                open(self._target, "xb", buffering=0) as target,
                ThreadPoolExecutor(1, "file-copy-disk") as disk,
            ):
                size = os.fstat(source.fileno()).st_size
                done = self._by_system(source.fileno(), target.fileno(), size, disk)
                # what the system does not copy by itself, and what was added meanwhile
                target.seek(done)
                source.seek(done)
                while not self._given_up.is_set() and (data := source.read(READ_BYTES)):
                    view = memoryview(data)
                    while view:
                        view = view[target.write(view) :]
                os.fsync(target.fileno())
        except OSError as error:
            if error.filename is None:  # so that it is said which disk it was
                error.filename = os.fspath(self._target)
            self._error = error

    def _by_system(self, source: int, target: int, size: int, disk: ThreadPoolExecutor) -> int:
        """Let the system copy; return the bytes that it did, which may be none. Raises what the disk said."""
        done = 0
        taken: Future[None] | None = None
        if not hasattr(os, "copy_file_range"):
            return done
        while done < size and not self._given_up.is_set():
            try:
                copied = os.copy_file_range(source, target, min(PIECE_BYTES, size - done), done, done)
            except OSError:  # of two file systems, or one that cannot; a disk that is full says so to the next write
                break
            if not copied:
                break
            done += copied
            if taken is None or taken.done():
                if taken is not None:
                    taken.result()  # the system tells of an error once: the last sync would know nothing of it
                taken = disk.submit(_sync_data, target)
        if taken is not None:
            taken.result()
        return done
