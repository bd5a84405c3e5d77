"""Events as a busy laboratory would give them, and graphs to connect. The same ones on every run."""

from collections.abc import Iterator
from random import Random
from uuid import UUID

from ezmsg.ledger.events import EdgeConnected, EdgeDisconnected, Event, ServerStarted, SessionClosed, SessionOpened

UNITS = 250
SESSIONS = 80
"""Sessions that are open at a time. Each that closes lets go of what 50 events more of connecting than of disconnecting
have brought, so that about 4,000 edges are held at any time."""

CONNECTS, DISCONNECTS = 0.62, 0.37
"""Shares of the events. What is left opens or closes a session."""

Hold = tuple[str, str, int | None]


class Laboratory:
    """Sessions that come and go, connect and disconnect. Every event is one that a server could have decided."""

    def __init__(self, seed: int = 1) -> None:
        self.random = Random(seed)
        self.seq = 0
        self.sessions: list[int] = []
        self.holds: list[Hold] = []
        self._held: set[Hold] = set()
        self._outputs = [f"SYSTEM/UNIT{number}/OUTPUT" for number in range(UNITS)]
        self._inputs = [f"SYSTEM/UNIT{number}/INPUT" for number in range(UNITS)]

    def events(self) -> Iterator[Event]:
        """Events without end, not stamped yet; the first gets seq 1."""
        self.seq = 1
        yield ServerStarted(uuid=str(UUID(int=0)), kind="server", name="benchmark", host="localhost", pid=1)
        for _ in range(SESSIONS):
            yield self._open()
        while True:
            chance = self.random.random()
            if chance < CONNECTS or not self.holds:
                yield self._connect()
            elif chance < CONNECTS + DISCONNECTS:
                yield self._disconnect()
            else:
                yield self._close() if len(self.sessions) > SESSIONS else self._open()

    def _open(self) -> SessionOpened:
        self.seq += 1
        self.sessions.append(self.seq)
        return SessionOpened(uuid=str(UUID(int=self.seq)), peer=f"127.0.0.1:{32768 + self.seq % 28000}", label="SYSTEM")

    def _close(self) -> SessionClosed:
        self.seq += 1
        session = self.sessions.pop(self.random.randrange(len(self.sessions)))
        self.holds = [hold for hold in self.holds if hold[2] != session]
        self._held = set(self.holds)
        return SessionClosed(session=session, reason="lost", detail="eof")

    def _connect(self) -> EdgeConnected:
        self.seq += 1
        # Nobody holds everything, so a hold that is not taken is soon found. One owner in 81 is the persistent one.
        while True:
            owner = self.random.choice(self.sessions) if self.random.randrange(SESSIONS + 1) else None
            hold = (self.random.choice(self._outputs), self.random.choice(self._inputs), owner)
            if hold not in self._held:
                break
        self._held.add(hold)
        self.holds.append(hold)
        return EdgeConnected(from_topic=hold[0], to_topic=hold[1], owner=owner)

    def _disconnect(self) -> EdgeDisconnected:
        self.seq += 1
        place = self.random.randrange(len(self.holds))
        hold, self.holds[place] = self.holds[place], self.holds[-1]
        self.holds.pop()
        self._held.discard(hold)
        return EdgeDisconnected(from_topic=hold[0], to_topic=hold[1], owner=hold[2])


def events(number: int) -> list[Event]:
    """The first ``number`` events of the laboratory."""
    source = Laboratory().events()
    return [next(source) for _ in range(number)]


def batches(events: list[Event], size: int) -> list[list[Event]]:
    """``events`` in pieces of ``size``."""
    return [events[start : start + size] for start in range(0, len(events), size)]


# --- graphs ----------------------------------------------------------------------------------------------------------

Edges = list[tuple[str, str]]


def layered(number: int, seed: int = 1) -> Edges:
    """``number`` edges, each from one layer to the next, in random order; half as many nodes, sqrt of those / 2 layers.

    Not one of the orders that a cycle test finds easy: most edges come before others that belong upstream of them.
    """
    random = Random(seed)
    nodes = number // 2
    layers = max(4, int(nodes**0.5) // 2)
    width = max(1, nodes // layers)
    if number > (layers - 1) * width**2 // 2:
        raise ValueError(f"{number} edges find no room in {layers} layers of {width} nodes")
    found: dict[tuple[str, str], None] = {}
    while len(found) < number:
        layer = random.randrange(layers - 1)
        found[f"L{layer}/{random.randrange(width)}", f"L{layer + 1}/{random.randrange(width)}"] = None
    edges = list(found)
    random.shuffle(edges)
    return edges


def chain(number: int) -> Edges:
    """``number`` edges, each from where the last one led."""
    return [(f"SYSTEM/UNIT{place}/OUTPUT", f"SYSTEM/UNIT{place + 1}/OUTPUT") for place in range(number)]
