"""The files of a ledger that is a folder: ``000001.ledger``, ``000002.ledger.zst``, ...: names, and how each begins."""

import os
import re
import threading
from bisect import bisect_right
from contextlib import suppress

from ezmsg.ledger.errors import DamagedLedger, HistoryDropped, LogError, NotALedger
from ezmsg.ledger.storage import compression
from ezmsg.ledger.storage.disk import Disk
from ezmsg.ledger.storage.file_access import explained, size_of
from ezmsg.ledger.storage.header import Opening
from ezmsg.ledger.storage.reading.open_file import FIRST, LedgerFile
from ezmsg.ledger.structural import Header

MOVING = ".folder"
"""The end of a folder's name until the file that becomes its first segment is in it."""

_NAME = re.compile(r"(\d{6,18})\.ledger(\.zst)?")


def segment_name(number: int) -> str:
    """The name of segment ``number`` in its folder, while it is not compressed."""
    return f"{number:06}.ledger"


def number_of(name: str) -> int | None:
    """The number of the segment that has this name; None for any other file."""
    found = _NAME.fullmatch(name)
    return int(found[1]) if found is not None else None


class Segments:
    """The segments in a folder. Others may add to them, compress and remove them meanwhile."""

    def __init__(self, disk: Disk, path: str) -> None:
        self.path = path
        self.disk = disk
        self._openings: dict[int, Opening] = {}
        self._lock = threading.Lock()

    def listed(self) -> dict[int, list[str]]:
        """The names of the files of each segment, by number, rising. Raises LogError."""
        found: dict[int, list[str]] = {}
        with explained(self.path, "read", "Check the permissions of the folder."):
            names = sorted(self.disk.names(self.path))
        for name in names:
            if (number := number_of(name)) is not None:
                found.setdefault(number, []).append(name)
        return dict(sorted(found.items()))

    def numbers(self) -> range:
        """The segments that the history consists of now: the last one, and those that lead to it without a hole.

        Raises NotALedger when there is none.
        """
        found = list(self.listed())
        if not found:
            raise NotALedger(f"{self.path} is a folder without a segment of a ledger", hint=_FOLDER_HINT)
        first = last = found.pop()
        while found and found[-1] == first - 1:
            first = found.pop()
        return range(first, last + 1)

    def hole(self, numbers: range) -> str:
        """The segments that are missing between ``numbers`` and earlier ones, in words; "" when none is.

        Segments before a hole are not part of the history.
        """
        apart = [number for number in self.listed() if number < numbers[0]]
        if not apart:
            return ""
        first, last = apart[-1] + 1, numbers[0] - 1
        gone = f"segment {first} is" if first == last else f"segments {first} to {last} are"
        return f"{gone} missing after segment {apart[-1]}"

    def path_of(self, number: int) -> str | None:
        """The file of a segment: as it was written when there is that, else compressed; None without any."""
        plain = os.path.join(self.path, segment_name(number))
        for _ in range(2):  # it may be compressed between two looks
            for path in (plain, plain + compression.SUFFIX):
                if self.disk.kind(path) == "file":
                    return path
        return None

    def __contains__(self, number: int) -> bool:
        return self.path_of(number) is not None

    def open(self, number: int) -> LedgerFile:
        """Segment ``number``. Raises HistoryDropped when it is gone, DamagedLedger when it begins as no ledger does
        among others that do, and as LedgerFile does.
        """
        for last in (False, True):
            path = self.path_of(number)
            if path is None:
                raise HistoryDropped(f"segment {number} is no longer in {self.path}")
            try:
                file = LedgerFile(self.disk, path)
            except NotALedger as error:
                if not last and self.disk.kind(path) is None:
                    continue  # compressed between the look and the opening
                if len(self.numbers()) > 1:
                    raise DamagedLedger(f"segment {number} is damaged: {error}", offset=0, seq=0) from error
                raise
            try:
                self._check(number, file)
            except BaseException:
                file.close()
                raise
            return file
        raise AssertionError("unreachable")

    def is_costly(self, number: int) -> bool:
        """Whether a segment was compressed by other means than ours, so that all of it is unpacked to look at it."""
        path = self.path_of(number)
        return path is not None and path.endswith(compression.SUFFIX) and not compression.has_table(self.disk, path)

    def _check(self, number: int, file: LedgerFile) -> None:
        if file.number != number:
            raise LogError(
                f"{file.path} is segment {file.number} of its ledger",
                hint=f"Name it {segment_name(file.number)}, or take it away.",
            )
        with self._lock:
            known = next(iter(self._openings.values()), file.opening).header.id
            if file.header.id != known:
                raise LogError(
                    f"{file.path} is a segment of another ledger ({file.header.id}) than the rest ({known})",
                    hint="Keep the segments of each ledger in a folder of their own.",
                )
            self._openings[number] = file.opening

    def opening(self, number: int) -> Opening:
        """The beginning of a segment. Cost: it is opened the first time, then remembered: that never changes."""
        found = self._openings.get(number)
        if found is None:
            with self.open(number) as file:
                return file.opening
        return found

    def header(self) -> Header:
        """The header of the last segment; of the one before where that cannot be read, and so on."""
        numbers = self.numbers()
        for number in reversed(numbers[1:]):
            with suppress(DamagedLedger, NotALedger):
                return self.opening(number).header
        return self.opening(numbers[0]).header

    def first(self, numbers: range) -> int:
        """The seq that the history begins with."""
        return 1 if numbers[0] == FIRST else self.opening(numbers[0]).start.seq + 1

    def containing(self, after: int, numbers: range) -> int:
        """The last segment that begins after event ``after`` or before it; 0 means the first one.

        Raises HistoryDropped when event ``after + 1`` is in none of them. Cost: O(log(segments)).
        """
        if after == 0:
            return numbers[0]
        if self.opening(numbers[-1]).start.seq <= after:
            return numbers[-1]
        first = self.first(numbers)
        if after < first - 1:
            raise HistoryDropped(f"{self.path} begins with seq {first}; seq {after + 1} is no longer there")
        # as many of the rest as begin in time, so far on from the first is the last that does
        return numbers[bisect_right(numbers[1:-1], after, key=lambda number: self.opening(number).start.seq)]

    def size(self) -> int:
        """Bytes of all segments on the disk, compressed ones as they are. Cost: O(segments)."""
        total = 0
        for names in self.listed().values():
            for name in names:
                with suppress(FileNotFoundError):  # compressed or dropped since
                    total += size_of(self.disk, os.path.join(self.path, name))
        return total


_FOLDER_HINT = "A ledger is one file, or a folder of segments: `ezmsg-ledger serve FOLDER --rotate 256MB` makes one."
