"""Shipping: a ledger's bytes go to a stream piece by piece, one append on its way, each refused unless it is next.

The idea: the stream itself says where to go on, never an acknowledgement that was remembered or missed. A time-out is
not a failure: what was not acknowledged may be stored, now or in a while. So whatever an append's outcome is, other
than a plain yes, the last message that the stream has is read, compared with the file, and shipping goes on after it.
The fence (the number that the subject's last message must have) keeps a second append, or a second shipper, out.
While the answer to one append is on its way, the next piece is read and checked, no more.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

from ezmsg.ledger.errors import DamagedLedger, LedgerError
from ezmsg.ledger.tools.fleet.broker import Broker
from ezmsg.ledger.tools.fleet.errors import Disconnected, FenceLost, Forked, NoStream, Refused, Unreachable
from ezmsg.ledger.tools.fleet.message import Malformed, Piece, Stored, stored
from ezmsg.ledger.tools.fleet.shipping.source import Gone, Source

WRONG_FENCE = 10071
"""JetStream's number for an append that another message came before."""

NO_SUCH_STREAM = 10059
"""JetStream's number for a stream that is not there."""

BACKOFF_MIN_S = 0.1
BACKOFF_MAX_S = 10.0
"""How long to wait after a first failure, doubled with each that follows, and at most: a broker that comes back after
days is seen within seconds."""

LOOKS = 2
"""Times that a file is looked at before it counts as damaged: its writer may have been in the middle of taking a commit
back for which there was no room."""


class Reached(NamedTuple):
    """A place that the stream has: after the message ``sequence``, the bytes of ``segment`` up to ``offset`` are there,
    and with them every event up to ``upto``."""

    sequence: int
    segment: int
    offset: int
    upto: int


class Shipper:
    """Ships one ledger. ``step`` does one thing and says how long to wait before the next.

    ``name`` is the rig's, ``shipper`` says which program this is, so that another one can name it. ``known`` is what an
    earlier shipper was acknowledged, and ``taken`` the number of messages that the stream had then, if that is known:
    they are only compared. ``say`` is told, once, what a person should know; ``waits`` holds why nothing is shipped at
    the moment ("" while all is well), ``harm`` what the stream has lost for good.
    """

    def __init__(
        self,
        source: Source,
        broker: Broker,
        name: str,
        shipper: str,
        say: Callable[[str], object],
        known: Reached | None = None,
        taken: int = 0,
    ) -> None:
        self.source = source
        self.reached: Reached | None = None
        """The part of the ledger that the stream was last seen to have; None until it was looked at."""
        self.waits = ""
        self.harm = ""
        self.acknowledged = 0
        """How many appends were acknowledged. Nothing else shows that the broker is well."""
        self.taken = taken
        """How many messages the stream has, at the least: it never has fewer, unless it has lost some."""
        self.has_no_stream = False
        """Whether the broker has said that the stream is not there."""
        self._broker = broker
        self._name = name
        self._shipper = shipper
        self._say = say
        self._known = known
        self._certain = False
        self._uncounted = True
        self._refused = 0
        self._failures = 0
        self._damage = 0

    def step(self) -> float | None:
        """Do one thing: look, or append one piece. Seconds to wait before the next; None when all there is is shipped.

        Raises Forked, FenceLost: this ledger cannot go on there. DamagedLedger, LogError: the file cannot be read.
        """
        self.has_no_stream = False
        try:
            if not self._certain:
                self._look()
            piece = self._next()
            if piece is None:
                self._well()
                return None
            self._append(piece)
        except Disconnected:
            return 0.0  # the next step looks, over a new connection
        except (Unreachable, Refused, Malformed) as error:
            self.has_no_stream = isinstance(error, Refused) and error.code == NO_SUCH_STREAM
            return self.wait(str(error))
        except DamagedLedger:
            self._damage += 1
            if self._damage >= LOOKS:
                raise
            return BACKOFF_MIN_S
        self._well()
        return 0.0

    def doubt(self) -> None:
        """Let the next step look what the stream has: one that has nothing to append would not see that it has lost
        something."""
        self._certain = False
        self._uncounted = True

    # --- where to go on ---

    def _look(self) -> None:
        message = self._broker.last(self.source.id)
        if message is None:
            self._note_loss(None)
            self.reached = None
        else:
            last = stored(message)
            if not self.source.agrees(last.piece):
                raise self._parted(last)
            reached = Reached(last.sequence, last.piece.segment, last.piece.end, last.piece.upto)
            self._note_loss(reached)
            self.reached = self._known = reached
        if self._uncounted:
            self._count()
        self._certain = True
        self._refused = 0

    def _parted(self, last: Stored) -> Exception:
        """Why the stream and the file do not go on from each other: the fence was lost, or this is another history."""
        where = f"{self.source.path} and the stream hold two histories of ledger {self.source.id}"
        what = f"message {last.sequence}, of segment {last.piece.segment} from offset {last.piece.offset}, is another"
        who = f" It was shipped by {last.shipper}" + (f" as {last.name}." if last.name else ".") if last.shipper else ""
        if self._refused == WRONG_FENCE and last.shipper != self._shipper:
            return FenceLost(f"{where}: {what}.{who} Recording goes on; shipping has stopped.")
        return Forked(f"{where}: {what}.{who} Recording goes on; shipping has stopped.")

    def _note_loss(self, now: Reached | None) -> None:
        """Say that the stream has no longer what it had acknowledged; it gets that again."""
        known, self._known = self._known, None
        if known is None or (now is not None and (now.segment, now.offset) >= (known.segment, known.offset)):
            return
        self.taken = 0  # what is left is counted anew
        rest = "nothing of this ledger" if now is None else f"it up to seq {now.upto}"
        self._say(
            f"THE STREAM HAS LOST what it had acknowledged: it had this ledger up to seq {known.upto}, and has {rest} "
            "(restarted empty, or restored from an older copy?). The rest is shipped again from the file."
        )

    def _count(self) -> None:
        """Say when messages are missing before the last one: nothing can be put in their place."""
        there = self._broker.count(self.source.id)
        if there < self.taken and (gap := self._gap(there)):  # no loss where another shipper sent fewer, larger ones
            self.harm = gap
            self._say(
                f"THE STREAM IS NOT WHOLE ANY MORE: {gap}. It had acknowledged that, and the place cannot be filled: "
                "readers stop there. The file has all of it: ship it to another stream, too, with --stream NAME."
            )
        self.taken, self._uncounted = there, False

    def _gap(self, there: int) -> str:
        """The first bytes missing in the stream before its last message; "" without any. Cost: reads all of it."""
        segment, end, sequence = 0, 0, 0
        try:
            while more := self._broker.after(self.source.id, sequence):
                for message in more:
                    piece = stored(message).piece
                    begins = 0 if piece.segment > segment else end
                    if piece.offset > begins:
                        return f"of segment {piece.segment} the bytes from {begins} to {piece.offset} are missing"
                    segment, end, sequence = piece.segment, piece.end, message.sequence
        except NoStream:  # a rig has the right to ship, and perhaps not to read
            return f"it has {there} of the messages of this ledger, and had {self.taken}"
        return ""

    # --- what is next ---

    def _next(self) -> Piece | None:
        segment = self.source.first if self.reached is None else self.reached.segment
        offset = 0 if self.reached is None else self.reached.offset
        try:
            piece = self.source.piece(segment, offset)
        except Gone as gone:
            self._say(
                f"{gone}: it was removed before all of it was shipped. Shipping goes on with segment {gone.next}."
            )
            piece = self.source.piece(gone.next, 0)
        self._damage = 0
        return piece

    def _append(self, piece: Piece) -> None:
        fence = 0 if self.reached is None else self.reached.sequence
        self._certain = False  # until the answer is a plain yes
        try:
            sequence = self._broker.append(
                self.source.id, piece, fence, self._name, self._shipper, lambda: self._prepare(piece)
            )
        except Refused as error:
            self._refused = error.code
            if error.code != WRONG_FENCE:  # it decides nothing
                raise
            return  # the next step looks what came before
        self.acknowledged += 1
        if sequence is None:
            return  # it had that message already, perhaps with fewer commits
        self.taken += 1
        self.reached = self._known = Reached(sequence, piece.segment, piece.end, piece.upto)
        self._certain = True

    def _prepare(self, piece: Piece) -> None:
        """Read and check the piece after this one while the answer to this one is on its way."""
        with suppress(LedgerError, OSError):  # raised when it is the next one's turn
            self.source.prepare(piece)

    # --- how it goes ---

    def wait(self, why: str) -> float:
        """Say, once, why nothing is shipped at the moment; seconds to wait before the next step."""
        if not self.waits:
            self._say(f"{why}. Recording goes on; what is not shipped yet follows when the broker takes it.")
        self.waits = why
        self._failures += 1
        return float(min(BACKOFF_MAX_S, BACKOFF_MIN_S * 2 ** min(self._failures - 1, 16)))

    def _well(self) -> None:
        if self.waits:
            self._say("the broker takes what it is given again")
        self.waits = ""
        self._failures = 0
