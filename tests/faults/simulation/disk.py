"""A disk in memory that forgets at a power cut what was not synced, and fails when it is told to.

What it models: an operating system that keeps writes in its cache, sector by sector, and a drive that takes them in
any order between two syncs. A sector is written whole or not at all; the old bytes of one are never harmed by new bytes
that are written after them. Names are a matter of their own: they last once their folder was synced.
"""

import errno
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from itertools import count

from ezmsg.ledger.storage.disk import Disk, Identity, Space

from .sectors import Node
from .tree import Entry, Folder, Tree, system_error

_devices = count(2**40)  # no simulated file has the identity of a real one, nor of one on another simulated disk


ROOM = 2**40
"""Bytes of a disk; all are free where no ``room`` is set."""


class OpenFile:
    """An open file: a handle and its duplicates share it, and its lock."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.handles = 0


class SimulatedDisk(Disk):
    """Files and folders in memory, below ``/disk``.

    ``step``: called after every call that changes what a power cut would leave. ``fault``: called before every call,
    with its name and what it is about; what it raises is what the system says. ``room``: bytes that may still be
    written. ``write_most``: bytes that one write takes at most. ``evict``: whether reading shows, after a failed sync,
    what the disk has. ``tree``: its names.
    """

    def __init__(self, files: Mapping[str, bytes] | None = None) -> None:
        """``files`` and the folders that they are in are on the disk. A name that ends in ``/`` is an empty folder."""
        self.step: Callable[[str], object] = _nothing
        self.fault: Callable[[str, str], object] = no_fault
        self.room: int | None = None
        self.write_most: int | None = None
        self.evict = False
        self._device = next(_devices)
        self._handles: dict[int, OpenFile] = {}
        self._next_handle = count(2**20)
        self._locks: dict[int, OpenFile] = {}
        self._time = 0
        self.tree = Tree(("/disk",))
        for path, content in (files or {}).items():
            self.tree.put(path, content)

    # --- what a test looks at ---

    @property
    def files(self) -> dict[str, Node]:
        """The files as programs see them. An empty folder is in it as an empty file whose name ends in ``/``."""
        return self.tree.files()

    def contents(self) -> dict[str, bytes]:
        """The files as programs see them: what a killed process leaves, as opposed to a power cut."""
        return {name: bytes(node.content) for name, node in self.files.items()}

    @property
    def open_handles(self) -> int:
        return len(self._handles)

    def after_kill(self) -> "SimulatedDisk":
        """The same disk, when every process that had files on it open is dead: what they wrote stands, their locks are
        gone. The old one must not be written to any more."""
        disk = SimulatedDisk()
        disk.write_most, disk.evict = self.write_most, self.evict
        disk.tree = self.tree
        return disk

    # --- the seam ---

    def _node(self, handle: int) -> Node:
        try:
            return self._handles[handle].node
        except KeyError:
            raise system_error(errno.EBADF) from None

    def _handle(self, file: OpenFile) -> int:
        handle = next(self._next_handle)
        self._handles[handle] = file
        file.handles += 1
        return handle

    def _new(self, path: str) -> Node:
        node = self.tree.new_file()
        self.tree.change((path, node))
        node.modified = self._tick()
        return node

    def _tick(self) -> int:
        self._time += 1
        return self._time

    def open(self, path: str, *, write: bool = False) -> int:
        self.fault("open", path)
        return self._handle(OpenFile(self.tree.file(path)))

    def create(self, path: str) -> int:
        self.fault("create", path)
        if self.tree.find(path) is not None:
            raise system_error(errno.EEXIST, path)
        handle = self._handle(OpenFile(self._new(path)))
        self.step("create")
        return handle

    def open_lock(self, path: str) -> int:
        self.fault("open_lock", path)
        return self._handle(OpenFile(self._new(path) if self.tree.find(path) is None else self.tree.file(path)))

    def duplicate(self, handle: int, path: str) -> int:
        self.fault("duplicate", path)
        self._node(handle)
        return self._handle(self._handles[handle])

    def close(self, handle: int) -> None:
        self._node(handle)
        file = self._handles.pop(handle)
        file.handles -= 1
        if not file.handles and self._locks.get(file.node.number) is file:
            del self._locks[file.node.number]

    def read_into(self, handle: int, view: memoryview, offset: int) -> int:
        node = self._node(handle)
        self.fault("read", str(offset))
        piece = memoryview(node.content)[offset : offset + len(view)]
        size = len(piece)
        view[:size] = piece
        piece.release()
        return size

    def write(self, handle: int, data: bytes | memoryview, offset: int) -> int:
        node = self._node(handle)
        self.fault("write", str(offset))
        if self.room == 0:
            raise system_error(errno.ENOSPC)
        most = min(limit for limit in (len(data), self.write_most, self.room) if limit is not None)
        if self.room is not None:
            self.room -= most
        node.write(data[:most], offset)
        node.modified = self._tick()
        self.step("write")
        return most

    def sync(self, handle: int) -> None:
        node = self._node(handle)
        try:
            self.fault("sync", "")
        except OSError as error:
            if error.errno != errno.EINTR:
                node.lose(evict=self.evict)
            raise
        node.sync()
        self.step("sync")

    def truncate(self, handle: int, size: int) -> None:
        node = self._node(handle)
        self.fault("truncate", str(size))
        if size != len(node.content):
            node.truncate(size)
            node.modified = self._tick()
            self.step("truncate")

    def size(self, handle: int) -> int:
        node = self._node(handle)
        self.fault("size", "")
        return len(node.content)

    def identity(self, handle: int) -> Identity:
        node = self._node(handle)
        self.fault("identity", "")
        return self._device, node.number

    def identity_at(self, path: str) -> Identity | None:
        self.fault("identity_at", path)
        found = self._seen(path)
        return None if found is None else (self._device, found.number)

    def kind(self, path: str) -> str | None:
        self.fault("kind", path)
        found = self._seen(path)
        return None if found is None else "folder" if isinstance(found, Folder) else "file"

    def _seen(self, path: str) -> Entry | None:
        try:
            return self.tree.find(path)
        except NotADirectoryError:
            return None

    def space(self, path: str) -> Space:
        self.fault("space", path)
        return Space(ROOM if self.room is None else self.room, ROOM)

    def names(self, folder: str) -> list[str]:
        self.fault("names", folder)
        return list(self.tree.folder(folder).entries)

    def make_folder(self, path: str) -> None:
        self.fault("make_folder", path)
        if self.tree.find(path) is not None:
            raise system_error(errno.EEXIST, path)
        self.tree.change((path, self.tree.new_folder()))
        self.step("make_folder")

    def remove_folder(self, path: str) -> None:
        self.fault("remove_folder", path)
        if self.tree.folder(path).entries:
            raise system_error(errno.ENOTEMPTY, path)
        self.tree.change((path, None))
        self.step("remove_folder")

    def link(self, source: str, target: str) -> None:
        self.fault("link", target)
        with suppress(NotADirectoryError):
            if self.tree.find(target) is not None:
                raise system_error(errno.EEXIST, target)
        self.tree.folder(os.path.dirname(source))  # the system looks at both folders first, this one before the other
        self.tree.find(target)
        if isinstance(found := self.tree.find(source), Folder):  # of which there are no hard links: it is renamed
            self._move(source, target, found)
            return
        self.tree.change((target, self.tree.file(source)))
        self.step("link")
        self.fault("unlink", source)
        self.tree.change((source, None))
        self.step("unlink")

    def replace(self, source: str, target: str) -> None:
        self.fault("replace", target)
        found, there = self.tree.find(source), self.tree.find(target)
        if found is None:
            raise system_error(errno.ENOENT, source)
        if isinstance(found, Folder) and isinstance(there, Node):
            raise system_error(errno.ENOTDIR, target)
        if isinstance(found, Node) and isinstance(there, Folder):
            raise system_error(errno.EISDIR, target)
        if isinstance(there, Folder) and there.entries:
            raise system_error(errno.ENOTEMPTY, target)
        if there is not found:  # two names of one file: the system says that nothing is to be done
            self._move(source, target, found)

    def _move(self, source: str, target: str, entry: Entry) -> None:
        if target.startswith(f"{source}/"):  # a folder into itself
            raise system_error(errno.EINVAL, target)
        self.tree.change((target, entry), (source, None))
        self.step("replace")

    def remove(self, path: str) -> None:
        self.fault("remove", path)
        self.tree.file(path)
        self.tree.change((path, None))
        self.step("remove")

    def sync_folder(self, path: str) -> None:
        self.fault("sync_folder", path)
        self.tree.sync(self.tree.folder(path))
        self.step("sync_folder")

    def lock(self, handle: int) -> bool:
        node = self._node(handle)
        self.fault("lock", "")
        return self._locks.setdefault(node.number, self._handles[handle]) is self._handles[handle]

    def unlock(self, handle: int) -> None:
        node = self._node(handle)
        if self._locks.get(node.number) is self._handles[handle]:
            del self._locks[node.number]

    def touch(self, handle: int, path: str) -> None:
        node = self._node(handle)
        self.fault("touch", path)
        node.modified = self._tick()

    def modified(self, handle: int) -> int:
        node = self._node(handle)
        self.fault("modified", "")
        return node.modified

    def times(self, handle: int) -> tuple[int, int]:
        modified = self.modified(handle)
        return modified, modified

    def mounts(self) -> str:
        return ""


def _nothing(call: str) -> None: ...


def no_fault(call: str, about: str) -> None:
    """All goes well."""
