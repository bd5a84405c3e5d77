"""Sealed segments that are compressed: Zstandard, in frames that can be read one by one.

The file ends in the table of Zstandard's *seekable format*, a frame that every decompressor passes over: ``zstdcat``
gives back the segment to the byte. A file that was compressed by other means has no such table, and is unpacked once
into a temporary file that has no name.
"""

import os
import struct
from bisect import bisect_right
from collections.abc import Callable, Iterator
from itertools import accumulate
from typing import Any

from ezmsg.ledger.errors import DamagedLedger, LogError
from ezmsg.ledger.extras import needed
from ezmsg.ledger.storage.disk import Disk, Identity
from ezmsg.ledger.storage.file_access import closing_handle, write_new
from ezmsg.ledger.storage.reading.scan import hash_file, read_at

SUFFIX = ".zst"

FRAME = 2**20
"""Bytes of a segment in one frame: a seek unpacks that much (a millisecond), and larger ones save next to nothing."""

LEVEL = 3
"""Zstandard's own default: a tenth of the size, at some hundred MB/s. Higher ones take far longer for little."""

FRAME_MAX = 64 * 2**20
"""Bytes that one frame may unpack to, by any program: what a file says of its sizes is bounded before it is believed.
A file of larger frames is unpacked piece by piece."""

WINDOW_MAX = 2**27
"""Bytes of what came before that a frame may refer to; the command zstd has the same bound."""

FEED = 2**12
"""Bytes given to the decompressor at a time: each can become 32,768 at most."""

_TABLE_MAGIC, _FOOTER_MAGIC = 0x184D2A5E, 0x8F92EAB1
_FOOTER = struct.Struct("<IBI")
_ENTRY = struct.Struct("<II")


def pack(disk: Disk, source: str, target: str, stop: Callable[[], bool]) -> None:
    """Write file ``source`` compressed to ``target``, sync that, and see that it gives back the same bytes.

    Raises OSError; InterruptedError when ``stop`` says so; LogError without the library, or when what was written
    differs. Cost: some hundred MB/s.
    """
    with closing_handle(disk, disk.open(source)) as handle:
        size = disk.size(handle)
        write_new(disk, target, _frames(disk, handle, size, stop))
        wanted = hash_file(disk, handle, size).digest()
    packed = PackedDisk(disk)
    with closing_handle(packed, packed.open(target)) as handle:
        found = hash_file(packed, handle, packed.size(handle)).digest()
    if found != wanted:
        raise LogError(f"{target} does not give back {source}", hint="Check the disk. The segment stays as it is.")


def _frames(disk: Disk, handle: int, size: int, stop: Callable[[], bool]) -> Iterator[bytes]:
    """The compressed frames of a file, and the table of them."""
    compressor = library().ZstdCompressor(level=LEVEL, write_checksum=True)
    entries = []
    for begin in range(0, size, FRAME):
        if stop():
            raise InterruptedError("compressing was stopped")
        piece = read_at(disk, handle, begin, min(FRAME, size - begin))
        frame = compressor.compress(piece)
        entries.append(_ENTRY.pack(len(frame), len(piece)))
        yield frame
    body = b"".join(entries) + _FOOTER.pack(len(entries), 0, _FOOTER_MAGIC)
    yield struct.pack("<II", _TABLE_MAGIC, len(body)) + body


def library() -> Any:
    """The module zstandard. Raises LogError, saying which extra brings it."""
    instead = ". Or unpack the segment: zstd -d FILE."
    return needed("zstandard", "ezmsg-ledger[zstd]", "A compressed segment", LogError, instead)


def is_there() -> bool:
    """Whether the module zstandard can be imported."""
    try:
        library()
    except LogError:
        return False
    return True


class PackedDisk(Disk):
    """A compressed file, read as the file that it was: sizes, offsets and bytes are that one's."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self._path = ""
        self._ends: list[int] = []  # of each frame: where its bytes end
        self._offsets: list[int] = []  # and where it begins in the file
        self._frame: tuple[int, bytes] = (-1, b"")
        self._unpacker: Any = None

    def open(self, path: str, *, write: bool = False) -> int:
        """A handle of the file. Raises OSError, LogError without the library, DamagedLedger unless it is Zstandard."""
        zstandard = library()
        handle = self._disk.open(path)
        self._path = path
        try:
            if self._read_table(handle):
                self._unpacker = zstandard.ZstdDecompressor()
                return handle
            return self._unpacked(zstandard, handle)
        except BaseException:
            self._disk.close(handle)
            raise

    def _read_table(self, handle: int) -> bool:
        """Take over the table at the end of the file; False when there is none that fits the file, or can be used."""
        size = self._disk.size(handle)
        number, flags, magic = _FOOTER.unpack(_exactly(read_at(self._disk, handle, size - _FOOTER.size, _FOOTER.size)))
        begin = size - _FOOTER.size - number * _ENTRY.size - 8
        if magic != _FOOTER_MAGIC or flags or begin < 0:
            return False
        table = read_at(self._disk, handle, begin + 8, number * _ENTRY.size)
        entries = list(_ENTRY.iter_unpack(table))
        self._offsets = list(accumulate((packed for packed, _ in entries), initial=0))
        self._ends = list(accumulate(plain for _, plain in entries))
        return bool(self._offsets[-1] == begin) and max((plain for _, plain in entries), default=0) <= FRAME_MAX

    def _unpacked(self, zstandard: Any, handle: int) -> int:
        """A handle of the whole, unpacked. Memory stays flat; the temporary folder has to have room."""
        size, offset, written = self._disk.size(handle), 0, 0
        unpacker = zstandard.ZstdDecompressor(max_window_size=WINDOW_MAX).decompressobj(read_across_frames=True)
        import tempfile  # with all that it loads, and few ledgers are compressed

        with tempfile.TemporaryFile() as file:
            while offset < size:
                piece = read_at(self._disk, handle, offset, FEED)
                offset += len(piece)
                try:
                    plain = unpacker.decompress(piece)
                except (zstandard.ZstdError, MemoryError) as error:
                    raise self._damaged(written, error) from error
                written += len(plain)
                file.write(plain)
            file.flush()
            self._disk.close(handle)
            return os.dup(file.fileno())

    def _damaged(self, offset: int, error: Exception) -> DamagedLedger:
        return DamagedLedger(
            f"{self._path} is damaged: it cannot be unpacked at offset {offset} of the segment: {error}",
            offset=offset,
            seq=0,
        )

    def read_into(self, handle: int, view: memoryview, offset: int) -> int:
        if self._unpacker is None:
            return super().read_into(handle, view, offset)
        if not 0 <= offset < self.size(handle):
            return 0
        index = bisect_right(self._ends, offset)
        begin = self._ends[index - 1] if index else 0
        piece = self._unpack(handle, index)[offset - begin :][: len(view)]
        view[: len(piece)] = piece
        return len(piece)

    def _unpack(self, handle: int, index: int) -> bytes:
        known, data = self._frame
        if known == index:
            return data
        begin, end = self._offsets[index : index + 2]
        plain = self._ends[index] - (self._ends[index - 1] if index else 0)
        frame = read_at(self._disk, handle, begin, end - begin)
        try:
            stated = library().get_frame_parameters(frame)  # the bytes it asks for are given before any is unpacked
            if stated.content_size not in (plain, library().CONTENTSIZE_UNKNOWN) or stated.window_size > WINDOW_MAX:
                raise library().ZstdError(f"it says that it holds {stated.content_size} bytes, not {plain}")
            data = self._unpacker.decompress(frame, max_output_size=plain, allow_extra_data=False)
        except library().ZstdError as error:
            raise self._damaged(self._ends[index] - plain, error) from error
        if len(data) != plain:
            raise self._damaged(self._ends[index] - plain, ValueError(f"{len(data)} bytes, not {plain}"))
        self._frame = (index, data)
        return bytes(data)

    def size(self, handle: int) -> int:
        if self._unpacker is None:
            return super().size(handle)
        return self._ends[-1] if self._ends else 0

    def duplicate(self, handle: int, path: str) -> int:
        return os.dup(handle) if self._unpacker is None else self._disk.duplicate(handle, path)

    def close(self, handle: int) -> None:
        os.close(handle) if self._unpacker is None else self._disk.close(handle)

    def kind(self, path: str) -> str | None:
        return self._disk.kind(path)

    def identity_at(self, path: str) -> Identity | None:
        return self._disk.identity_at(path)


def has_table(disk: Disk, path: str) -> bool:
    """Whether a compressed file ends as a table does: then a look at its end costs a frame, unless it is damaged."""
    with closing_handle(disk, disk.open(path)) as handle:
        footer = read_at(disk, handle, max(0, disk.size(handle) - _FOOTER.size), _FOOTER.size)
        return bool(_FOOTER.unpack(_exactly(footer))[2] == _FOOTER_MAGIC)


def _exactly(footer: bytes) -> bytes:
    return footer.ljust(_FOOTER.size, b"\0")
