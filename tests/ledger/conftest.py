"""Disks that a test can break, and small ledgers to break."""

import errno
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ezmsg.ledger import Ledger
from ezmsg.ledger.events import EdgeConnected, Mark, SessionOpened
from ezmsg.ledger.storage.disk import Disk


class HastyDisk(Disk):
    """Does not wait for the disk: for tests that open hundreds of ledgers and are not about syncing."""

    def sync(self, handle: int) -> None: ...

    def sync_folder(self, path: str) -> None: ...


class FaultyDisk(Disk):
    """A real file beneath; fails as told.

    ``fail[name]`` is how often the method of that name is still to fail, ``space`` how many bytes may still be written.
    A failed sync loses what was written since the last good one, and nobody notices: as Linux does it, which marks the
    pages clean.
    """

    def __init__(self) -> None:
        self.fail: dict[str, int] = {}
        self.space: int | None = None
        self.syncs = 0
        self._unsynced: dict[int, list[tuple[int, int]]] = {}

    def _maybe_fail(self, name: str, code: int) -> None:
        if self.fail.get(name, 0) > 0:
            self.fail[name] -= 1
            raise OSError(code, os.strerror(code))

    def write(self, handle: int, data: bytes | memoryview, offset: int) -> int:
        self._maybe_fail("write", errno.EIO)
        if self.space is not None:
            if self.space == 0:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            data = data[: self.space]
            self.space -= len(data)
        count = super().write(handle, data, offset)
        self._unsynced.setdefault(handle, []).append((offset, count))
        return count

    def sync(self, handle: int) -> None:
        self.syncs += 1
        written = self._unsynced.pop(handle, [])
        try:
            self._maybe_fail("sync", errno.EIO)
        except OSError:
            for offset, count in written:
                os.pwrite(handle, bytes(count), offset)
            raise

    def sync_folder(self, path: str) -> None:
        self._maybe_fail("sync_folder", errno.EIO)

    def truncate(self, handle: int, size: int) -> None:
        self._maybe_fail("truncate", errno.EIO)
        super().truncate(handle, size)

    def create(self, path: str) -> int:
        self._maybe_fail("create", errno.EROFS)
        return super().create(path)

    def open_lock(self, path: str) -> int:
        self._maybe_fail("open_lock", errno.EACCES)
        return super().open_lock(path)

    def open(self, path: str, *, write: bool = False) -> int:
        self._maybe_fail("open", errno.EACCES)
        return super().open(path, write=write)


@pytest.fixture
def hasty() -> HastyDisk:
    return HastyDisk()


@pytest.fixture
def faulty() -> FaultyDisk:
    return FaultyDisk()


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory where there is one: for tests that write a file a thousand times."""
    if not os.access("/dev/shm", os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir="/dev/shm") as name:
        yield Path(name)


@pytest.fixture
def path(folder: Path) -> Path:
    """Where a test's ledger goes."""
    return folder / "x.ledger"


@pytest.fixture
def marks() -> Callable[..., list[Mark]]:
    """``marks("a", "b")``: one event per name."""
    return lambda *names: [Mark(name=name) for name in names]


@pytest.fixture
def small(path: Path, hasty: HastyDisk) -> Path:
    """A ledger of three commits, six events, written in two runs and closed in good order."""
    with Ledger.open(path, durability="none", disk=hasty, clock=iter(range(1000, 9999)).__next__) as ledger:
        ledger.append([SessionOpened(uuid="u", label="DEMO"), EdgeConnected(from_topic="A", to_topic="B", owner=1)])
        ledger.append([Mark(name="one")])
    with Ledger.open(path, durability="none", disk=hasty, clock=iter(range(2000, 9999)).__next__) as ledger:
        ledger.append([Mark(name="two"), Mark(name="drei \u2192"), Mark(name="four")])
    return path
