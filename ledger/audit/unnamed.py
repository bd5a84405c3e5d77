"""A ledger that is being made of another one, and has a name of its own only when all of it is right."""

import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from hashlib import sha256
from typing import Self

import msgspec

from ezmsg.ledger.errors import LogError
from ezmsg.ledger.storage.disk import Disk, sync_file, write_all
from ezmsg.ledger.storage.file_access import NEW, explained
from ezmsg.ledger.storage.header import check_states, new_header, segment_bytes
from ezmsg.ledger.storage.reading.open_file import FIRST, ORIGINS_MAX
from ezmsg.ledger.storage.reading.scan import PIECE, Hash
from ezmsg.ledger.structural import Origin, encode_commit

NUMBER = FIRST + 1
"""The segment that such a ledger is: it begins as the second one of a folder does whose first one was dropped."""


class Unnamed(ABC):
    """A file or folder that has its own name, ``target``, only when ``keep`` has given it that.

    Until then it is at ``path``, a ledger that can be read, and goes when the context ends. Raises LogError when there
    is something of that name, or the system refuses.
    """

    def __init__(self, disk: Disk, target: str) -> None:
        self.target = os.path.abspath(target)
        self.path = self.target + NEW
        self._disk = disk
        self._kept = False
        for path in (self.target, self.path):
            with self._explained():
                taken = disk.kind(path) is not None
            if taken:
                raise LogError(f"{path} exists", hint="Choose another name, or see what it is and move it away.")

    def __enter__(self) -> Self:
        try:
            with self._explained():
                self._make()
        except BaseException:
            self._discard()
            raise
        return self

    def __exit__(self, *raised: object) -> None:
        if not self._kept:
            self._discard()

    @abstractmethod
    def _make(self) -> None:
        """Make the file or folder at ``path``. Raises OSError."""

    def keep(self) -> None:
        """Give it its name. Raises LogError when something has got that meanwhile, or the system refuses."""
        disk = self._disk
        with self._explained():
            if disk.kind(self.path) == "folder":
                disk.sync_folder(self.path)
                if disk.kind(self.target) is not None:
                    raise FileExistsError(f"{self.target} exists")
                disk.replace(self.path, self.target)
            else:
                disk.link(self.path, self.target)
            self._kept = True
            disk.sync_folder(os.path.dirname(self.target))

    def _discard(self) -> None:
        """Give back the room of what was not kept."""
        if self._disk.kind(self.path) == "folder":
            for name in self._disk.names(self.path):
                self._disk.remove(os.path.join(self.path, name))
            self._disk.remove_folder(self.path)
        elif self._disk.kind(self.path) is not None:
            self._disk.remove(self.path)

    def _explained(self) -> AbstractContextManager[None]:
        return explained(self.target, "written", _HINT)


_HINT = "Nothing was kept of it. Choose a place (--output) that you may write to and that has room."


class Derived(Unnamed):
    """A ledger of one file with an id of its own that begins after event ``upto`` of another one.

    It begins with ``states``, the parts of a checkpoint of that moment, and names its ``origins``, the nearest one
    last. ``now``: ns since the epoch, UTC. ``add`` gives it events; ``seal`` closes it in good order.
    """

    def __init__(
        self, disk: Disk, target: str, *, upto: int, states: Sequence[bytes], origins: Sequence[Origin], now: int
    ) -> None:
        super().__init__(disk, target)
        check_states(states)
        self.header = new_header(now)
        self._upto, self._states, self._origins, self._now = upto, states, origins, now
        self._handle = -1
        self._waiting = bytearray()
        self._written = 0
        self._hash: Hash = sha256()

    def __exit__(self, *raised: object) -> None:
        self._close()
        super().__exit__(*raised)

    def _discard(self) -> None:
        self._close()
        super()._discard()

    def _make(self) -> None:
        self._handle = self._disk.create(self.path)
        digest = self._origins[-1].sha256
        data, _, self._hash = segment_bytes(self.header, NUMBER, self._now, self._upto, digest, self._states)
        self._waiting += data
        lines = [msgspec.json.encode(origin) for origin in self._origins]
        if sum(map(len, lines)) + len(lines) > ORIGINS_MAX:
            raise LogError(
                f"what is to be said of the origin of {self.target} takes more than {ORIGINS_MAX} bytes",
                hint="Name fewer settings, by patterns such as 'RIG/*.subject'.",
            )
        self._commit(lines, 0)

    def add(self, lines: Sequence[bytes], upto: int) -> None:
        """Add event lines, without their newlines, as one commit; ``upto``: the last seq. Raises LogError."""
        self._upto = upto
        with self._explained():
            self._commit(lines, len(lines))
            if len(self._waiting) >= PIECE:
                self._write()

    def seal(self) -> None:
        """Bring all of it to the disk, with a seal. Raises LogError."""
        with self._explained():
            self._write()
            sync_file(self._disk, self._handle)
            self._commit((), 0, synced=True)
            self._write()
            sync_file(self._disk, self._handle)
            self._close()

    def _commit(self, lines: Iterable[bytes], count: int, *, synced: bool = False) -> None:
        data = b"".join(line + b"\n" for line in lines)
        self._hash.update(data)
        at = self._written + len(self._waiting) + len(data)
        commit = encode_commit(self._upto, count, at, at if synced else 0, self._hash.hexdigest())
        self._hash.update(commit)
        self._waiting += data + commit

    def _write(self) -> None:
        write_all(self._disk, self._handle, bytes(self._waiting), self._written)
        self._written += len(self._waiting)
        self._waiting.clear()

    def _close(self) -> None:
        if self._handle >= 0:
            self._disk.close(self._handle)
            self._handle = -1
