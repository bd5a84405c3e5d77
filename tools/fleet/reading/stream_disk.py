"""The files of a shipped ledger, in place of a folder: a mirror writes them, and readers of folders read them.

They are temporary files without a name, so nothing of a ledger stays on the machine that looks at it.
"""

import os
import tempfile
from contextlib import suppress

from ezmsg.ledger.folder.segments import segment_name
from ezmsg.ledger.storage.disk import Disk, Identity, write_all


class StreamDisk(Disk):
    """The segments of one ledger at ``path``, which is an address. It is a folder, if it has but one."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._files: dict[str, tuple[int, int]] = {}  # by name: a descriptor, and its size

    def write_at(self, segment: int, offset: int, data: bytes) -> None:
        """Keep the bytes of a segment. Raises OSError."""
        name = segment_name(segment)
        if name not in self._files:
            with tempfile.TemporaryFile(prefix="ezmsg-ledger-") as file:
                self._files[name] = os.dup(file.fileno()), 0
        handle, size = self._files[name]
        write_all(self, handle, data, offset)
        self._files[name] = handle, max(size, offset + len(data))

    def _handle(self, path: str) -> int:
        folder, _, name = path.rpartition("/")
        if folder != self.path or name not in self._files:
            raise FileNotFoundError(2, "there is no such segment in the stream", path)
        return self._files[name][0]

    def open(self, path: str, *, write: bool = False) -> int:
        return os.dup(self._handle(path))

    def kind(self, path: str) -> str | None:
        if path == self.path:
            return "folder"
        with suppress(FileNotFoundError):
            self._handle(path)
            return "file"
        return None

    def names(self, folder: str) -> list[str]:
        return list(self._files)

    def duplicate(self, handle: int, path: str) -> int:
        return os.dup(handle)

    def identity_at(self, path: str) -> Identity | None:
        try:
            return self.identity(self._handle(path))
        except FileNotFoundError:
            return None

    def __del__(self) -> None:
        # not before: iterators that are under way go on to their end
        while self._files:
            _, (handle, _) = self._files.popitem()
            os.close(handle)
