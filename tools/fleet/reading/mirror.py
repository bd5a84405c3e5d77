"""A ledger as a stream holds it, checked message by message against its own chain of digests.

The idea: every commit line states the digest of all bytes before it, so a history that was cut, changed, doubled or put
in another order cannot come out of here: each byte is hashed in its place, and nothing counts before a commit line has
confirmed it. The broker is trusted for nothing but bringing the bytes.
"""

from hashlib import sha256
from typing import Protocol

from ezmsg.ledger.errors import DamagedLedger, LedgerError
from ezmsg.ledger.storage.header import read_header
from ezmsg.ledger.storage.reading.scan import COMMIT_LINE, Hash, Place, parse_commit
from ezmsg.ledger.storage.reading.verify import BytesDisk
from ezmsg.ledger.structural import COMMIT_PREFIX, Commit
from ezmsg.ledger.tools.fleet.message import NO_COMMIT, Malformed, Message, Piece, stored

_HINT = (
    "Everything before it can be read. The rig's own file is the truth: look there, or in another copy of the stream."
)


class Sink(Protocol):
    """A place that the bytes go to."""

    def write(self, segment: int, offset: int, data: bytes) -> None:
        """Keep ``data`` at ``offset`` of file ``segment``."""


class Mirror:
    """The sound part of one ledger in a stream, so far as its messages were taken.

    ``sequence`` is the number of the last message, ``segment`` and ``end`` the place after its last byte, ``place``
    the end of the last whole commit of that segment. ``named`` is how the ledger is called in errors.
    """

    def __init__(self, ledger: str, named: str, sink: Sink) -> None:
        self.ledger = ledger
        self.named = named
        self.sequence = 0
        self.segment = 0
        self.end = 0
        self.place = Place(0, 0, b"")
        self.messages = 0
        self._sink = sink
        self._digest: Hash = sha256()
        self._hashed = 0
        self._tail = b""  # what has come since the last whole commit, not hashed yet
        self._begun = False

    def go_on(self, segment: int, sequence: int, place: Place, digest: Hash, begun: bytes) -> None:
        """Begin after message ``sequence``, whose bytes are there already: up to ``place`` of ``segment``, where all
        have this ``digest``, and after it the bytes of a commit that has ``begun``."""
        self.segment, self.sequence, self.place, self.end = segment, sequence, place, place.offset + len(begun)
        self._digest, self._hashed, self._tail, self._begun = digest, place.offset, begun, True

    def take(self, message: Message) -> None:
        """Take the next message. Raises DamagedLedger, which names it, and nothing of it is kept then."""
        try:
            found = stored(message)
        except Malformed as error:
            raise self._broken(message, f"is not of a ledger: {error}") from error
        piece = found.piece
        begins = self._check_place(message, piece)
        previous = self._digest if begins and self.segment else None
        tail, at = (b"", 0) if begins else (self._tail, self._hashed)
        digest: Hash = sha256() if begins else self._digest
        before = Place(0, self.place.seq, b"") if begins else self.place
        data = tail + piece.data
        commit, place, digest = self._last_commit(message, data, at, before, digest)
        known = place.commit
        if piece.sha256 != (NO_COMMIT if known is None else known.sha256) or (place.line and piece.upto != place.seq):
            raise self._broken(
                message, f"states seq {piece.upto}, and its bytes end at seq {place.seq}, or their digest"
            )
        if not self._begun or begins:
            self._check_beginning(message, data, piece, previous)
        self._sink.write(piece.segment, piece.offset, piece.data)
        kept = data if commit is None else data[place.offset - at :]
        self._hashed = at if commit is None else place.offset
        self._digest, self._tail, self.place = digest, kept, place
        self.segment, self.end, self.sequence = piece.segment, piece.end, message.sequence
        self.messages += 1
        self._begun = True

    def _check_place(self, message: Message, piece: Piece) -> bool:
        """Whether the message begins a file; raises DamagedLedger when it is not the one that comes next."""
        if not self._begun:
            if piece.offset:
                raise self._broken(
                    message,
                    f"begins at offset {piece.offset} of segment {piece.segment}: the ones before it are missing",
                )
            return True
        if piece.segment == self.segment and piece.offset == self.end:
            return False
        commit = self.place.commit
        if piece.offset == 0 and piece.segment > self.segment and self.end == self.place.offset and commit is not None:
            if commit.seals or piece.segment > self.segment + 1:
                return True
            raise self._broken(
                message, f"begins segment {piece.segment}, but segment {self.segment} does not end in a seal"
            )
        there, here = (piece.segment, piece.offset), (self.segment, self.end)
        at = f"segment {piece.segment}, offset {piece.offset}"
        if there < here:
            raise self._broken(message, f"holds {at} again: it is doubled, or stands after what it came before")
        missing = f"offset {self.end} to {piece.offset}" if piece.segment == self.segment else f"offset {self.end} on"
        raise self._broken(
            message, f"begins at {at}: a message is missing, or comes later ({missing} of segment {self.segment})"
        )

    def _last_commit(
        self, message: Message, data: bytes, at: int, before: Place, digest: Hash
    ) -> tuple[Commit | None, Place, Hash]:
        """The last commit line in ``data``, which stands at offset ``at``, the place after it, and the digest up to
        there; None, ``before`` and the same digest when there is none."""
        begin, odd = len(data), False
        while (begin := self._line_before(data, begin)) >= 0:
            stop = data.find(b"\n", begin)
            line = data[begin : stop + 1]
            commit = parse_commit(line, at + begin) if stop >= 0 else None
            if commit is None:
                odd |= stop >= 0  # one that goes on in the next message is not odd
                continue
            ahead = digest.copy()
            ahead.update(memoryview(data)[:begin])
            if ahead.hexdigest() != commit.sha256:
                raise self._broken(message, "holds bytes that are not those that were recorded: they were changed")
            ahead.update(line)
            return commit, Place(at + stop + 1, commit.upto, line), ahead
        if odd:
            raise self._broken(message, "holds a commit line that stands where none was written: it was changed")
        return None, before, digest

    @staticmethod
    def _line_before(data: bytes, end: int) -> int:
        found = data.rfind(COMMIT_LINE, 0, end)
        if found >= 0:
            return found + 1
        return 0 if end > 0 and data.startswith(COMMIT_PREFIX) else -1

    def _check_beginning(self, message: Message, data: bytes, piece: Piece, previous: Hash | None) -> None:
        """The first bytes of a file must be of this ledger, of this segment, and go on from the one before."""
        try:
            header, segment, start = read_header(BytesDisk(data), 0, self.named)
        except LedgerError as error:
            raise self._broken(message, f"does not begin as a ledger does: {error}") from error
        if header.id != self.ledger:
            raise self._broken(message, f"is of ledger {header.id}, not {self.ledger}")
        number = 1 if segment is None else segment.number
        if number != piece.segment:
            raise self._broken(message, f"is of segment {number}, and states {piece.segment}")
        if previous is None or segment is None or piece.segment != self.segment + 1:
            return
        if segment.previous != previous.hexdigest() or start.seq != self.place.seq:
            raise self._broken(message, f"begins segment {number}, which goes on from another one than was shipped")

    def _broken(self, message: Message, what: str) -> DamagedLedger:
        return DamagedLedger(
            f"{self.named}: message {message.sequence} {what}",
            offset=self.place.offset,
            seq=self.place.seq,
            hint=_HINT,
        )
