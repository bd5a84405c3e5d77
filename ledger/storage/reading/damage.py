"""Telling damage from a torn tail: what stands after the last sound commit of a file, and what it shows.

A crash leaves bytes where they were written, and loses only what was not known to be on the disk. So there are two
witnesses of damage after a commit: a commit line which states that more was durable than is sound, and a whole commit
line that stands elsewhere than it says, because bytes were put in or taken out before it.
"""

from ezmsg.ledger.errors import DamagedLedger
from ezmsg.ledger.storage.disk import Disk
from ezmsg.ledger.storage.reading.scan import Place, displaced, stated_durable


def damage_after(disk: Disk, handle: int, path: str, place: Place, odd: str = "") -> DamagedLedger | None:
    """The damage right after ``place``, the last commit that is sound; None when what follows is at most a torn tail.

    ``odd`` says what is wrong with the next line, where that is known. Cost: O(bytes after ``place``).
    """
    if disk.size(handle) <= place.offset:
        return None
    if (durable := stated_durable(disk, handle, place.offset)) > place.offset:
        why = f"bytes up to offset {durable} were on the disk, and they have changed"
    elif (found := displaced(disk, handle, place.offset)) is not None:
        why = f"a commit line stands at offset {found[0]} that was written at {found[1]}"
    else:
        return None
    return DamagedLedger(
        f"{path} is damaged after seq {place.seq} (offset {place.offset}): {odd or why}",
        offset=place.offset,
        seq=place.seq,
    )
