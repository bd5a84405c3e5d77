"""A ledger that was shipped to a stream, open for reading: ``Ledger.open("nats://HOST:PORT/STREAM/ID", "r")``.

The idea: what is read is a mirror of the stream, made on the way and checked byte for byte, so every question that can
be asked of a folder of segments can be asked here. The mirror asks for what comes next by number, again and again: no
consumer, no buffer at the broker that could overflow, so a reader that is slow loses nothing.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

from msgspec.structs import replace

from ezmsg.ledger.errors import DamagedLedger, HistoryChanged, NotALedger
from ezmsg.ledger.events import AnyEvent
from ezmsg.ledger.storage.reading.reader import Stop, pause
from ezmsg.ledger.storage.reading.scan import Place as LedgerPlace
from ezmsg.ledger.storage.reading.verify import Verification
from ezmsg.ledger.stores.disk_reader import DiskReader
from ezmsg.ledger.tools.fleet.errors import NoStream, Refused, Unreachable
from ezmsg.ledger.tools.fleet.jetstream.nats_broker import NatsBroker
from ezmsg.ledger.tools.fleet.jetstream.place import Place, parse
from ezmsg.ledger.tools.fleet.message import Malformed, Message, is_token, stored
from ezmsg.ledger.tools.fleet.reading.mirror import Mirror
from ezmsg.ledger.tools.fleet.reading.stream_disk import StreamDisk

SAME_S = 1.0
"""How often a reader that follows looks whether what it has shown is still there."""

ALIVE_S = 150.0
"""A recorder writes at least once a minute. After two and a half minutes of silence it counts as ended."""

REPLICA_S = 10.0
"""How long a replica that lags may take to have what the leader has acknowledged."""

REPLICA_POLL_S = 0.05


class StreamReader(DiskReader):
    """A shipped ledger, perhaps while it is being shipped. Nothing is ever written."""

    def __init__(self, broker: NatsBroker, ledger: str) -> None:
        """Raises NotALedger, DamagedLedger, NoStream, Unreachable."""
        self._broker = broker
        self._lock = threading.RLock()
        place = broker.place
        address = Place(place.servers, place.stream, ledger).shown
        self._stream_disk = StreamDisk(address)
        self._fault: DamagedLedger | None = None
        self._changed = False
        self._compared = 0.0
        self._last_time = 0
        self._rig = ""
        self.mirror = Mirror(ledger, address, self)
        self._catch_up_all()
        if not self.mirror.messages:
            raise self._fault or NotALedger(f"{address}: no ledger of this id is in the stream", hint=_LIST_HINT)
        super().__init__(self._stream_disk, address)
        self.segmented = len(self._stream_disk.names(address)) > 1

    @property
    def name(self) -> str:
        """The name of the rig, as its shipper gave it last; the ledger's id without one."""
        return self._rig or super().name

    def write(self, segment: int, offset: int, data: bytes) -> None:
        """Keep what the mirror has checked."""
        self._stream_disk.write_at(segment, offset, data)

    # --- keeping up with the stream ---

    def _catch_up_all(self) -> None:
        """Take all that the stream's leader has. A replica that lags is waited for."""
        last = None
        with suppress(Unreachable):  # no leader at the moment: whatever a replica has is a history all the same
            last = self._broker.last(self.mirror.ledger)
        deadline = time.monotonic() + REPLICA_S
        while True:
            self._catch_up()
            if last is None or self._fault is not None or self.mirror.sequence >= last.sequence:
                return
            if time.monotonic() > deadline:
                raise Unreachable(
                    f"{self.mirror.named}: message {last.sequence} was announced, and no replica hands it out"
                )
            time.sleep(REPLICA_POLL_S)

    def _catch_up(self) -> None:
        """Take what has come. Raises Unreachable; what is wrong with a message is kept as the fault."""
        with self._lock:
            if self._fault is not None:
                return
            while more := self._broker.after(self.mirror.ledger, self.mirror.sequence):
                for message in more:
                    if not self._taken(message):
                        return

    def _taken(self, message: Message) -> bool:
        try:
            self.mirror.take(message)
        except DamagedLedger as error:
            # asked once more: the answer may have been cut on its way, and the stream be whole
            again = self._broker.after(self.mirror.ledger, self.mirror.sequence)
            try:
                for each in again[:1]:
                    self.mirror.take(each)
            except DamagedLedger:
                self._fault = told_order(self._broker, self.mirror, error)
                return False
            return self._fault is None and bool(again) and again[0].sequence == message.sequence
        self._last_time = message.time
        self._rig = stored(message).name
        return True

    def _look(self) -> None:
        if not self._reader.closed:
            self._catch_up()

    def _check_same(self) -> None:
        """Raise HistoryChanged when the stream no longer has the messages that were taken."""
        if time.monotonic() - self._compared < SAME_S:
            return
        self._compared = time.monotonic()
        subject = self._broker.place.subject(self.mirror.ledger)
        last = self._broker.last(self.mirror.ledger)
        there = self._broker.counts(subject).get(subject, 0)
        if there < self.mirror.messages or last is None or last.sequence < self.mirror.sequence:
            self._changed = True
            raise HistoryChanged(
                f"{self.location} has {there} messages, and had {self.mirror.messages}: it has lost what it had",
                hint="The stream was emptied, or restored from an older copy. What the rig ships again can be read.",
            )

    # --- what a reader gives ---

    @property
    def place(self) -> LedgerPlace:
        self._look()
        return super().place

    def read(self, after: int = 0, until: int | None = None) -> Iterator[list[AnyEvent]]:
        self._check_usable()
        self._look()
        return self._to_the_fault(super().read(after, until), until)

    def _to_the_fault(self, batches: Iterator[list[AnyEvent]], until: int | None) -> Iterator[list[AnyEvent]]:
        yield from batches
        if self._fault is not None and (until is None or until > self._fault.seq):
            raise self._fault

    def _waiter(self, stop: Stop, poll: float) -> Callable[[LedgerPlace], None]:
        def wait(place: LedgerPlace) -> None:
            before = self.mirror.sequence
            try:
                self._catch_up()
                if self.mirror.sequence > before:
                    return
                self._check_same()
            except (Unreachable, Refused, NoStream):  # it comes back, or whoever follows gives up
                pause(stop, poll)
                return
            if self._fault is not None:
                raise self._fault
            pause(stop, poll)

        return wait

    @property
    def damage(self) -> DamagedLedger | None:
        if self._reader.closed:
            return None
        self._look()
        return self._fault or super().damage

    @property
    def in_place(self) -> bool:
        return not self._reader.closed and not self._changed

    @property
    def being_written(self) -> bool:
        """Whether a message has come lately, and the last one did not close the ledger: the rig itself is not asked."""
        commit = self.place.commit
        if commit is not None and commit.seals and not self.segmented:
            return False
        return time.time() - self._last_time / 1e9 < ALIVE_S

    def verify(self) -> Verification:
        self._check_usable()
        self._catch_up_all()
        found = super().verify()
        if self._fault is None:
            return found
        return replace(found, sound=False, torn=False, problems=[*found.problems, str(self._fault)])

    def close(self) -> None:
        if hasattr(self, "_reader"):
            super().close()
        self._broker.close()


def told_order(broker: NatsBroker, mirror: Mirror, error: DamagedLedger) -> DamagedLedger:
    """``error``, and where the message that should come next stands instead, if it is in the stream at all.

    Cost: a look at all later messages of the ledger.
    """
    sequence = mirror.sequence + 1
    while more := broker.after(mirror.ledger, sequence):
        for message in more:
            with suppress(Malformed):
                piece = stored(message).piece
                if (piece.segment, piece.offset) == (mirror.segment, mirror.end):
                    text = f"{error}. Message {message.sequence} holds what should come next: their order was changed"
                    return DamagedLedger(text, offset=error.offset, seq=error.seq, hint=error.hint)
        sequence = more[-1].sequence
    return error


def opened(address: str) -> StreamReader:
    """The ledger at an address: see ``Ledger.open``. Raises NotALedger, DamagedLedger, NoStream, Unreachable."""
    place = parse(address, ledger=True)
    broker = NatsBroker(place)
    try:
        return StreamReader(broker, resolved(broker, place.ledger))
    except BaseException:
        broker.close()
        raise


def resolved(broker: NatsBroker, ledger: str) -> str:
    """The id of a ledger that is named by it, or by the name of its rig: of several the one that was shipped last.

    Raises NotALedger, Unreachable, NoStream.
    """
    try:
        if is_token(ledger) and broker.last(ledger) is not None:
            return ledger
        found: list[tuple[int, str]] = []
        names: set[str] = set()
        for identity, message in broker.ledgers().items():
            with suppress(Malformed):
                last = stored(message)
                names.add(last.name)
                if last.name == ledger:
                    found.append((last.time, identity))
    except Refused as error:
        if error.code == NO_SUCH_STREAM:
            raise NoStream(
                f"{broker.place.shown}: there is no stream {broker.place.stream}", hint=_STREAM_HINT
            ) from error
        raise
    if not found:
        from ezmsg.ledger.projections.questions.name_hints import did_you_mean

        hint = did_you_mean(ledger, sorted(names)) or _LIST_HINT
        raise NotALedger(f"{broker.place.stream} has no ledger or rig of the name {ledger}", hint=hint)
    return max(found)[1]


NO_SUCH_STREAM = 10059
_LIST_HINT = "`ezmsg-ledger fleet list nats://HOST:PORT/STREAM` shows what is there."
_STREAM_HINT = "`ezmsg-ledger ship` makes it. An address is nats://HOST:PORT/STREAM/LEDGER."
