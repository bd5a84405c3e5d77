"""LiveGraph beside a plain model written from ezmsg's rules, and beside ezmsg's own DAG, command by command."""

import os
import socket
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from ezmsg.core.dag import DAG as EzmsgDAG
from ezmsg.core.dag import CyclicException
from hypothesis import HealthCheck, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from msgspec import UNSET

from ezmsg.ledger import events as ev
from ezmsg.ledger.errors import (
    AddressCollision,
    CommandRefused,
    CycleError,
    InvalidEvent,
    LedgerClosed,
    LedgerError,
    OwnershipConflict,
)
from ezmsg.ledger.log import Ledger
from ezmsg.ledger.metadata import Edge, GraphMetadata, SettingsFieldMetadata, SettingsSchemaMetadata, UnitMetadata
from ezmsg.ledger.projections.feeds import feed
from ezmsg.ledger.projections.graph.state import GraphState
from ezmsg.ledger.projections.graph.views.feed_entries import FeedEntry, SettingsChanged, TopologyChanged
from ezmsg.ledger.projections.projection import fold
from ezmsg.ledger.runtime.live import LISTED_MAX, PAYLOAD_KEPT, LiveGraph
from ezmsg.ledger.runtime.refusal_limit import Refusals
from ezmsg.ledger.values import freeze, thaw

# --- the model: ezmsg's rules in dicts and sets, without a line of ours ----------------------------------------------

EdgeKey = tuple[str, str]
Value = tuple[Any, Any, Any, Any]
"""Serialized, readable, structured, schema."""


class Cyclic(Exception):
    """ezmsg refuses the edge."""


class Model:
    """What ezmsg's graph server keeps, by session and process id, and the entries of its two streams."""

    def __init__(self) -> None:
        self.nodes: list[str] = []
        self.owners: dict[EdgeKey, set[int | None]] = {}
        self.metadata: dict[int, dict[str, tuple[str, Value]] | None] = {}  # session -> key -> address, initial value
        self.uuids: dict[int, str] = {}
        self.settings: dict[str, tuple[Value, int | None, int | None]] = {}  # address -> value, session, process
        self.processes: dict[int, tuple[int | None, str | None, set[str]]] = {}  # pid, host, units
        self.requests: dict[int, tuple[int, int]] = {}  # session, process
        self.endpoints: dict[int, tuple[str, str | int, bool]] = {}  # kind, topic or publisher, stalled
        self.paused = False
        self.topology: list[tuple[str, tuple[str, ...], str | None, str | None]] = []
        self.changes: list[tuple[str, str, Value, str | None, str | None]] = []

    def held(self, owner: int | None) -> set[EdgeKey]:
        return {edge for edge, owners in self.owners.items() if owner in owners}

    def reaches(self, start: str, goal: str) -> bool:
        return start == goal or any(self.reaches(b, goal) for a, b in self.owners if a == start)

    def connect(self, a: str, b: str, owner: int | None) -> bool:
        if a == b:
            raise Cyclic
        if (a, b) in self.owners:
            self.owners[a, b].add(owner)
            return False
        if self.reaches(b, a):
            raise Cyclic
        self.owners[a, b] = {owner}
        self.nodes += [topic for topic in (a, b) if topic not in self.nodes]
        self.topology.append(("GRAPH_CHANGED", (b,), self.uuids.get(owner or 0), None))
        return True

    def drop(self, edge: EdgeKey, owner: int | None) -> bool:
        """Whether the edge went with its last owner."""
        if owner not in self.owners.get(edge, ()):
            return False
        self.owners[edge].remove(owner)
        if self.owners[edge]:
            return False
        del self.owners[edge]
        self.nodes = [node for node in self.nodes if any(node in other for other in self.owners)]
        return True

    def disconnect(self, a: str, b: str, owner: int | None) -> bool:
        gone = self.drop((a, b), owner)
        if gone:
            self.topology.append(("GRAPH_CHANGED", (b,), self.uuids.get(owner or 0), None))
        return gone

    def release(self, owner: int | None, registered: bool = False) -> tuple[str, ...]:
        topics = tuple(sorted({edge[1] for edge in self.held(owner) if self.drop(edge, owner)}))
        if topics or registered:
            self.topology.append(("GRAPH_CHANGED", topics, self.uuids.get(owner or 0), None))
        return topics

    # --- settings ---

    def forget(self, session: int) -> None:
        self.metadata[session] = None
        for address, (value, owner, process) in list(self.settings.items()):
            if owner == session and process is None:
                del self.settings[address]
            elif owner == session:
                self.settings[address] = (value, None, process)

    def collisions(self, session: int, components: dict[str, tuple[str, Value]]) -> list[str]:
        taken = {key for other, held in self.metadata.items() if other != session for key in held or ()}
        return sorted(taken & components.keys())

    def register(self, session: int, components: dict[str, tuple[str, Value]]) -> None:
        self.forget(session)
        self.metadata[session] = components
        for address, value in components.values():
            in_force = self.settings.get(address)
            if in_force is not None and in_force[2] is not None:
                self.settings[address] = (in_force[0], session, in_force[2])
            else:
                self.settings[address] = (value, session, None)
            self.changes.append(("INITIAL_SETTINGS", address, value, self.uuids[session], None))
        self.topology.append(("GRAPH_CHANGED", (), self.uuids[session], None))

    def update(self, process: int, component: str, value: Value) -> None:
        listing = [session for session, held in self.metadata.items() if component in (held or ())]
        before = self.settings.get(component)
        session = listing[0] if listing else before[1] if before else None
        self.settings[component] = (value, session, process)
        source = self.uuids.get(session or 0)
        self.changes.append(("SETTINGS_UPDATED", component, value, source, self.uuids[process]))

    def clear(self, session: int) -> tuple[str, ...]:
        registered = self.metadata[session] is not None
        self.forget(session)
        return self.release(session, registered)

    def end_session(self, session: int) -> tuple[str, ...]:
        topics = self.clear(session)
        del self.metadata[session]
        self.requests = {key: request for key, request in self.requests.items() if request[0] != session}
        return topics

    # --- processes ---

    def owner_of(self, unit: str) -> int | None:
        return next((process for process, (_, _, units) in self.processes.items() if unit in units), None)

    def conflicts(self, process: int, units: list[str]) -> bool:
        return any(self.owner_of(unit) not in (None, process) for unit in units)

    def set_process(self, process: int, pid: int | None, host: str | None, units: set[str]) -> None:
        if units != self.processes[process][2]:
            self.topology.append(("PROCESS_CHANGED", (), None, self.uuids[process]))
        self.processes[process] = (pid, host, units)

    def end_process(self, process: int) -> None:
        for address, (_, session, source) in list(self.settings.items()):
            if source != process:
                continue
            listed = None if session is None else (self.metadata[session] or {}).get(address)
            if listed is None:
                del self.settings[address]
            else:
                self.settings[address] = (listed[1], session, None)
                self.changes.append(("SETTINGS_UPDATED", address, listed[1], self.uuids[session or 0], None))
        self.topology.append(("PROCESS_CHANGED", (), None, self.uuids[process]))
        del self.processes[process]
        self.requests = {key: request for key, request in self.requests.items() if request[1] != process}

    def end_run(self) -> None:
        for session in list(self.metadata):
            self.end_session(session)
        for process in list(self.processes):
            self.end_process(process)
        self.endpoints.clear()
        self.requests.clear()
        self.paused = False


# --- the machine -----------------------------------------------------------------------------------------------------

TOPICS = ("A", "B", "C", "D", "E", "F")
# Mostly a few edges, so that owners meet on them and come back to them; any other now and then.
PAIRS = st.one_of(
    st.sampled_from((("A", "B"), ("B", "C"), ("A", "C"), ("D", "B"))),
    st.tuples(st.sampled_from(TOPICS), st.sampled_from(TOPICS)),
)
UNITS = ("SYS/U", "SYS/V", "KEY", "SYS/W")
SYSTEMS: tuple[tuple[tuple[str, str], ...], ...] = (
    (),
    (("SYS/U", "SYS/U"),),
    (("SYS/V", "SYS/V"), ("SYS/U", "SYS/U")),
    (("SYS/U", "SYS/U"), ("SYS/V", "SYS/V"), ("SYS/W", "SYS/W")),
    (("KEY", "SYS/U"),),
    (("SYS/W", "SYS/W"), ("KEY", "KEY/ADDRESS")),
    (("X", "TWICE"), ("Y", "TWICE")),
)
"""Key and address of each component."""

REACHED: Counter[str] = Counter()
NUMBER = st.sampled_from(range(6))
RARELY = st.sampled_from(range(8)).map(lambda number: number == 0)
SCHEMA = SettingsSchemaMetadata(provider="msgspec", fields=[SettingsFieldMetadata(name="gain", default=1.0)])


def system(number: int, gain: int) -> GraphMetadata:
    components = {}
    for key, address in SYSTEMS[number]:
        initial = (b"%d" % gain, {"gain": gain}) if gain % 2 else (None, f"Gain({gain})")
        schema = SCHEMA if gain % 3 == 0 else None
        components[key] = UnitMetadata(address=address, initial_settings=initial, settings_schema=schema)
    return GraphMetadata(root_name="SYS", components=components)


def as_components(metadata: GraphMetadata) -> dict[str, tuple[str, Value]]:
    def value(unit: UnitMetadata) -> Value:
        serialized, shown = unit.initial_settings
        return serialized, shown, shown if isinstance(shown, dict) else None, unit.settings_schema

    return {key: (unit.address, value(unit)) for key, unit in metadata.components.items()}


def as_value(value: ev.SettingsValue) -> Value:
    schema = value.settings_schema
    assert schema is not UNSET
    return value.serialized, thaw(value.repr_value), thaw(value.structured_value), thaw(schema)


class Machine(RuleBasedStateMachine):
    """Any commands in any order, and after each the same answer from all three."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0
        self.ledger = Ledger.memory(clock=self.tick)
        self.model = Model()
        self.ezmsg = EzmsgDAG()
        self.closed: list[int] = []
        self.cleared: set[tuple[EdgeKey, int]] = set()
        self.refused = 0
        self.counted = [0, 0]
        self.live = self.start()

    def tick(self) -> int:
        self.now += 1
        return self.now

    def start(self) -> LiveGraph:
        live = LiveGraph(self.ledger)
        live._refusals = Refusals(clock=self.tick)  # a second passes between any two: each refusal is recorded
        self.told = told_of_this_run(live)
        live.on_feed = self.told.extend
        return live

    def pick(self, items: Any, number: int) -> int:
        items = sorted(items)
        return int(items[number % len(items)])

    def owner(self, number: int) -> int | None:
        owners = [None, *self.model.metadata]
        return owners[number % len(owners)]

    def refuses(self, kind: type[CommandRefused], reason: str, command: Callable[[], Any]) -> None:
        """The command is refused, nothing changes, and the last event says so."""
        head = self.ledger.head
        with pytest.raises(kind):
            command()
        self.refused += 1
        (event,) = self.ledger.entries(after=head)
        assert isinstance(event, ev.CommandRejected)
        assert (event.reason, event.repeated) == (reason, 1)
        REACHED[reason] += 1

    def does_nothing(self, command: Callable[[], Any]) -> None:
        head = self.ledger.head
        assert command() == ()
        assert self.ledger.head == head

    @initialize()
    def some_owners(self) -> None:
        for _ in range(3):
            self.open_session()
        self.open_process()

    # --- sessions and edges ---

    @precondition(lambda self: len(self.model.metadata) < 5)
    @rule()
    def open_session(self) -> None:
        session = self.live.open_session(peer="127.0.0.1:1")
        self.model.metadata[session] = None
        self.model.uuids[session] = self.live.state.sessions[session].uuid
        assert session == self.ledger.head

    @precondition(lambda self: self.model.metadata)
    @rule(number=NUMBER, now=st.booleans())
    def close_session(self, number: int, now: bool) -> None:
        if not now:
            return
        session = self.pick(self.model.metadata, number)
        edges = self.model.held(session)
        stay = {edge for edge in edges if len(self.model.owners[edge]) > 1}
        kept = [name for name, (_, owner, process) in self.model.settings.items() if owner == session and process]
        holds = bool(edges) or self.model.metadata[session] is not None
        topics = self.model.end_session(session)
        assert self.live.close_session(session) == topics
        assert {edge[1] for edge in self.ezmsg.remove_owner(session)} == set(topics)
        (*_, last) = self.ledger.entries()
        assert isinstance(last, ev.SessionClosed)
        assert last.reason == ("lost" if holds else "closed")
        self.closed.append(session)
        REACHED["second owner released, edge stays"] += len(stay)
        REACHED["settings kept by a process after the session's end"] += len(kept)

    @precondition(lambda self: self.model.metadata)
    @rule(number=NUMBER)
    def clear(self, number: int) -> None:
        session = self.pick(self.model.metadata, number)
        edges = self.model.held(session)
        if not edges and self.model.metadata[session] is None:
            self.does_nothing(lambda: self.live.clear(session))
            return
        self.cleared |= {(edge, session) for edge in edges if len(self.model.owners[edge]) == 1}
        topics = self.model.clear(session)
        assert self.live.clear(session) == topics
        self.ezmsg.remove_owner(session)

    @rule(pair=PAIRS, number=NUMBER)
    def connect(self, pair: EdgeKey, number: int) -> None:
        (a, b), owner = pair, self.owner(number)
        by = "127.0.0.1:9" if owner is None else None
        if owner in self.model.owners.get((a, b), ()):
            self.does_nothing(lambda: self.live.connect(a, b, owner, by))
            assert not self.ezmsg.add_edge(a, b, owner)
            return
        try:
            changed = self.model.connect(a, b, owner)
        except Cyclic:
            self.refuses(CycleError, "cycle", lambda: self.live.connect(a, b, owner, by))
            with pytest.raises(CyclicException):
                self.ezmsg.add_edge(a, b, owner)
            (*_, refusal) = self.ledger.entries()
            self.check_cycle(refusal, a, b, owner)
            REACHED["self-edge" if a == b else "longer cycle"] += 1
            return
        assert self.live.connect(a, b, owner, by) == ((b,) if changed else ())
        assert self.ezmsg.add_edge(a, b, owner) == changed
        REACHED["shared edge"] += not changed
        REACHED["edge again after clear"] += changed and ((a, b), owner) in self.cleared

    @rule(pairs=st.lists(PAIRS, min_size=1, max_size=4), number=NUMBER)
    def connect_several(self, pairs: list[EdgeKey], number: int) -> None:
        for pair in pairs:
            self.connect(pair, number)

    def check_cycle(self, refusal: Any, a: str, b: str, owner: int | None) -> None:
        cause = refusal.cause
        command = "CONNECT" if owner is None else "SESSION_CONNECT"
        assert (refusal.actor, refusal.command, refusal.arguments) == (owner, command, [a, b])
        assert cause["path"][0] == b
        assert cause["path"][-1] == a
        steps = list(zip(cause["path"], cause["path"][1:], strict=False))
        expected = [
            sorted("persistent" if key is None else self.model.uuids[key] for key in self.model.owners[step])
            for step in steps
        ]
        assert [sorted(owners) for owners in cause["owners"]] == expected

    @rule(number=NUMBER, place=NUMBER)
    def disconnect(self, number: int, place: int) -> None:
        edges = sorted(self.model.owners)
        if not edges:
            return
        a, b = edges[place % len(edges)]
        holders = sorted(self.model.owners[a, b], key=str)
        owner = holders[number % len(holders)] if place % 3 else self.owner(number)
        if owner not in self.model.owners[a, b]:
            self.does_nothing(lambda: self.live.disconnect(a, b, owner))
            assert not self.ezmsg.remove_edge(a, b, owner)
            return
        gone = self.model.disconnect(a, b, owner)
        assert self.live.disconnect(a, b, owner) == ((b,) if gone else ())
        assert self.ezmsg.remove_edge(a, b, owner) == gone
        REACHED["second owner gave up, edge stays"] += not gone

    @rule(now=RARELY)
    def clear_persistent(self, now: bool) -> None:
        if not now:
            return
        if not self.model.held(None):
            self.does_nothing(self.live.clear_persistent)
            return
        topics = self.model.release(None)
        assert self.live.clear_persistent(by="127.0.0.1:9") == topics
        self.ezmsg.remove_owner(None)

    # --- metadata, settings, processes ---

    @precondition(lambda self: self.model.metadata)
    @rule(number=NUMBER, which=st.integers(0, len(SYSTEMS) - 1), gain=NUMBER)
    def register(self, number: int, which: int, gain: int) -> None:
        session = self.pick(self.model.metadata, number)
        metadata = system(which, gain)
        components = as_components(metadata)
        collisions = self.model.collisions(session, components)
        if collisions:
            self.refuses(AddressCollision, "collision", lambda: self.live.register(session, freeze(metadata)))
            (*_, refusal) = self.ledger.entries()
            assert refusal.cause["addresses"] == collisions
            return
        REACHED["registered again"] += self.model.metadata[session] is not None
        settings = self.model.settings
        for address, _ in components.values():
            REACHED["another session takes the setting over"] += settings.get(address, (0, session))[1] not in (
                None,
                session,
            )
        self.model.register(session, components)
        self.live.register(session, freeze(metadata), raw=b"raw" if gain == 0 else None)

    @precondition(lambda self: len(self.model.processes) < 3)
    @rule()
    def open_process(self) -> None:
        process = self.live.open_process(peer="127.0.0.1:2")
        self.model.processes[process] = (None, None, set())
        self.model.uuids[process] = self.live.state.processes[process].uuid

    @precondition(lambda self: self.model.processes)
    @rule(number=NUMBER, units=st.lists(st.sampled_from(UNITS), max_size=3))
    def register_process(self, number: int, units: list[str]) -> None:
        process = self.pick(self.model.processes, number)
        if self.model.conflicts(process, units):
            self.refuses(OwnershipConflict, "conflict", lambda: self.live.register_process(process, 7, "h", units))
            return
        self.model.set_process(process, 7, "h", set(units))
        self.live.register_process(process, 7, "h", units)

    @precondition(lambda self: self.model.processes)
    @rule(
        number=NUMBER,
        added=st.lists(st.sampled_from(UNITS), max_size=2),
        removed=st.lists(st.sampled_from(UNITS), max_size=2),
    )
    def change_units(self, number: int, added: list[str], removed: list[str]) -> None:
        process = self.pick(self.model.processes, number)
        if self.model.conflicts(process, added):
            self.refuses(OwnershipConflict, "conflict", lambda: self.live.change_units(process, added, removed))
            return
        pid, host, units = self.model.processes[process]
        self.model.set_process(process, pid, host, (units | set(added)) - set(removed))
        self.live.change_units(process, added, removed)

    @precondition(lambda self: self.model.processes)
    @rule(number=NUMBER, unit=st.sampled_from(UNITS), gain=NUMBER)
    def update_settings(self, number: int, unit: str, gain: int) -> None:
        owned = self.model.owner_of(unit)
        process = self.pick(self.model.processes, number) if owned is None or gain == 5 else owned
        schema = SCHEMA if gain % 2 else None
        shown = {"gain": float(gain)}
        value = ev.SettingsValue(b"new", freeze(shown), freeze(shown), freeze(schema))
        if process != owned:
            self.refuses(OwnershipConflict, "not_owner", lambda: self.live.update_settings(process, unit, value, 5))
            return
        self.model.update(process, unit, (b"new", shown, shown, schema))
        self.live.update_settings(process, unit, value, 5)

    @precondition(lambda self: self.model.processes)
    @rule(number=NUMBER)
    def close_process(self, number: int) -> None:
        process = self.pick(self.model.processes, number)
        before = {name for name, setting in self.model.settings.items() if setting[2] == process}
        self.model.end_process(process)
        self.live.close_process(process)
        self.closed.append(process)
        REACHED["settings fall back to the initial value"] += len(before & self.model.settings.keys())
        REACHED["settings go with their process"] += len(before - self.model.settings.keys())

    @precondition(lambda self: self.model.metadata)
    @rule(number=NUMBER, unit=st.sampled_from(UNITS))
    def route_request(self, number: int, unit: str) -> None:
        session, owner = self.pick(self.model.metadata, number), self.model.owner_of(unit)
        request, process = self.live.route_request(session, f"r{self.tick()}", unit, "PING", b"payload")
        assert process == (None if owner is None else self.model.uuids[owner])
        if owner is not None:
            self.model.requests[request] = (session, owner)
            return
        (*_, last) = self.ledger.entries()
        assert isinstance(last, ev.RequestAnswered)
        assert (last.request, last.ok, last.error_code) == (request, False, "UNROUTABLE_UNIT")

    @precondition(lambda self: self.model.requests)
    @rule(number=NUMBER)
    def answer_request(self, number: int) -> None:
        request = self.pick(self.model.requests, number)
        del self.model.requests[request]
        self.live.answer_request(request, True, None, 5)
        head = self.ledger.head
        self.live.answer_request(request, True, None, 5)
        assert self.ledger.head == head

    @precondition(lambda self: self.model.metadata)
    @rule(number=NUMBER, gain=NUMBER, end=st.sampled_from(("", "rival", "process", "session", "both")))
    def use_a_system(self, number: int, gain: int, end: str) -> None:
        """What a pipeline does, in one step: chance alone seldom puts these in a row."""
        if not self.model.processes:
            self.open_process()
        process = number % len(self.model.processes)
        self.register(number, 1 + gain % 3, gain)
        self.register_process(process, ["SYS/U", "SYS/V"])
        self.connect(("A", "B"), number)
        self.update_settings(process, "SYS/U", gain)
        if end == "rival":
            self.register(number + 1, 4, gain)
        if end in ("session", "both"):
            self.close_session(number, True)
        if end in ("process", "both"):
            self.close_process(process)

    @precondition(lambda self: self.model.metadata)
    @rule(number=NUMBER, pair=PAIRS, again=st.booleans())
    def clear_and_connect(self, number: int, pair: EdgeKey, again: bool) -> None:
        session = 1 + number % len(self.model.metadata)
        self.connect(pair, session)
        self.clear(session - 1)
        if again:
            self.connect(pair, session)

    # --- endpoints and the rest ---

    @precondition(lambda self: len(self.model.endpoints) < 6)
    @rule(kind=st.sampled_from(("publisher", "subscriber", "channel")), number=NUMBER)
    def open_endpoint(self, kind: str, number: int) -> None:
        publishers = [key for key, record in self.model.endpoints.items() if record[0] == "publisher"]
        event: Any
        what: str | int = TOPICS[number]
        if kind == "publisher":
            event = ev.PublisherOpened(uuid=f"e{self.tick()}", topic=str(what))
        elif kind == "subscriber" or not publishers:
            kind = "subscriber"
            event = ev.SubscriberOpened(uuid=f"e{self.tick()}", topic=str(what))
        else:
            what = self.pick(publishers, number)
            event = ev.ChannelOpened(uuid=f"e{self.tick()}", publisher=what)
        self.model.endpoints[self.live.open_endpoint(event)] = (kind, what, False)

    @precondition(lambda self: self.model.endpoints)
    @rule(number=NUMBER, stalled=st.booleans(), closes=st.booleans())
    def touch_endpoint(self, number: int, stalled: bool, closes: bool) -> None:
        endpoint = self.pick(self.model.endpoints, number)
        kind, what, before = self.model.endpoints[endpoint]
        head = self.ledger.head
        if closes:
            self.live.close_endpoint(endpoint)
            del self.model.endpoints[endpoint]
            self.closed.append(endpoint)
        elif kind == "subscriber":
            self.live.set_stalled(endpoint, stalled)
            self.model.endpoints[endpoint] = (kind, what, stalled)
            assert self.ledger.head == head + (stalled != before)

    @rule(pause=st.booleans())
    def pause(self, pause: bool) -> None:
        self.live.note(ev.GraphPaused() if pause else ev.GraphResumed())
        self.model.paused = pause

    @precondition(lambda self: self.closed)
    @rule(number=NUMBER)
    def name_what_is_gone(self, number: int) -> None:
        gone = self.pick(self.closed, number)
        head = self.ledger.head
        for command in commands_of(self.live, gone):
            with pytest.raises(InvalidEvent):
                command()
        assert self.ledger.head == head

    # --- the end of a run ---

    @rule(now=RARELY)
    def restart(self, now: bool) -> None:
        if not now:
            return
        self.end_run()
        self.live.close("stopped", by="127.0.0.1:9")
        self.compare()
        assert self.live.state.run is None
        with pytest.raises(LedgerClosed):
            self.live.open_session()
        head = self.ledger.head
        self.live.close()
        assert self.ledger.head == head
        self.counted = self.counts()
        digest = self.live.state.shape_digest()
        self.live = self.start()
        assert self.live.state.shape_digest() == digest
        REACHED["clean stop with persistent edges"] += bool(self.model.owners)

    @rule(now=RARELY)
    def crash(self, now: bool) -> None:
        if not now:
            return
        run = self.live.run
        self.counted = self.counts()
        self.live = self.start()
        self.end_run()
        lost, started = list(self.ledger.entries())[-2:]
        assert isinstance(lost, ev.ServerLost)
        assert lost.server == run
        assert isinstance(started, ev.ServerStarted)
        REACHED["lost run with persistent edges"] += bool(self.model.owners)

    def end_run(self) -> None:
        self.closed += [*self.model.metadata, *self.model.processes, *self.model.endpoints]
        for session in self.model.metadata:
            self.ezmsg.remove_owner(session)
        self.model.end_run()

    def counts(self) -> list[int]:
        return [len(self.model.topology), len(self.model.changes)]

    # --- the comparison ---

    @invariant()
    def compare(self) -> None:
        state, model = self.live.state, self.model
        self.live.check()
        snapshot = state.snapshot()
        assert snapshot.graph == {node: sorted(b for a, b in model.owners if a == node) for node in model.nodes}
        assert list(snapshot.graph) == model.nodes
        assert dict(state.ownership.edges()) == model.owners
        assert list(snapshot.edge_owners) == sorted(model.owners)
        assert {state.sessions[key].uuid for key in state.sessions} == set(snapshot.sessions)
        assert set(state.sessions) == set(model.metadata)
        for session, components in model.metadata.items():
            shown = snapshot.sessions[model.uuids[session]]
            assert shown.edges == [Edge(*edge) for edge in sorted(model.held(session))]
            assert (None if shown.metadata is None else as_components(shown.metadata)) == components
        settings = {
            name: (as_value(record.value), record.session, record.process) for name, record in state.settings.items()
        }
        assert settings == model.settings
        assert list(settings) == list(model.settings)
        assert state.components == {key: session for session, held in model.metadata.items() for key in held or ()}
        processes = {key: (record.pid, record.host, set(record.units)) for key, record in state.processes.items()}
        assert processes == model.processes
        assert state.units == {unit: process for process, (_, _, units) in processes.items() for unit in units}
        assert {key: (record.session, record.process) for key, record in state.requests.items()} == model.requests
        endpoints = {
            key: (record.kind, record.topic or record.publisher, record.stalled)
            for key, record in state.endpoints.items()
        }
        assert endpoints == model.endpoints
        assert state.paused == model.paused

    @invariant()
    def compare_with_ezmsg(self) -> None:
        assert dict(self.ezmsg.graph) == {
            node: set(successors) for node, successors in self.live.state.ownership.graph().items()
        }
        assert list(self.ezmsg.graph) == list(self.live.state.ownership.nodes)
        assert self.ezmsg.edge_owners == self.model.owners
        for topic in TOPICS:
            assert self.live.dag.downstream(topic) == set(self.ezmsg.downstream(topic))
            assert self.live.dag.upstream(topic) == set(self.ezmsg.upstream(topic))

    @invariant()
    def compare_feeds(self) -> None:
        kinds = (TopologyChanged, SettingsChanged)
        told = {kind: [entry for entry in self.told if type(entry) is kind] for kind in kinds}
        topology = [(entry.kind, tuple(entry.topics), entry.session, entry.process) for entry in told[TopologyChanged]]
        changes = [
            (entry.kind, entry.component, as_value(entry.value), entry.session, entry.process)
            for entry in told[SettingsChanged]
        ]
        before = self.counted
        assert topology == self.model.topology[before[0] :]
        assert changes == self.model.changes[before[1] :]
        numbers = [entry.number for entry in told[TopologyChanged]]
        assert numbers == list(range(before[0] + 1, len(self.model.topology) + 1))
        numbers = [entry.number for entry in told[SettingsChanged]]
        assert numbers == list(range(before[1] + 1, len(self.model.changes) + 1))

    @invariant()
    def replay(self) -> None:
        again = fold(self.ledger.read(), GraphState())
        assert again.digest() == self.live.state.digest()
        again.check()

    def teardown(self) -> None:
        self.end_run()
        self.live.close()
        self.compare()
        self.compare_feeds()
        self.replay()
        entries = list(feed(self.ledger.read()))
        topology = [entry for entry in entries if not isinstance(entry, SettingsChanged)]
        assert [(entry.kind, tuple(entry.topics), entry.session, entry.process) for entry in topology] == (
            self.model.topology
        )
        assert len(entries) == len(self.model.topology) + len(self.model.changes)
        recorded = [event for event in self.ledger.entries() if isinstance(event, ev.CommandRejected)]
        assert len(recorded) == self.refused


def told_of_this_run(live: LiveGraph) -> list[Any]:
    """The entries that both feeds have of this run so far."""
    return [entry for entry in feed(live.ledger.read()) if entry.number > live.opening.number(type(entry))]


def commands_of(live: LiveGraph, gone: int) -> Iterator[Callable[[], Any]]:
    """Every command that names a thing, naming one that is not there (any more)."""
    value = ev.SettingsValue(serialized=None, repr_value="")
    yield lambda: live.connect("A", "B", gone)
    yield lambda: live.connect("A", "A", gone)
    yield lambda: live.disconnect("A", "B", gone)
    yield lambda: live.clear(gone)
    yield lambda: live.close_session(gone)
    yield lambda: live.register(gone, freeze(system(1, 1)))
    yield lambda: live.route_request(gone, "r", "SYS/U", "PING", None)
    yield lambda: live.register_process(gone, 1, "h", ["SYS/U"])
    yield lambda: live.change_units(gone, ["SYS/U"], [])
    yield lambda: live.update_settings(gone, "SYS/U", value)
    yield lambda: live.close_process(gone)
    yield lambda: live.close_endpoint(gone)
    yield lambda: live.open_endpoint(ev.ChannelOpened(uuid="c", publisher=gone))


WANTED = (
    "shared edge",
    "second owner released, edge stays",
    "second owner gave up, edge stays",
    "edge again after clear",
    "cycle",
    "self-edge",
    "longer cycle",
    "collision",
    "conflict",
    "not_owner",
    "registered again",
    "another session takes the setting over",
    "settings fall back to the initial value",
    "settings go with their process",
    "settings kept by a process after the session's end",
    "clean stop with persistent edges",
    "lost run with persistent edges",
)
ROUNDS_MAX = 6


@pytest.fixture(scope="module")
def reached() -> Counter[str]:
    """What came about while the machine ran. Its seeds are fixed; it goes on until it has been everywhere."""
    REACHED.clear()
    chosen = settings(
        max_examples=70,
        stateful_step_count=80,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    for number in range(ROUNDS_MAX):
        run_state_machine_as_test(seed(number)(Machine), settings=chosen)
        if all(REACHED[what] for what in WANTED):
            break
    return REACHED


@pytest.mark.parametrize("what", WANTED)
def test_any_commands_in_any_order(what: str, reached: Counter[str]) -> None:
    assert reached[what] > 0, dict(reached)


# --- examples --------------------------------------------------------------------------------------------------------


@pytest.fixture
def live() -> LiveGraph:
    return LiveGraph(Ledger.memory(), name="test")


def last(live: LiveGraph, count: int = 1) -> list[Any]:
    return list(live.ledger.entries(after=live.ledger.head - count))


def replayed(live: LiveGraph) -> GraphState:
    state = fold(live.ledger.read(), GraphState())
    assert state.digest() == live.state.digest()
    live.check()
    return state


def test_a_run_begins_with_who_and_where() -> None:
    live = LiveGraph(Ledger.memory(), kind="server", name="rig", address="127.0.0.1:1")
    read, started = live.ledger.entries()
    assert isinstance(read, ev.ClockRead)
    assert read.time == started.time
    assert isinstance(started, ev.ServerStarted)
    assert (started.kind, started.name, started.address, started.pid) == ("server", "rig", "127.0.0.1:1", os.getpid())
    assert started.host == socket.gethostname()
    assert started.versions.keys() == {"ezmsg", "ezmsg-ledger"}
    assert started.durability == live.ledger.durability
    assert str(UUID(started.uuid)) == started.uuid
    assert live.run == started.seq == 2


def test_a_lost_run_is_ended_in_the_commit_that_begins_the_next(tmp_path: Path) -> None:
    path = tmp_path / "x.ledger"
    with Ledger.open(path) as ledger:
        live = LiveGraph(ledger)
        session = live.open_session()
        live.connect("A", "B", session)
        live.connect("B", "C", session)
        live.connect("B", "C")
        seen = live.state.digest()
    with Ledger.open(path) as ledger:
        assert fold(ledger.read(), GraphState()).digest() == seen
        again = LiveGraph(ledger)
        lost, read, started = last(again, 3)
        assert isinstance(lost, ev.ServerLost)
        assert isinstance(read, ev.ClockRead), "it holds for the run that begins, not for the one that was lost"
        assert isinstance(started, ev.ServerStarted)
        assert lost.server == live.run
        assert ledger.previous_writer_seen is not None
        times = [event.time for event in ledger.entries(0, lost.seq - 1)]
        assert lost.last_seen == max(ledger.previous_writer_seen, *times)
        assert lost.time == started.time
        assert again.state.ownership.graph() == {"B": ["C"], "C": []}
        assert [entry.topics for entry in told_of_this_run(again)] == [["B"]]
        replayed(again)
        again.connect("C", "A")
        with pytest.raises(CycleError):
            again.connect("A", "B")
        again.close()
        replayed(again)
    with Ledger.open(path) as ledger:
        assert fold(ledger.read(), GraphState()).run is None
        third = LiveGraph(ledger)
        assert [type(event) for event in last(third, 3)] == [ev.ServerStopped, ev.ClockRead, ev.ServerStarted]
        assert third.state.ownership.graph() == {"B": ["C"], "C": ["A"], "A": []}
        replayed(third)


def test_the_end_of_a_run_ends_everything_in_one_commit(live: LiveGraph) -> None:
    session, process = live.open_session(), live.open_process()
    live.register_process(process, 1, "h", ["U"])
    request, _ = live.route_request(session, "r", "U", "PING", None)
    endpoint = live.open_endpoint(ev.SubscriberOpened(uuid="e", topic="A"))
    for _ in range(12):
        live.reject(session, None, "SESSION_CONNECT", None, "malformed")
    live.close("shutdown", by="127.0.0.1:9")
    rejected, answered, *rest = last(live, 6)
    assert (rejected.reason, rejected.repeated) == ("malformed", 2)
    assert (answered.request, answered.ok, answered.error_code) == (request, False, "SERVER_STOPPED")
    assert [(ev.type_of(event), event.reason) for event in rest] == [
        ("session.closed", "server_stopped"),
        ("process.closed", "server_stopped"),
        ("endpoint.closed", "server_stopped"),
        ("server.stopped", "shutdown"),
    ]
    ended = (rest[0].session, rest[1].process, rest[2].endpoint, rest[3].server)
    assert ended == (session, process, endpoint, live.run)
    assert rest[3].by == "127.0.0.1:9"
    assert len({event.time for event in last(live, 6)}) == 1


def test_no_command_is_taken_after_the_end_of_the_run(live: LiveGraph) -> None:
    live.connect("A", "B")
    live.close()
    head = live.ledger.head
    commands: list[Callable[[], Any]] = [
        live.open_session,
        live.open_process,
        live.clear_persistent,
        lambda: live.connect("B", "C"),
        lambda: live.disconnect("A", "B"),
        lambda: live.note(ev.Mark(name="m")),
        lambda: live.reject(None, None, "SESSION_CONNECT", None, "malformed"),
        lambda: live.open_endpoint(ev.SubscriberOpened(uuid="e", topic="A")),
    ]
    for command in commands:
        with pytest.raises(LedgerClosed) as caught:
            command()
        assert caught.value.hint
    assert live.ledger.head == head
    replayed(live)


def test_a_closed_ledger_changes_nothing(live: LiveGraph) -> None:
    session = live.open_session()
    live.connect("A", "B", session)
    digest = live.state.digest()
    live.ledger.close()
    for command in (lambda: live.connect("B", "C", session), lambda: live.clear(session), live.open_process):
        with pytest.raises(LedgerClosed):
            command()
    assert live.state.digest() == digest
    assert set(live.dag.edges()) == {("A", "B")}


def test_newer_rules_are_not_continued() -> None:
    ledger = Ledger.memory()
    ledger.append([ev.ServerStarted(uuid="u", kind="server", name="s", host="h", pid=1, rules=ev.RULES + 1)])
    with pytest.raises(LedgerError, match="rules"):
        LiveGraph(ledger)
    assert ledger.head == 1


# --- refusals --------------------------------------------------------------------------------------------------------


def test_a_refused_cycle_says_which_way_it_would_close_and_whose_edges_these_are(live: LiveGraph) -> None:
    one, two = live.open_session("127.0.0.1:1"), live.open_session("127.0.0.1:2")
    uuids = {key: record.uuid for key, record in live.state.sessions.items()}
    live.connect("A", "B", two)
    live.connect("A", "B", one)
    live.connect("A", "B")
    live.connect("B", "C")
    with pytest.raises(CycleError) as caught:
        live.connect("C", "A", two)
    assert caught.value.path == ("A", "B", "C")
    (event,) = last(live)
    assert (event.actor, event.peer, event.command, event.reason) == (two, "127.0.0.1:2", "SESSION_CONNECT", "cycle")
    assert event.arguments == ["C", "A"]
    assert event.cause == {
        "path": ["A", "B", "C"],
        "owners": [["persistent", *sorted(uuids.values())], ["persistent"]],
    }
    with pytest.raises(CycleError):
        live.connect("C", "A", by="127.0.0.1:9")
    (event,) = last(live)
    assert (event.actor, event.peer) == (None, "127.0.0.1:9")
    live.disconnect("B", "C")
    live.connect("C", "A", two)
    replayed(live)


def test_a_refused_cycle_through_very_many_topics_is_cut_short(live: LiveGraph) -> None:
    count = LISTED_MAX + 5
    for number in range(count):
        live.connect(f"T{number}", f"T{number + 1}")
    with pytest.raises(CycleError) as caught:
        live.connect(f"T{count}", "T0")
    assert len(caught.value.path) == count + 1
    (event,) = last(live)
    assert event.cause["path"] == [f"T{number}" for number in range(LISTED_MAX)]
    assert len(event.cause["owners"]) == LISTED_MAX - 1
    assert event.cause["left_out"] == 6


def test_a_refused_registration_names_the_addresses_and_changes_nothing(live: LiveGraph) -> None:
    one, two = live.open_session(), live.open_session("127.0.0.1:2")
    live.register(one, freeze(system(2, 1)))
    live.register(two, freeze(system(5, 1)))
    before = live.state.shape_digest()
    with pytest.raises(AddressCollision, match=r"component address collision\(s\): SYS/U, SYS/V") as caught:
        live.register(two, freeze(system(3, 1)))
    assert caught.value.holder == one
    (event,) = last(live)
    assert (event.actor, event.peer, event.reason) == (two, "127.0.0.1:2", "collision")
    assert event.command == "SESSION_REGISTER"
    assert event.arguments == {"root_name": "SYS", "components": 3}
    uuid = live.state.sessions[one].uuid
    holder = {"session": one, "uuid": uuid, "label": "SYS", "peer": None, "processes": []}
    assert event.cause == {"addresses": ["SYS/U", "SYS/V"], "sessions": [uuid], "holders": [holder]}
    assert live.state.shape_digest() == before
    replayed(live)


def test_a_refused_unit_names_its_owner_and_changes_nothing(live: LiveGraph) -> None:
    one, two = live.open_process(), live.open_process("127.0.0.1:2")
    live.register_process(one, 1, "h", ["SYS/V", "SYS/U"])
    uuid = live.state.processes[one].uuid
    for command, commanded in (
        (lambda: live.register_process(two, 2, "h", ["SYS/U", "SYS/W", "SYS/U"]), "PROCESS_REGISTER"),
        (lambda: live.change_units(two, ["SYS/U"], []), "PROCESS_UPDATE_OWNERSHIP"),
    ):
        with pytest.raises(OwnershipConflict, match="SYS/U"):
            command()
        (event,) = last(live)
        assert (event.actor, event.peer, event.reason) == (two, "127.0.0.1:2", "conflict")
        assert event.command == commanded
        assert event.cause == {"units": {"SYS/U": uuid}}
    assert (live.state.processes[two].pid, live.state.processes[two].units) == (None, ())
    live.change_units(two, [], ["SYS/U"])
    assert live.state.units["SYS/U"] == one
    replayed(live)


def test_only_the_owner_of_a_component_reports_its_settings(live: LiveGraph) -> None:
    one, two = live.open_process(), live.open_process()
    live.register_process(one, 1, "h", ["SYS/U"])
    value = ev.SettingsValue(serialized=None, repr_value="Gain(1)")
    for process, component in ((two, "SYS/U"), (one, "SYS/V")):
        with pytest.raises(OwnershipConflict):
            live.update_settings(process, component, value)
        assert (last(live)[0].reason, last(live)[0].actor) == ("not_owner", process)
    assert live.state.settings == {}


def test_equal_refusals_are_counted_and_the_count_is_recorded_at_the_end(live: LiveGraph) -> None:
    session = live.open_session()
    for _ in range(25):
        with pytest.raises(CycleError):
            live.connect("A", "A", session)
    live.close_session(session)
    rejected = [event for event in live.ledger.entries() if isinstance(event, ev.CommandRejected)]
    assert [event.repeated for event in rejected] == [1] * 10 + [15]
    assert sum(event.repeated for event in rejected) == 25


MALFORMED: list[Any] = [
    None,
    [],
    {"components": None},
    {"components": ["U"]},
    {"components": {"$": "t", "v": []}},
    {"components": {"$": "m", "v": [[1, {}]]}},
    {"components": {"$": "m", "v": [["$"]]}},
    {"components": {"U": None}},
    {"components": {"U": {"address": "U"}}},
    {"components": {"U": {"initial_settings": [None, ""]}}},
    {"components": {"U": {"address": None, "initial_settings": [None, ""]}}},
    {"components": {"U": {"address": {"$": "s", "v": "7aCA"}, "initial_settings": [None, ""]}}},
    {"components": {"U": {"address": "U", "initial_settings": None}}},
    {"components": {"U": {"address": "U", "initial_settings": [None]}}},
    {"components": {"U": {"address": "U", "initial_settings": ["text", ""]}}},
    {"components": {"U": {"address": "U", "initial_settings": [{"$": "b", "v": "?"}, ""]}}},
    {"components": {"U": {"address": "U", "initial_settings": [None, float("nan")]}}},
    {"components": {"U": {"address": "U", "initial_settings": [None, ("a", "tuple")]}}},
    {"components": {"U": {"address": "\ud800", "initial_settings": [None, ""]}}},
]


@pytest.mark.parametrize("metadata", MALFORMED, ids=repr)
def test_what_no_fold_could_pass_is_not_stored(live: LiveGraph, metadata: Any) -> None:
    session = live.open_session()
    live.register(session, freeze(system(1, 1)))
    head = live.ledger.head
    with pytest.raises(InvalidEvent):
        live.register(session, metadata)
    assert live.ledger.head == head
    assert live.state.components == {"SYS/U": session}
    replayed(live)


def test_texts_that_are_not_unicode_are_refused(live: LiveGraph) -> None:
    session, process = live.open_session(), live.open_process()
    head = live.ledger.head
    commands: list[Callable[[], Any]] = [
        lambda: live.connect("\ud800", "B", session),
        lambda: live.connect("A", "\ud800"),
        lambda: live.register_process(process, 1, "\ud800", []),
        lambda: live.register_process(process, 1, "h", ["\ud800"]),
        lambda: live.route_request(session, "r", "\ud800", "PING", None),
        lambda: live.open_session(label="\ud800"),
    ]
    for command in commands:
        with pytest.raises(InvalidEvent):
            command()
    assert live.ledger.head == head
    assert list(live.dag.nodes) == []
    replayed(live)


# --- what is recorded ------------------------------------------------------------------------------------------------


def test_a_schema_is_recorded_only_when_it_changes(live: LiveGraph) -> None:
    session, process = live.open_session(), live.open_process()
    live.register(session, freeze(system(1, 3)))
    live.register_process(process, 1, "h", ["SYS/U"])

    def report(schema: Any) -> Any:
        live.update_settings(process, "SYS/U", ev.SettingsValue(None, "", None, freeze(schema)))
        assert thaw(live.state.settings["SYS/U"].value.settings_schema) == schema
        return last(live)[0].value.settings_schema

    other = SettingsSchemaMetadata(provider="dataclass")
    assert report(SCHEMA) is UNSET
    assert report(other) == freeze(other)
    assert report(other) is UNSET
    assert report(None) is None
    assert report(None) is UNSET
    assert told_of_this_run(live)[-1].value.settings_schema is None
    replayed(live)


def test_a_payload_is_cut_and_its_size_kept(live: LiveGraph) -> None:
    session = live.open_session()
    for payload, kept, size in ((None, None, 0), (b"", b"", 0), (b"x" * (PAYLOAD_KEPT + 3), b"x" * PAYLOAD_KEPT, None)):
        request, process = live.route_request(session, "r", "SYS/U", "PING", payload)
        assert process is None
        routed, answered = last(live, 2)
        assert (routed.payload, routed.size) == (kept, PAYLOAD_KEPT + 3 if size is None else size)
        assert (routed.seq, answered.request, answered.error_code) == (request, request, "UNROUTABLE_UNIT")
    assert live.state.requests == {}


def test_requests_end_with_the_session_that_asked_and_with_the_process_that_was_asked(live: LiveGraph) -> None:
    one, two, process = live.open_session(), live.open_session(), live.open_process()
    live.register_process(process, 1, "h", ["SYS/U"])
    first, _ = live.route_request(one, "r1", "SYS/U", "PING", None)
    second, _ = live.route_request(two, "r2", "SYS/U", "PING", None)
    live.close_session(one)
    answered, _ = last(live, 2)
    assert (answered.request, answered.ok, answered.error_code) == (first, False, "SESSION_CLOSED")
    live.close_process(process)
    answered, _ = last(live, 2)
    assert (answered.request, answered.ok, answered.error_code) == (second, False, "PROCESS_DISCONNECTED")
    assert live.state.requests == {}
    replayed(live)


def test_units_are_recorded_once_each(live: LiveGraph) -> None:
    process = live.open_process()
    live.register_process(process, 1, "h", ["B", "A", "B"])
    assert last(live)[0].units == ("B", "A")
    live.change_units(process, ["C", "C"], ["A", "A"])
    assert (last(live)[0].added, last(live)[0].removed) == (("C",), ("A",))


# --- feeds -----------------------------------------------------------------------------------------------------------


def test_whoever_waits_for_a_feed_is_told_once_a_commit(live: LiveGraph) -> None:
    told: list[list[FeedEntry]] = []
    live.on_feed = told.append
    session = live.open_session()
    assert told == []
    live.connect("A", "B", session)
    live.connect("A", "C", session)
    live.connect("A", "C")
    assert [len(entries) for entries in told] == [1, 1]
    live.register(session, freeze(system(2, 1)))
    assert [len(entries) for entries in told] == [1, 1, 3]
    live.close()
    assert [len(entries) for entries in told] == [1, 1, 3, 1]


def test_a_listener_that_fails_does_not_part_the_state_from_the_cycle_test(live: LiveGraph) -> None:
    def fail(entries: list[FeedEntry]) -> None:
        raise RuntimeError("a listener's fault")

    live.on_feed = fail
    with pytest.raises(RuntimeError):
        live.connect("A", "B")
    live.on_feed = None
    assert ("A", "B") in live.state.ownership
    replayed(live)
    with pytest.raises(CycleError):
        live.connect("B", "A")
