"""Shippers that are moved step by step, beside real brokers."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

from ezmsg.ledger import Ledger
from ezmsg.ledger.events import Mark
from ezmsg.ledger.tools.fleet.jetstream.nats_broker import NatsBroker
from ezmsg.ledger.tools.fleet.jetstream.place import parse
from ezmsg.ledger.tools.fleet.jetstream.stream import ready
from ezmsg.ledger.tools.fleet.message import stored
from ezmsg.ledger.tools.fleet.shipping.shipper import Shipper
from ezmsg.ledger.tools.fleet.shipping.source import Source
from tests.brokers import PATIENCE_S, Node, messages


def id_of(path: Path) -> str:
    with Ledger.open(path, "r") as ledger:
        return ledger.id


def there(path: Path, node: Node, stream: str) -> bytes:
    """The bytes of a ledger of one file that the stream has."""
    found = [stored(message).piece for message in messages(node.url, id_of(path), stream)]
    assert [piece.offset for piece in found] == [sum(len(p.data) for p in found[:n]) for n in range(len(found))]
    return b"".join(piece.data for piece in found)


def until(wanted: Callable[[], bool]) -> None:
    """Wait for what nothing tells of."""
    deadline = time.monotonic() + PATIENCE_S
    while not wanted():
        assert time.monotonic() < deadline
        time.sleep(0.01)


class Desk:
    """A shipper that is moved step by step, and what it has said."""

    def __init__(self, path: Path, node: Node, stream: str, piece_max: int = 400, shipper: str = "here:1") -> None:
        self.said: list[str] = []
        self.broker = NatsBroker(parse(node.url, stream))
        self.source = Source(str(path), piece_max)
        self.shipper = Shipper(self.source, self.broker, "rig-3", shipper, self.said.append)

    def prepare(self) -> "Desk":
        ready(self.broker, None, self.said.append)
        return self

    def all(self) -> None:
        while (wait := self.shipper.step()) is not None:
            assert not self.shipper.waits, self.said
            assert not wait or wait < 0.2

    def __enter__(self) -> "Desk":
        return self

    def __exit__(self, *raised: object) -> None:
        self.source.close()
        self.broker.close()


class Trouble:
    """A node of a test's own, a ledger that is shipped to it up to now, and its shipper."""

    def __init__(self, folder: Path, path: Path) -> None:
        self.node, self.path = Node(folder).start(), path
        self.desk = Desk(path, self.node, "LEDGERS").prepare()
        self.desk.all()

    def append(self, name: str) -> None:
        with Ledger.open(self.path, durability="none") as ledger:
            ledger.append([Mark(name=name)] * 20)

    def settle(self) -> None:
        """Let the shipper go on until all is shipped."""
        for _ in range(200):
            wait = self.desk.shipper.step()
            if wait is None:
                return
            threading.Event().wait(min(wait, 0.2))
        raise AssertionError(self.desk.said)

    def close(self) -> None:
        self.desk.__exit__()
        self.node.kill()
