"""Structural lines: what a ledger says about itself. Their types start with ``ledger.``; they have no seq."""

from typing import TypeAlias

import msgspec

FORMAT = 1
"""The format of the file as a whole. Event types come and go without changing it."""

SEGMENT_FORMAT = 2
"""The format of a file that goes on where another one ended: a reader of format 1 alone would miss what came before."""


class Header(msgspec.Struct, frozen=True, gc=False, tag_field="type", tag="ledger.header"):
    """The first line. ``id`` names the ledger for ever; ``created``: ns since the epoch, UTC."""

    format: int
    id: str
    created: int


class Commit(msgspec.Struct, frozen=True, gc=False, tag_field="type", tag="ledger.commit"):
    """Closes one append: the ``count`` events since the last commit line, up to seq ``upto``, happened.

    ``at`` is the byte offset of this line, ``synced`` the offset known to be durable when it was written, ``sha256``
    the hex digest of every byte of the file before this line.
    """

    upto: int
    count: int
    at: int
    synced: int
    sha256: str

    @property
    def seals(self) -> bool:
        """Whether the writer closed the file with it: no events, and all before it was on the disk."""
        return self.count == 0 and self.synced == self.at


class Recovered(msgspec.Struct, frozen=True, gc=False, tag_field="type", tag="ledger.recovered"):
    """A torn tail of ``bytes`` bytes at offset ``at`` was cut and kept in the file ``saved`` beside the ledger."""

    at: int
    bytes: int
    saved: str
    time: int


class Segment(msgspec.Struct, frozen=True, gc=False, tag_field="type", tag="ledger.segment"):
    """The second line of a file of format 2: it is segment ``number`` of its ledger, from seq ``first`` on.

    ``opened``: ns since the epoch, UTC; ``previous``: the hex digest of every byte of the segment before;
    ``checkpoint``: how many bytes the checkpoint lines take that follow.
    """

    number: int
    opened: int
    first: int
    previous: str
    checkpoint: int


class Checkpoint(msgspec.Struct, frozen=True, gc=False, tag_field="type", tag="ledger.checkpoint"):
    """A part of what a fold knows after event ``upto``: any JSON, whose meaning is known to that fold."""

    upto: int
    state: msgspec.Raw


CUT, REDACTED, SERVED = "cut", "redact", "serve"
"""How a ledger can be made of another one."""


class Origin(msgspec.Struct, frozen=True, gc=False, tag_field="type", tag="ledger.origin"):
    """The ledger that this one was made of: ``made`` tells how, ``cut``, ``redact`` or ``serve``.

    Events ``first`` to ``last`` of ledger ``ledger`` were taken over, at ``time`` (ns since the epoch, UTC). They stood
    in the first ``size`` bytes of its file ``segment``, up to event ``upto``, and in the files before it; ``sha256``
    is the hex digest of these bytes. With a ``salt`` that is keyed and ``size`` is 0: see docs/FORMAT.md.
    ``redacted``: the settings whose values were taken out, as they were named. Of ``serve`` no event was taken over,
    and ``first`` is ``last`` + 1: it began with the graph that stood there after event ``last``.
    """

    made: str
    ledger: str
    segment: int
    size: int
    sha256: str
    upto: int
    first: int
    last: int
    time: int
    salt: str
    redacted: tuple[str, ...]


class UnknownStructural(msgspec.Struct, frozen=True, gc=False):
    """A structural line of a type that this version does not know; passed over."""

    tag: str
    raw: bytes


KnownStructural: TypeAlias = Header | Segment | Checkpoint | Commit | Recovered | Origin
Structural: TypeAlias = KnownStructural | UnknownStructural


STRUCTURAL = (Header, Segment, Checkpoint, Commit, Recovered, Origin, UnknownStructural)
"""The classes of a line that was read and is not an event."""


def encode_commit(upto: int, count: int, at: int, synced: int, sha256: str) -> bytes:
    """A commit line, newline included. A commit line is sound only if it is byte for byte this."""
    return (
        f'{{"type":"ledger.commit","upto":{upto},"count":{count},"at":{at},"synced":{synced},"sha256":"{sha256}"}}\n'
    ).encode("ascii")


COMMIT_PREFIX = b'{"type":"ledger.commit",'
HEADER_PREFIX = b'{"type":"ledger.header",'
ORIGIN_PREFIX = b'{"type":"ledger.origin",'
STRUCTURAL_PREFIX = b'{"type":"ledger.'
