"""The content of a lock file: one block that says who writes, and what that writer could not write.

The block has all its bytes as soon as the lock is taken. So it can be written again, in its place, on a disk that is
full: it is where a process leaves word of what it takes with it when it ends.
"""

import msgspec

from ezmsg.ledger.lock.holder import Holder
from ezmsg.ledger.storage.disk import Disk, write_all

BLOCK = 2048
"""Bytes of the block: a few short fields, and spaces after them."""

READ_MAX = 2 * BLOCK
"""Bytes of a lock file that are read."""

ERROR_MAX = 300
"""Characters that are kept of the reason why nothing could be written."""


def write_block(disk: Disk, handle: int, holder: Holder | None) -> None:
    """Say who holds the lock; None: nobody. Raises OSError."""
    if holder is not None and holder.unwritten:
        error = holder.unwritten.error[:ERROR_MAX].encode("utf-8", "replace").decode()
        unwritten = msgspec.structs.replace(holder.unwritten, error=error)
        holder = msgspec.structs.replace(holder, unwritten=unwritten)
    text = b"" if holder is None else msgspec.json.encode(holder)
    if len(text) >= BLOCK:
        raise OSError(f"{len(text)} bytes are too many for a lock file")
    write_all(disk, handle, text.ljust(BLOCK - 1) + b"\n", 0)
    disk.truncate(handle, BLOCK)


def read_block(disk: Disk, handle: int) -> Holder | None:
    """The holder that a lock file names; None when it names nobody, or tells nothing that can be understood."""
    view = memoryview(bytearray(READ_MAX))
    size = disk.read_into(handle, view, 0)
    try:
        return msgspec.json.decode(view[:size], type=Holder)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):  # not written yet, or spoiled by a power cut
        return None
