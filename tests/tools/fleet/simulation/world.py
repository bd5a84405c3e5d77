"""A rig, a broker and a reader in memory, and all that can go wrong between them, from one seed.

The idea: the shipper, the source and the mirror are the real ones; a broker is a list of messages that keeps
JetStream's rules for the fence and for known ids, as one replica or as three. What a network and a bad broker do to
that (answers that get lost, appends that come late, replicas that lag, restarts from older copies, a second shipper) is
drawn from the seed. After every step all that a reader accepts must be a beginning of the rig's file.
"""

import random
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from ezmsg.ledger import Ledger
from ezmsg.ledger.errors import DamagedLedger
from ezmsg.ledger.events import Mark
from ezmsg.ledger.storage.disk import Disk
from ezmsg.ledger.tools.fleet.errors import Disconnected, FenceLost, Forked, Refused, Unreachable
from ezmsg.ledger.tools.fleet.message import FENCE, MESSAGE_ID, Message, Piece, headers_of
from ezmsg.ledger.tools.fleet.reading.mirror import Mirror
from ezmsg.ledger.tools.fleet.shipping.shipper import Shipper
from ezmsg.ledger.tools.fleet.shipping.source import Source

STEPS = 40
PIECE_MAX = 700


class Wrong(AssertionError):
    """A promise did not hold."""


class Late(NamedTuple):
    """An append that was not answered, and may still be stored."""

    piece: Piece
    fence: int
    name: str
    shipper: str


class SimulatedBroker:
    """One subject of a stream."""

    def __init__(self, dice: random.Random, replicas: int) -> None:
        self.dice = dice
        self.replicas = replicas
        self.messages: list[Message] = []
        self.ids: set[str] = set()
        self.next = 1
        self.late: list[Late] = []
        self.cut = False
        self.trouble = 0.0
        self.lag = 0
        self.acknowledged = 0
        self.copy: tuple[list[Message], set[str]] = ([], set())
        self.restored = False
        self.life = 0

    def last(self, ledger: str) -> Message | None:
        self.come()
        if self.cut or self.dice.random() < self.trouble / 2:
            raise Unreachable("no answer")
        return self.messages[-1] if self.messages else None

    def count(self, ledger: str) -> int:
        self.come()
        if self.cut or self.dice.random() < self.trouble / 2:
            raise Unreachable("no answer")
        return len(self.messages)

    def after(self, ledger: str, sequence: int) -> list[Message]:
        self.come()
        if self.cut or self.dice.random() < self.trouble / 2:
            raise Unreachable("no answer")
        known = self.messages[: len(self.messages) - self.dice.randint(0, self.lag)] if self.lag else self.messages
        return [message for message in known if message.sequence > sequence][: self.dice.randint(1, 4)]

    def append(
        self, ledger: str, piece: Piece, fence: int, name: str, shipper: str, meanwhile: Callable[[], object]
    ) -> int | None:
        self.come()
        meanwhile()
        asked = Late(piece, fence, name, shipper)
        if self.cut:
            raise Unreachable("no answer")
        if self.dice.random() < self.trouble:
            fate = self.dice.choice(["lost", "stored", "late", "on its way", "no leader"])
            if fate == "stored":
                with suppress(Refused):
                    self.store(ledger, asked)
            elif fate == "late":
                self.late.append(asked)
            elif fate == "on its way":
                self.late.append(asked)
                raise Refused("expected last sequence does not match, one is on its way", 10164)
            elif fate == "no leader":
                raise Refused("temporarily unavailable", 10158)
            raise Unreachable("timed out")
        found = self.store(ledger, asked)
        if found is not None:  # a repeated id acknowledges what was stored then, perhaps less
            self.acknowledged = max(self.acknowledged, piece.end)
        return found

    def store(self, ledger: str, asked: Late) -> int | None:
        headers = headers_of(ledger, asked.piece, asked.fence, asked.name, asked.shipper)
        identity = headers.get(MESSAGE_ID, "")
        known = identity in self.ids
        last = self.messages[-1].sequence if self.messages else 0
        if self.replicas > 1 and known:
            return None
        if FENCE in headers and headers[FENCE] != str(last):
            raise Refused(f"wrong last sequence: {last}", 10071)
        if known:
            return None
        self.messages.append(Message(self.next, headers, asked.piece.data))
        self.ids.add(identity)
        self.next += self.dice.randint(1, 3)  # other ledgers are in the stream, too
        return self.messages[-1].sequence

    def come(self) -> None:
        """Appends that were on their way arrive, or do not."""
        while self.late and self.dice.random() < 0.5:
            late = self.late.pop(self.dice.randrange(len(self.late)))
            with suppress(Refused):
                self.store(self.ledger, late)

    ledger = ""

    def snapshot(self) -> None:
        self.copy = list(self.messages), set(self.ids)

    def restore(self) -> None:
        """Come back from an older copy, or empty."""
        messages, ids = self.copy
        self.messages, self.ids, self.late = list(messages), set(ids), []
        self.next = self.messages[-1].sequence + 1 if self.messages else 1
        self.acknowledged = 0
        self.restored = True
        self.life += 1


class Connection:
    """The broker, as one shipper is connected to it: a broker that comes back from a copy has dropped all connections,
    and one is made anew by the next look."""

    def __init__(self, broker: SimulatedBroker) -> None:
        self.broker = broker
        self.life = -1

    def last(self, ledger: str) -> Message | None:
        found = self.broker.last(ledger)
        self.life = self.broker.life
        return found

    def count(self, ledger: str) -> int:
        return self.broker.count(ledger)

    def after(self, ledger: str, sequence: int) -> list[Message]:
        return self.broker.after(ledger, sequence)

    def append(
        self, ledger: str, piece: Piece, fence: int, name: str, shipper: str, meanwhile: Callable[[], object]
    ) -> int | None:
        if self.life != self.broker.life:
            raise Disconnected("the connection was lost")
        return self.broker.append(ledger, piece, fence, name, shipper, meanwhile)


class Kept:
    """The sink of a mirror: a file in memory."""

    def __init__(self) -> None:
        self.data = bytearray()

    def write(self, segment: int, offset: int, data: bytes) -> None:
        if offset != len(self.data):
            raise Wrong(f"written at {offset}, but {len(self.data)} bytes are there")
        self.data += data


class Quiet(Disk):
    """The disk of a rig that is not to be synced thousands of times for one test."""

    def sync(self, handle: int) -> None:
        """Do nothing."""


class World:
    """One story."""

    def __init__(self, seed: int, folder: Path) -> None:
        self.dice = random.Random(seed)
        self.path = folder / f"{seed}.ledger"
        self.broker = SimulatedBroker(self.dice, self.dice.choice([1, 3]))
        self.broker.trouble = self.dice.choice([0.0, 0.1, 0.4])
        self.broker.lag = self.dice.choice([0, 0, 2])
        self.said: list[str] = []
        self.ledger = Ledger.open(self.path, durability="none", disk=Quiet())
        self.broker.ledger = self.ledger.id
        self.shippers = [self.shipper("a")]
        self.reader()

    def shipper(self, who: str) -> Shipper:
        source = Source(str(self.path), self.dice.choice([150, PIECE_MAX, 5000]), Quiet())
        return Shipper(source, Connection(self.broker), "rig", who, self.said.append)

    def reader(self) -> None:
        self.kept = Kept()
        self.mirror = Mirror(self.ledger.id, "the stream", self.kept)

    def play(self) -> None:
        """All steps, and then a time in which all is well."""
        try:
            for _ in range(STEPS):
                self.step()
            self.broker.trouble, self.broker.cut, self.broker.lag = 0.0, False, 0
            self.settle()
        finally:
            self.ledger.close()
            for shipper in self.shippers:
                shipper.source.close()

    def step(self) -> None:
        dice = self.dice
        what = dice.choices(
            ["append", "ship", "read", "cut", "copy", "restore", "restart", "second", "new reader"],
            [8, 14, 6, 1, 0.6, 0.4, 1, 0.7, 0.5],
        )[0]
        if what == "append":
            for _ in range(dice.randint(1, 3)):
                self.ledger.append([Mark(name="x" * dice.choice([1, 30, 400]))] * dice.randint(1, 4))
        elif what == "ship":
            for _ in range(dice.randint(1, 4)):
                self.ship(dice.choice(self.shippers))
        elif what == "read":
            self.read()
        elif what == "cut":
            self.broker.cut = not self.broker.cut
        elif what == "copy":
            self.broker.snapshot()
        elif what == "restore":
            self.broker.restore()
            self.reader()
        elif what == "restart":
            place = dice.randrange(len(self.shippers))
            self.shippers[place].source.close()
            self.shippers[place] = self.shipper(dice.choice("ab"))
        elif what == "second" and len(self.shippers) < 2:
            self.shippers.append(self.shipper("b"))
        elif what == "new reader":
            self.reader()
        self.check()

    def ship(self, shipper: Shipper) -> float | None:
        try:
            return shipper.step()
        except (Forked, FenceLost) as error:
            raise Wrong(f"one rig, one history, and yet: {error}") from error

    def read(self) -> None:
        with suppress(Unreachable):
            while more := self.broker.after(self.ledger.id, self.mirror.sequence):
                for message in more:
                    try:
                        self.mirror.take(message)
                    except DamagedLedger as error:
                        raise Wrong(f"the stream holds what a reader refuses: {error}") from error

    def check(self) -> None:
        """What a reader has accepted, and what was acknowledged, against the rig's file."""
        data = self.path.read_bytes()
        if not data.startswith(self.kept.data):
            raise Wrong("a reader has accepted what the rig never recorded")
        there = b"".join(message.data for message in self.broker.messages)
        if not data.startswith(there):
            raise Wrong("the stream is not a beginning of the rig's file")
        if len(there) < self.broker.acknowledged:
            raise Wrong(f"{self.broker.acknowledged} bytes were acknowledged, and {len(there)} are there")
        for shipper in self.shippers:
            reached = shipper.reached
            if reached is not None and not self.broker.restored and reached.offset > len(there):
                raise Wrong("a shipper takes for shipped what is not in the stream")
            if shipper.harm:
                raise Wrong(f"the stream is whole, and yet: {shipper.harm}")

    def settle(self) -> None:
        """With a broker that answers all is shipped and read in the end."""
        for shipper in self.shippers:
            shipper.doubt()
        for _ in range(400):
            waits = [self.ship(shipper) for shipper in self.shippers]
            self.broker.come()
            if all(wait is None for wait in waits) and not self.broker.late:
                break
        else:
            raise Wrong("it never comes to an end")
        self.read()
        self.check()
        if bytes(self.kept.data) != self.path.read_bytes():
            raise Wrong("all is well, and yet something of the file is not in the stream")


def play(seed: int, folder: Path) -> None:
    """The story of a seed. Raises Wrong, which names it."""
    try:
        World(seed, folder).play()
    except Wrong as error:
        raise Wrong(f"seed {seed}: {error}") from error
