"""An observer beside ezmsg's own graph server, through random lives: what it records is what that one shows."""

import asyncio
from collections import Counter
from typing import Any

import pytest
from ezmsg.core.graphserver import GraphServer as StockServer
from ezmsg.core.netprotocol import Command

from ezmsg.ledger import Ledger
from ezmsg.ledger import events as ev
from ezmsg.ledger.projections.graph.state import GraphState
from ezmsg.ledger.runtime.client.line import Line
from ezmsg.ledger.runtime.client.look import Look, SeenProcess, look
from ezmsg.ledger.runtime.observer.observer import Observer

from .script import Script
from .world import World

STEPS = 200

EXPLAINING = (
    ev.SessionClosed,
    ev.SessionCleared,
    ev.ProcessRegistered,
    ev.ProcessOwnershipChanged,
    ev.ProcessClosed,
)
"""Events beside those of edges that can be what an entry of the server's topology stream told of."""


def recorded(state: GraphState, but: str) -> Look:
    """A recorded state as a look shows one, without the session of this test's own."""
    uuids = {key: record.uuid for key, record in state.sessions.items()}
    return Look(
        nodes=tuple(sorted(state.ownership.nodes)),
        edges={
            edge: frozenset(None if owner is None else uuids[owner] for owner in owners)
            for edge, owners in state.ownership.edges()
        },
        sessions=tuple(sorted(uuid for uuid in uuids.values() if uuid != but)),
        registrations={uuids[key]: each for key, each in state.registrations.items()},
        processes={each.uuid: SeenProcess(each.pid, each.host, each.units) for each in state.processes.values()},
        settings={address: setting.value for address, setting in state.settings.items()},
    )


def shown(line: Line, but: str) -> Look:
    """What the server shows to ``line``, without the observer's own session."""
    seen = look(line)
    sessions = tuple(sorted(uuid for uuid in seen.sessions if uuid != but))
    return Look(
        nodes=tuple(sorted(seen.nodes)),
        edges=seen.edges,
        sessions=sessions,
        registrations=seen.registrations,
        processes=seen.processes,
        settings=seen.settings,
    )


class Watched:
    """A stock server, its clients, and an observer; ``claims`` are checked against what the clients did."""

    def __init__(self, stock: StockServer) -> None:
        address = str(stock.address)
        self.world = World(tuple(stock.address))
        self.observer = Observer(Ledger.memory(), address)
        self.line = Line(address, Command.SESSION.value)
        self.world.names |= {self.observer._line.id: "observer", self.line.id: "test"}
        self.stock = stock
        self.seq = self.number = self.heard = 0
        self.counted: Counter[str] = Counter()

    def look(self) -> None:
        """Let it look, and compare."""
        last = self.stock._topology_events[-1].seq if self.stock._topology_events else 0
        while max((each.number for each in self.observer._changes), default=self.heard) < last:
            assert self.observer._listen(1.0) is not None
        self.heard = last
        self.observer.look()
        seen = shown(self.line, self.observer._line.id)
        found = recorded(self.observer.state, self.line.id)
        for field in Look.__struct_fields__:
            assert getattr(found, field) == getattr(seen, field), field
        self.observer.state.check()
        self._check_claims()

    def _check_claims(self) -> None:
        """Each entry of the server's stream is explained by an event that says it was told, or counted as unseen."""
        events = list(self.observer.ledger.entries(self.seq))
        before, self.seq = self.seq, self.observer.ledger.head
        entries = [each for each in self.stock._topology_events if each.seq > self.number]
        told = Counter((each.source_session_id, tuple(each.changed_topics)) for each in entries)
        self.number = entries[-1].seq if entries else self.number
        if not before:
            return
        uuids = {key: each.uuid for key, each in self._opened().items()}
        for event in events:
            self.counted[ev.type_of(event)] += 1
            flagged = getattr(event, "observed", False) or getattr(event, "reason", None) == "unseen"
            if flagged:
                self.counted["flagged"] += 1
            elif isinstance(event, ev.EdgeConnected | ev.EdgeDisconnected):
                owner = None if event.owner is None else uuids[event.owner]
                told[owner, (event.to_topic,)] -= 1
                self.counted["told"] += 1
        assert min(told.values(), default=0) >= 0, "an edge that nobody told of is said to have been told"
        gaps = sum(event.unseen for event in events if isinstance(event, ev.Gap))
        self.counted["unseen"] += gaps
        others = sum(isinstance(event, EXPLAINING) for event in events)
        assert gaps <= sum(told.values()) <= gaps + others, "an entry of the stream is neither explained nor counted"

    def _opened(self) -> dict[int, Any]:
        return {event.seq: event for event in self.observer.ledger.entries() if isinstance(event, ev.SessionOpened)}

    def close(self) -> None:
        self.observer.leave("stopped")
        self.line.close()


async def life(watched: Watched, seed: int, every: int) -> None:
    """A random life; the observer looks after each quiet point, and ``every`` so many steps."""
    try:
        for number, step in enumerate(Script(seed).steps(STEPS)):
            await watched.world.step(*step)
            if step[0] == "flush" or number % every == 0:
                before = watched.counted["unseen"]
                await asyncio.to_thread(watched.look)
                if every == 1:  # an edge that comes and goes in one step is what cannot be seen
                    assert watched.counted["unseen"] - before == (2 if step[0] == "flush" else 0), step
        await asyncio.to_thread(watched.look)
    finally:
        watched.world.abort()


@pytest.mark.parametrize(("seed", "every"), [(1, 1), (2, 1), (3, 7), (4, 40)])
def test_what_it_records_is_what_the_server_shows(seed: int, every: int) -> None:
    stock = StockServer()
    stock.start(("127.0.0.1", 0))
    watched = Watched(stock)
    try:
        asyncio.run(life(watched, seed, every))
    finally:
        watched.close()
        stock.stop()
    if every == 1:
        assert watched.counted["told"] > 10
