"""The writer of a ledger and what it could not write, as its lock file tells of both."""

from datetime import datetime
from typing import Annotated, TypeAlias

import msgspec
from msgspec import UNSET, UnsetType

Count: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class Unwritten(msgspec.Struct, frozen=True):
    """The seqs that a writer has given out and cannot write, as its lock file keeps them for the next one.

    ``ledger``: the id of the ledger; ``since``: ns since the epoch, UTC; ``next_seq``: the first seq that is not given
    out; ``error``: why nothing can be written; ``run``: the id of the run, 0 for none; ``topology`` and ``settings``:
    the numbers that the feeds have reached. ``ended`` (ns) is set when the run has ended in good order; then the fields
    after it are those of its ``server.stopped``.
    """

    ledger: str
    since: Count
    next_seq: Count
    error: str
    run: Count = 0
    topology: Count = 0
    settings: Count = 0
    ended: Count | None = None
    reason: str = ""
    by: str | None = None
    exit_code: int | None = None
    signal: str | None = None


class Holder(msgspec.Struct, frozen=True):
    """The process that holds a lock. ``start``: ns since the epoch, UTC, when it was taken.

    ``unwritten``: what it cannot write; None while it can; absent where its version did not say.

    The bounds are those of a process's number and of a time that can be told: a lock file is not synced, and after a
    power cut there can be anything in it.
    """

    pid: Annotated[int, msgspec.Meta(ge=1, lt=2**31)]
    host: str
    start: Count
    unwritten: Unwritten | UnsetType | None = UNSET

    def __str__(self) -> str:
        since = datetime.fromtimestamp(self.start / 1e9).astimezone().isoformat(" ", "seconds")
        return f"process {self.pid} on {self.host}, since {since}"
