"""A disk in memory that forgets at a power cut what was not synced, and fails when it is told to.

What it models: an operating system that keeps writes in its cache, sector by sector, and a drive that takes them in
any order between two syncs. A sector is written whole or not at all; the old bytes of one are never harmed by new bytes
that are written behind them. Names are a matter of their own: they last once their folder was synced.
"""

import errno
import os
from collections.abc import Callable, Iterable, Mapping
from itertools import count
from typing import TypeAlias

from ezmsg.ledger.disk import Disk, Identity
from ezmsg.ledger.tools.selftest.sectors import Node

_devices = count(2**40)  # no simulated file has the identity of a real one, nor of one on another simulated disk


class OpenFile:
    """What a handle and its duplicates share: a lock is theirs together."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.handles = 0


class Folder:
    """A folder: what is in it, as programs see it, and as the disk has it."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.entries: dict[str, Entry] = {}
        self.durable: dict[str, Entry] = {}


Entry: TypeAlias = Node | Folder

NameChange: TypeAlias = tuple[Folder, str, Entry | None]
"""A name in a folder, and what it names from now on: nothing when it is None."""


class SimulatedDisk(Disk):
    """Files and folders in memory, in ``folders`` that are there from the beginning.

    ``step``: called after every call that changes what a power cut would leave. ``fault``: called before every call,
    with its name and what it is about; what it raises is what the system says. ``space``: bytes that may still be
    written. ``write_most``: bytes that one write takes at most. ``evict``: whether reading shows, after a failed sync,
    what the disk has.

    ``changes`` are the changes of names that no sync of their folder has brought to the disk. A change of several names
    is done or lost as one; a move from one folder into another lasts once the other was synced.
    """

    def __init__(self, files: Mapping[str, bytes] | None = None, folders: Iterable[str] = ("/disk",)) -> None:
        """``files`` and the folders that they are in are on the disk. A name that ends in ``/`` is an empty folder."""
        self.step: Callable[[str], object] = _nothing
        self.fault: Callable[[str, str], object] = no_fault
        self.space: int | None = None
        self.write_most: int | None = None
        self.evict = False
        self.calls = 0
        self._device = next(_devices)
        self._numbers = count(1)
        self._handles: dict[int, OpenFile] = {}
        self._next_handle = count(2**20)
        self._locks: dict[int, OpenFile] = {}
        self._time = 0
        self._roots = {path: Folder(next(self._numbers)) for path in folders}
        self.changes: list[tuple[NameChange, ...]] = []
        for path, content in (files or {}).items():
            self._put(path, content)

    def _put(self, path: str, content: bytes) -> None:
        """See that a file, or an empty folder, is there from the beginning."""
        within, name = os.path.split(path.removesuffix("/"))
        if self._find(within) is None:
            self._put(f"{within}/", b"")
        number = next(self._numbers)
        entry = Folder(number) if path.endswith("/") else Node(number, content)
        folder = self._folder(within)
        folder.entries[name] = folder.durable[name] = entry

    # --- what a test looks at ---

    @property
    def files(self) -> dict[str, Node]:
        """The files as programs see them. An empty folder is in it as an empty file whose name ends in ``/``."""
        return self._walked(lambda folder: folder.entries)

    @property
    def durable_files(self) -> dict[str, Node]:
        """The same, as the names are on the disk."""
        return self.files_after(())

    def contents(self) -> dict[str, bytes]:
        """What programs see: what a killed process, as opposed to a power cut, leaves."""
        return {name: bytes(node.content) for name, node in self.files.items()}

    @property
    def open_handles(self) -> int:
        return len(self._handles)

    def files_after(self, changes: Iterable[tuple[NameChange, ...]]) -> dict[str, Node]:
        """The files on the disk, had it taken these changes of names and no others."""
        after: dict[int, dict[str, Entry]] = {}
        for change in changes:
            for folder, name, entry in change:
                _set(after.setdefault(folder.number, dict(folder.durable)), name, entry)
        return self._walked(lambda folder: after.get(folder.number, folder.durable))

    def _walked(self, entries: Callable[[Folder], dict[str, Entry]]) -> dict[str, Node]:
        found: dict[str, Node] = {}
        folders = list(self._roots.items())
        while folders:
            path, folder = folders.pop()
            inside = entries(folder)
            if not inside and path not in self._roots:
                found[f"{path}/"] = Node(folder.number)
            for name, entry in inside.items():
                if isinstance(entry, Folder):
                    folders.append((f"{path}/{name}", entry))
                else:
                    found[f"{path}/{name}"] = entry
        return found

    def after_kill(self) -> "SimulatedDisk":
        """The same disk, when every process that had files on it open is dead: what they wrote stands, their locks are
        gone. The old one must not be written to any more."""
        disk = SimulatedDisk()
        disk.write_most, disk.evict = self.write_most, self.evict
        disk._roots, disk.changes, disk._numbers = self._roots, self.changes, self._numbers
        return disk

    # --- the seam ---

    def _enter(self, call: str, about: str = "") -> None:
        self.calls += 1
        self.fault(call, about)

    def _node(self, handle: int) -> Node:
        try:
            return self._handles[handle].node
        except KeyError:
            raise _error(errno.EBADF) from None

    def _find(self, path: str) -> Entry | None:
        """What has this name; None when nothing has. Raises NotADirectoryError when a file stands on the way to it."""
        if path in self._roots:
            return self._roots[path]
        within, name = os.path.split(path)
        if not name:
            return None
        folder = self._find(within)
        if isinstance(folder, Node):
            raise _error(errno.ENOTDIR, path)
        return None if folder is None else folder.entries.get(name)

    def _at(self, path: str) -> Node:
        found = self._find(path)
        if found is None:
            raise _error(errno.ENOENT, path)
        if isinstance(found, Folder):
            raise _error(errno.EISDIR, path)
        return found

    def _folder(self, path: str) -> Folder:
        found = self._find(path)
        if found is None:
            raise _error(errno.ENOENT, path)
        if isinstance(found, Node):
            raise _error(errno.ENOTDIR, path)
        return found

    def _handle(self, file: OpenFile) -> int:
        handle = next(self._next_handle)
        self._handles[handle] = file
        file.handles += 1
        return handle

    def _name(self, *change: tuple[str, Entry | None]) -> None:
        """Change what some paths name, all in one."""
        resolved = []
        for path, entry in change:
            within, name = os.path.split(path)
            resolved.append((self._folder(within), name, entry))
        for folder, name, entry in resolved:
            _set(folder.entries, name, entry)
        self.changes.append(tuple(resolved))

    def _new(self, path: str) -> Node:
        node = Node(next(self._numbers))
        self._name((path, node))
        node.modified = self._tick()
        return node

    def _tick(self) -> int:
        self._time += 1
        return self._time

    def open(self, path: str, *, write: bool = False) -> int:
        self._enter("open", path)
        return self._handle(OpenFile(self._at(path)))

    def create(self, path: str) -> int:
        self._enter("create", path)
        if self._find(path) is not None:
            raise _error(errno.EEXIST, path)
        handle = self._handle(OpenFile(self._new(path)))
        self.step("create")
        return handle

    def open_lock(self, path: str) -> int:
        self._enter("open_lock", path)
        return self._handle(OpenFile(self._new(path) if self._find(path) is None else self._at(path)))

    def duplicate(self, handle: int, path: str) -> int:
        self._enter("duplicate", path)
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
        self._enter("read", str(offset))
        piece = memoryview(node.content)[offset : offset + len(view)]
        size = len(piece)
        view[:size] = piece
        piece.release()
        return size

    def write(self, handle: int, data: bytes | memoryview, offset: int) -> int:
        node = self._node(handle)
        self._enter("write", str(offset))
        if self.space == 0:
            raise _error(errno.ENOSPC)
        most = min(limit for limit in (len(data), self.write_most, self.space) if limit is not None)
        if self.space is not None:
            self.space -= most
        node.write(data[:most], offset)
        node.modified = self._tick()
        self.step("write")
        return most

    def sync(self, handle: int) -> None:
        node = self._node(handle)
        try:
            self._enter("sync")
        except OSError as error:
            if error.errno != errno.EINTR:
                node.lose(evict=self.evict)
            raise
        node.sync()
        self.step("sync")

    def truncate(self, handle: int, size: int) -> None:
        node = self._node(handle)
        self._enter("truncate", str(size))
        if size != len(node.content):
            node.truncate(size)
            node.modified = self._tick()
            self.step("truncate")

    def size(self, handle: int) -> int:
        node = self._node(handle)
        self._enter("size")
        return len(node.content)

    def identity(self, handle: int) -> Identity:
        node = self._node(handle)
        self._enter("identity")
        return self._device, node.number

    def identity_at(self, path: str) -> Identity | None:
        self._enter("identity_at", path)
        found = self._seen(path)
        return None if found is None else (self._device, found.number)

    def kind(self, path: str) -> str | None:
        self._enter("kind", path)
        found = self._seen(path)
        return None if found is None else "folder" if isinstance(found, Folder) else "file"

    def _seen(self, path: str) -> Entry | None:
        try:
            return self._find(path)
        except NotADirectoryError:
            return None

    def names(self, folder: str) -> list[str]:
        self._enter("names", folder)
        return list(self._folder(folder).entries)

    def make_folder(self, path: str) -> None:
        self._enter("make_folder", path)
        if self._find(path) is not None:
            raise _error(errno.EEXIST, path)
        self._name((path, Folder(next(self._numbers))))
        self.step("make_folder")

    def remove_folder(self, path: str) -> None:
        self._enter("remove_folder", path)
        if self._folder(path).entries:
            raise _error(errno.ENOTEMPTY, path)
        self._name((path, None))
        self.step("remove_folder")

    def link(self, source: str, target: str) -> None:
        self._enter("link", target)
        if self._find(target) is not None:
            raise _error(errno.EEXIST, target)
        if isinstance(found := self._find(source), Folder):  # of which there are no hard links: it is renamed
            self._move(source, target, found)
            return
        self._name((target, self._at(source)))
        self.step("link")
        self._name((source, None))
        self.step("unlink")

    def replace(self, source: str, target: str) -> None:
        self._enter("replace", target)
        found, there = self._find(source), self._find(target)
        if found is None:
            raise _error(errno.ENOENT, source)
        if isinstance(found, Folder) and isinstance(there, Node):
            raise _error(errno.ENOTDIR, target)
        if isinstance(found, Node) and isinstance(there, Folder):
            raise _error(errno.EISDIR, target)
        if isinstance(there, Folder) and there.entries:
            raise _error(errno.ENOTEMPTY, target)
        if there is not found:  # two names of one file: the system says that nothing is to be done
            self._move(source, target, found)

    def _move(self, source: str, target: str, entry: Entry) -> None:
        if target.startswith(f"{source}/"):  # a folder into itself
            raise _error(errno.EINVAL, target)
        self._name((target, entry), (source, None))
        self.step("replace")

    def remove(self, path: str) -> None:
        self._enter("remove", path)
        self._at(path)
        self._name((path, None))
        self.step("remove")

    def sync_folder(self, path: str) -> None:
        self._enter("sync_folder", path)
        brought = self._brought_by(self._folder(path))
        self.changes = [change for change in self.changes if not any(change is each for each in brought)]
        for change in brought:
            for folder, name, entry in change:
                _set(folder.durable, name, entry)
        self.step("sync_folder")

    def _brought_by(self, folder: Folder) -> list[tuple[NameChange, ...]]:
        """The changes that a sync of ``folder`` brings to the disk, in their order: its own, whatever came before them
        of the same names, and in a folder from which something was moved into it."""
        found: list[tuple[NameChange, ...]] = []
        others = set[int]()
        names = set[tuple[int, str]]()
        for change in reversed(self.changes):
            within = {each.number for each, _, _ in change}
            named = {(each.number, name) for each, name, _ in change}
            if change[0][0] is folder or within & others or named & names:
                found.append(change)
                others |= within - {folder.number}
                names |= named
        return found[::-1]

    def lock(self, handle: int) -> bool:
        node = self._node(handle)
        self._enter("lock")
        return self._locks.setdefault(node.number, self._handles[handle]) is self._handles[handle]

    def unlock(self, handle: int) -> None:
        node = self._node(handle)
        if self._locks.get(node.number) is self._handles[handle]:
            del self._locks[node.number]

    def touch(self, handle: int, path: str) -> None:
        node = self._node(handle)
        self._enter("touch", path)
        node.modified = self._tick()

    def modified(self, handle: int) -> int:
        node = self._node(handle)
        self._enter("modified")
        return node.modified

    def mounts(self) -> str:
        return ""


def _set(entries: dict[str, Entry], name: str, entry: Entry | None) -> None:
    if entry is None:
        entries.pop(name, None)
    else:
        entries[name] = entry


def _nothing(call: str) -> None: ...


def no_fault(call: str, about: str) -> None:
    """All goes well."""


def _error(number: int, path: str | None = None) -> OSError:
    return OSError(number, os.strerror(number), path)
