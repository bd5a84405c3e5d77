"""After a gap that lost events, ordinary events lead from the logged state to the lived one."""

import random
from uuid import UUID

import pytest

from ezmsg.ledger import Ledger
from ezmsg.ledger import events as ev
from ezmsg.ledger.errors import CommandRefused
from ezmsg.ledger.metadata import DynamicSettingsMetadata, GraphMetadata, GraphSnapshot, UnitMetadata
from ezmsg.ledger.projections import GraphState, fold
from ezmsg.ledger.runtime import LiveGraph
from ezmsg.ledger.runtime.catch_up import CatchUp
from ezmsg.ledger.values import freeze

TOPICS = ["A", "B", "C", "D", "E"]
UNITS = ["U", "V", "W"]


def metadata(units: list[str], gain: int) -> object:
    """The form of what a session registers."""
    components = {
        unit: UnitMetadata(
            address=unit,
            name=unit,
            initial_settings=(None, {"gain": gain}),
            dynamic_settings=DynamicSettingsMetadata(),
        )
        for unit in units
    }
    return freeze(GraphMetadata(root_name=f"ROOT{gain}", components=components))


class Actors:
    """Random commands of sessions, processes and endpoints against a live graph."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.ledger = Ledger.memory()
        self.live = LiveGraph(self.ledger)

    def uuid(self) -> str:
        """A UUID that the seed decides."""
        return str(UUID(int=self.random.getrandbits(128)))

    def act(self) -> None:
        """One command, which may be refused."""
        live, choose = self.live, self.random.choice
        sessions, processes = list(live.state.sessions), list(live.state.processes)
        kinds = ["open_session", "open_process", "publisher", "subscriber", "pause"]
        kinds += ["connect", "connect", "disconnect", "clear", "register", "close_session"] * bool(sessions)
        kinds += ["units", "settings", "settings", "close_process"] * bool(processes)
        kinds += ["close_endpoint", "stall"] * bool(live.state.endpoints)
        kinds += ["request"] * bool(sessions)
        kind = choose(kinds)
        try:
            if kind == "open_session":
                live.open_session(peer=f"127.0.0.1:{self.random.randrange(9)}", label=choose("abc"))
            elif kind == "open_process":
                live.open_process()
            elif kind in ("connect", "disconnect"):
                getattr(live, kind)(choose(TOPICS), choose(TOPICS), choose([None, *sessions]))
            elif kind == "clear":
                live.clear(choose(sessions))
            elif kind == "register":
                units = self.random.sample(UNITS, self.random.randrange(4))
                live.register(choose(sessions), metadata(units, self.random.randrange(5)))
            elif kind == "close_session":
                live.close_session(choose(sessions))
            elif kind == "units":
                live.register_process(choose(processes), 1, "host", self.random.sample(UNITS, 2))
            elif kind == "settings":
                value = ev.SettingsValue(None, {"gain": self.random.randrange(9)}, None, None)
                live.update_settings(choose(processes), choose(UNITS), value)
            elif kind == "close_process":
                live.close_process(choose(processes))
            elif kind == "request":
                live.route_request(choose(sessions), self.uuid(), choose(UNITS), "X", None)
            else:
                self.endpoint(kind)
        except CommandRefused:
            pass  # a refusal is an event like any other

    def endpoint(self, kind: str) -> None:
        """Something with an endpoint, or with all of them."""
        live, choose = self.live, self.random.choice
        uuid = self.uuid()
        publishers = [key for key, record in live.state.endpoints.items() if record.kind == "publisher"]
        subscribers = [key for key, record in live.state.endpoints.items() if record.kind == "subscriber"]
        if kind == "publisher":
            key = live.open_endpoint(ev.PublisherOpened(uuid=uuid, topic=choose(TOPICS)))
            live.open_endpoint(ev.ChannelOpened(uuid=self.uuid(), publisher=key))
        elif kind == "subscriber":
            live.open_endpoint(ev.SubscriberOpened(uuid=uuid, topic=choose(TOPICS)))
        elif kind == "pause":
            live.note(choose([ev.GraphPaused(), ev.GraphResumed()]))
        elif kind == "stall" and subscribers:
            live.set_stalled(choose(subscribers), choose([True, False]))
        elif kind == "close_endpoint" and publishers:
            live.close_endpoint(choose(publishers))


def unordered(snapshot: GraphSnapshot) -> dict[str, object]:
    """A snapshot without the order of its nodes, which the way there may change."""
    return {
        "graph": dict(sorted(snapshot.graph.items())),
        "owners": snapshot.edge_owners,
        "sessions": snapshot.sessions,
        "processes": snapshot.processes,
    }


@pytest.mark.parametrize("seed", range(60))
def test_the_bridge_leads_to_the_lived_state(seed: int) -> None:
    actors = Actors(seed)
    for _ in range(120):
        actors.act()
    lived, head = actors.live.state, actors.ledger.head
    cut = random.Random(seed).randrange(1, head)
    logged = fold(actors.ledger.read(until=cut), GraphState())
    gap = ev.Gap(seq=head + 1, time=5, first=cut + 1, last=head, lost=head - cut, late=0, reason="the disk is full")
    logged.apply(gap)

    catch_up = CatchUp(logged, lived, time=5)

    logged.check()
    assert logged.shape_digest() == lived.shape_digest()
    assert unordered(logged.snapshot()) == unordered(lived.snapshot())
    for old, new in catch_up.ids.items():
        tables = ("sessions", "processes", "endpoints", "requests")
        [table] = [table for table in tables if old in getattr(lived, table)]
        assert getattr(logged, table)[new].uuid == getattr(lived, table)[old].uuid
    again = fold(actors.ledger.read(until=cut), GraphState())
    again.apply_batch([gap, *catch_up.events])
    assert again.digest() == logged.digest()


def test_nothing_leads_nowhere() -> None:
    actors = Actors(1)
    for _ in range(50):
        actors.act()
    logged = fold(actors.ledger.read(), GraphState())
    assert CatchUp(logged, actors.live.state, time=5).events == []
