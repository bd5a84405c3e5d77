"""The writer of a ledger, as its lock file names it."""

from datetime import datetime
from typing import Annotated

import msgspec


class Holder(msgspec.Struct, frozen=True):
    """The process that holds a lock. ``start``: ns since the epoch, UTC, when it was taken.

    The bounds are those of a process's number and of a time that can be told: a lock file is not synced, and after a
    power cut there can be anything in it.
    """

    pid: Annotated[int, msgspec.Meta(ge=1, lt=2**31)]
    host: str
    start: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]

    def __str__(self) -> str:
        since = datetime.fromtimestamp(self.start / 1e9).astimezone().isoformat(" ", "seconds")
        return f"process {self.pid} on {self.host}, since {since}"
