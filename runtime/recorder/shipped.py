"""The progress of shipping a ledger: a note beside it, which its shipper keeps and ``status`` reads.

The note is derived: what the stream holds is what counts. It goes with nothing when it is deleted.
"""

import os
import time

import msgspec

from ezmsg.ledger.storage.disk import OS_DISK, write_all
from ezmsg.ledger.storage.file_access import closing_handle, replacing

SUFFIX = ".shipped"


class Shipped(msgspec.Struct, kw_only=True):
    """The state of a ledger's shipper.

    The stream ``to`` (an address) has the ledger ``ledger`` up to event ``seq``, that is up to ``offset`` of file
    ``segment``; ``sequence`` is the number of the message, ``messages`` how many of this ledger it has. ``missing``:
    bytes that it does not have, at ``time``, when this was written; ``acknowledged``: when the stream last took
    something (0 for never). All times are ns since the epoch, UTC. ``trouble`` says why nothing is shipped ("" while
    all is well), ``harm`` what the stream has lost for good, ``pid`` whose note this is.
    """

    to: str
    ledger: str
    name: str
    segment: int = 0
    offset: int = 0
    seq: int = 0
    sequence: int = 0
    messages: int = 0
    missing: int = 0
    acknowledged: int = 0
    trouble: str = ""
    harm: str = ""
    stopped: bool = False
    pid: int = 0
    time: int = 0


def write(location: str, shipped: Shipped) -> None:
    """Leave the note beside the ledger at ``location``, in place of the one before. Raises OSError."""
    shipped.time = time.time_ns()
    shipped.pid = os.getpid()
    with replacing(location + SUFFIX) as beside, closing_handle(OS_DISK, OS_DISK.create(beside)) as handle:
        write_all(OS_DISK, handle, msgspec.json.encode(shipped), 0)


def read(location: str) -> Shipped | None:
    """The note beside the ledger at ``location``; None without one that can be read."""
    try:
        with open(location + SUFFIX, "rb") as file:
            return msgspec.json.decode(file.read(), type=Shipped)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return None
