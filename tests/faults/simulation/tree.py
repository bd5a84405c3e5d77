"""The names on a simulated disk: folders, what is in them as programs see it, and as the disk has it."""

import errno
import os
from collections.abc import Callable, Iterable, Sequence
from itertools import count
from typing import TypeAlias

from .sectors import Node


class Folder:
    """A folder: what is in it, as programs see it, and as the disk has it."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.entries: dict[str, Entry] = {}
        self.durable: dict[str, Entry] = {}


Entry: TypeAlias = Node | Folder

NameChange: TypeAlias = tuple[tuple[Folder, str, Entry | None], ...]
"""Names in folders, and what each names from now on: nothing when it is None. All of it is done or lost as one."""


class Tree:
    """Folders and the files in them, below ``folders`` that are there from the beginning.

    ``changes`` are those that no sync of their folder has brought to the disk, oldest first. A move from one folder
    into another lasts once the other was synced.
    """

    def __init__(self, folders: Iterable[str]) -> None:
        self._numbers = count(1)
        self._roots = {path: self.new_folder() for path in folders}
        self.changes: list[NameChange] = []

    def new_file(self, content: bytes = b"") -> Node:
        """A file that has no name yet."""
        return Node(next(self._numbers), content)

    def new_folder(self) -> Folder:
        """A folder that has no name yet."""
        return Folder(next(self._numbers))

    def put(self, path: str, content: bytes) -> None:
        """See that a file is on the disk from the beginning, or an empty folder, when the path ends in ``/``."""
        within, name = os.path.split(path.removesuffix("/"))
        if self.find(within) is None:
            self.put(f"{within}/", b"")
        folder = self.folder(within)
        folder.entries[name] = folder.durable[name] = (
            self.new_folder() if path.endswith("/") else self.new_file(content)
        )

    # --- what has a name ---

    def find(self, path: str) -> Entry | None:
        """The file or folder of this name; None without one. Raises NotADirectoryError when a file is on the way."""
        if path in self._roots:
            return self._roots[path]
        within, name = os.path.split(path)
        if not name:
            return None
        folder = self.find(within)
        if isinstance(folder, Node):
            raise system_error(errno.ENOTDIR, path)
        return None if folder is None else folder.entries.get(name)

    def _found(self, path: str) -> Entry:
        found = self.find(path)
        if found is None:
            raise system_error(errno.ENOENT, path)
        return found

    def file(self, path: str) -> Node:
        """The file of this name. Raises OSError when nothing or a folder has it."""
        found = self._found(path)
        if isinstance(found, Folder):
            raise system_error(errno.EISDIR, path)
        return found

    def folder(self, path: str) -> Folder:
        """The folder of this name. Raises OSError when nothing or a file has it."""
        found = self._found(path)
        if isinstance(found, Node):
            raise system_error(errno.ENOTDIR, path)
        return found

    def files(self) -> dict[str, Node]:
        """The files as programs see them. An empty folder is in it as an empty file whose name ends in ``/``."""
        return self._walked(lambda folder: folder.entries)

    def files_after(self, changes: Iterable[NameChange]) -> dict[str, Node]:
        """The files on the disk, had it taken these of the ``changes`` and no others."""
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

    # --- changes ---

    def change(self, *names: tuple[str, Entry | None]) -> None:
        """Change what some paths name, all in one. Raises OSError when one of them is not in a folder."""
        resolved = []
        for path, entry in names:
            within, name = os.path.split(path)
            resolved.append((self.folder(within), name, entry))
        for folder, name, entry in resolved:
            _set(folder.entries, name, entry)
        self.changes.append(tuple(resolved))

    def sync(self, folder: Folder, among: Sequence[NameChange] | None = None) -> None:
        """Bring the changes of ``folder`` to the disk: all of them, or those ``among`` some, where others came while
        the sync ran."""
        brought = self._brought_by(folder, self.changes if among is None else among)
        self.changes = [change for change in self.changes if not any(change is each for each in brought)]
        for change in brought:
            for within, name, entry in change:
                _set(within.durable, name, entry)

    def _brought_by(self, folder: Folder, among: Sequence[NameChange]) -> list[NameChange]:
        """The changes among some that a sync of ``folder`` brings to the disk, in their order: its own, whatever came
        before them of the same names, and in a folder from which something was moved into it."""
        found: list[NameChange] = []
        others = set[int]()
        names = set[tuple[int, str]]()
        for change in reversed(among):
            within = {each.number for each, _, _ in change}
            named = {(each.number, name) for each, name, _ in change}
            if change[0][0] is folder or within & others or named & names:
                found.append(change)
                others |= within - {folder.number}
                names |= named
        return found[::-1]


def _set(entries: dict[str, Entry], name: str, entry: Entry | None) -> None:
    if entry is None:
        entries.pop(name, None)
    else:
        entries[name] = entry


def system_error(number: int, path: str | None = None) -> OSError:
    """The OSError of an errno, as the system raises it."""
    return OSError(number, os.strerror(number), path)
