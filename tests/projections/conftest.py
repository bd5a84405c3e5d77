"""Legal histories, written from small numbers, so that hypothesis can choose and shrink them."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import strategies as st

from ezmsg.ledger import events as ev
from ezmsg.ledger.events import stamped
from ezmsg.ledger.metadata import (
    GraphMetadata,
    SettingsFieldMetadata,
    SettingsSchemaMetadata,
    UnitMetadata,
)
from ezmsg.ledger.projections.lifetimes import archive, builder, column
from ezmsg.ledger.values import Form, freeze

TOPICS = ("A", "B", "C", "D", "E", "F")
UNITS = ("SYS/U0", "SYS/U1", "SYS/U2", "SYS/U3")

Op = tuple[str, int, int, int]
History = Callable[..., list[Any]]

KINDS = (
    *("connect",) * 6,
    *("disconnect",) * 3,
    *("open_session", "close_session", "clear", "register", "register", "graph_clear"),
    *("open_process", "register_process", "change_units", "close_process", "update", "update"),
    *("route", "answer", "publisher", "subscriber", "channel", "close_endpoint", "stall"),
    *("pause", "sync", "mark", "reject", "gap", "late", "restart", "lose"),
)


def settings(number: int) -> ev.SettingsValue:
    """A reported value; every third repeats no schema."""
    schema = SettingsSchemaMetadata(provider="msgspec", fields=[SettingsFieldMetadata(name=f"f{number % 2}")])
    value = {"gain": float(number), "taps": [number, -0.0, True]}
    if number % 3 == 0:
        return ev.SettingsValue(serialized=b"%d" % number, repr_value=freeze(value), structured_value=freeze(value))
    return ev.SettingsValue(serialized=None, repr_value=f"G({number})", settings_schema=freeze(schema))


def metadata(first: int, count: int, number: int) -> Form:
    """The form of a GraphMetadata; the last component's key is not its address, and its settings are no dict."""
    components = {}
    for index in range(first, first + count):
        unit = UNITS[index % len(UNITS)]
        last = index == first + count - 1
        components[unit] = UnitMetadata(
            address=f"{unit}/OTHER" if last and number % 2 else unit,
            name=unit[4:],
            initial_settings=(b"%d" % number, "text" if last else {"gain": float(number)}),
            settings_schema=SettingsSchemaMetadata(provider=f"p{number}") if number % 3 else None,
        )
    return freeze(GraphMetadata(root_name="SYS" if number % 2 else None, components=components))


class Writer:
    """Turns small numbers into events, each legal after those before it.

    ``salt`` changes the ids, UUIDs, pids, peers' ports and times, and nothing of the shape.
    """

    def __init__(self, salt: int = 0) -> None:
        self.events: list[Any] = []
        self.salt = salt
        self.clock = 1_800_000_000_000_000_000 + salt
        self.sessions: dict[int, set[tuple[str, str]]] = {}
        self.persistent: set[tuple[str, str]] = set()
        self.registered: dict[int, set[str]] = {}
        self.processes: dict[int, set[str]] = {}
        self.requests: dict[int, tuple[int, int | None]] = {}
        self.endpoints: dict[int, tuple[str, bool]] = {}
        if salt:
            self.add(ev.Mark(name="salt"))
        self.run = self.start()

    def add(self, event: ev.Event) -> int:
        seq = self.events[-1].seq + 1 if self.events else 1
        if isinstance(event, ev.Gap) and event.lost:
            seq = event.last + 1
        self.clock += 1000 + self.salt
        self.events.append(stamped(event, seq, self.clock))
        return int(seq)

    def uuid(self, kind: str) -> str:
        return f"{kind}-{len(self.events)}-{self.salt}"

    def peer(self) -> str:
        return f"127.0.0.1:{40000 + self.salt + len(self.events)}"

    def start(self) -> int:
        return self.add(
            ev.ServerStarted(
                uuid=self.uuid("run"), kind="server", name="s", host="h", pid=self.salt, versions={"ezmsg": "3.9.0"}
            )
        )

    @staticmethod
    def pick(items: Any, number: int) -> Any:
        items = sorted(items)
        return items[number % len(items)] if items else None

    def owner(self, number: int) -> int | None:
        owners = [None, *self.sessions]
        return owners[number % len(owners)]

    def held(self, owner: int | None) -> set[tuple[str, str]]:
        return self.persistent if owner is None else self.sessions[owner]

    def write(self, ops: list[Op]) -> list[Any]:
        for kind, x, y, z in ops:
            getattr(self, kind)(x, y, z)
        return self.events

    # --- edges: from an earlier topic to a later one, so that no cycle can come -------------------------------------

    def connect(self, x: int, y: int, z: int) -> None:
        a = x % (len(TOPICS) - 1)
        b = a + 1 + y % (len(TOPICS) - 1 - a)
        owner = self.owner(z)
        edge = (TOPICS[a], TOPICS[b])
        if edge not in self.held(owner):
            self.held(owner).add(edge)
            self.add(ev.EdgeConnected(from_topic=edge[0], to_topic=edge[1], owner=owner, by=None))

    def disconnect(self, x: int, y: int, z: int) -> None:
        owner = self.owner(z)
        edge = self.pick(self.held(owner), x)
        if edge is not None:
            self.held(owner).remove(edge)
            self.add(ev.EdgeDisconnected(from_topic=edge[0], to_topic=edge[1], owner=owner))

    def graph_clear(self, x: int, y: int, z: int) -> None:
        self.persistent.clear()
        self.add(ev.GraphCleared())

    # --- sessions ----------------------------------------------------------------------------------------------------

    def open_session(self, x: int, y: int, z: int) -> None:
        label = (None, "rig", "")[x % 3]
        event = ev.SessionOpened(uuid=self.uuid("session"), peer=self.peer(), label=label)
        self.sessions[self.add(event)] = set()

    def close_session(self, x: int, y: int, z: int) -> None:
        session = self.pick(self.sessions, x)
        if session is None:
            return
        for request in [key for key, (asker, _) in self.requests.items() if asker == session]:
            self.finish(request)
        del self.sessions[session]
        self.registered.pop(session, None)
        self.add(ev.SessionClosed(session=session, reason="lost"))

    def clear(self, x: int, y: int, z: int) -> None:
        session = self.pick(self.sessions, x)
        if session is not None:
            self.sessions[session].clear()
            self.registered.pop(session, None)
            self.add(ev.SessionCleared(session=session))

    def register(self, x: int, y: int, z: int) -> None:
        session = self.pick(self.sessions, x)
        count = y % 3
        keys = {UNITS[index % len(UNITS)] for index in range(x, x + count)}
        if session is None or any(keys & held for other, held in self.registered.items() if other != session):
            return
        self.registered[session] = keys
        self.add(ev.MetadataRegistered(session=session, metadata=metadata(x, count, z), raw=b"raw" if z == 5 else None))

    # --- processes ---------------------------------------------------------------------------------------------------

    def open_process(self, x: int, y: int, z: int) -> None:
        self.processes[self.add(ev.ProcessOpened(uuid=self.uuid("process"), peer=self.peer()))] = set()

    def units(self, process: int, first: int, count: int) -> list[str]:
        wanted = dict.fromkeys(UNITS[index % len(UNITS)] for index in range(first, first + count))
        others = set().union(*(units for other, units in self.processes.items() if other != process))
        return [unit for unit in wanted if unit not in others]

    def register_process(self, x: int, y: int, z: int) -> None:
        process = self.pick(self.processes, x)
        if process is not None:
            units = self.units(process, y, z % 3)
            self.processes[process] = set(units)
            self.add(ev.ProcessRegistered(process=process, pid=self.salt + x, host="h", units=tuple(units)))

    def change_units(self, x: int, y: int, z: int) -> None:
        process = self.pick(self.processes, x)
        if process is not None:
            added, removed = self.units(process, y, 2), [UNITS[z % len(UNITS)]]
            self.processes[process] = (self.processes[process] | set(added)) - set(removed)
            self.add(ev.ProcessOwnershipChanged(process=process, added=tuple(added), removed=tuple(removed)))

    def close_process(self, x: int, y: int, z: int) -> None:
        process = self.pick(self.processes, x)
        if process is None:
            return
        for request in [key for key, (_, asked) in self.requests.items() if asked == process]:
            self.finish(request)
        del self.processes[process]
        self.add(ev.ProcessClosed(process=process, reason="closed"))

    def update(self, x: int, y: int, z: int) -> None:
        process = self.pick(self.processes, x)
        if process is not None:
            reported = None if z % 2 else 1_800_000_000 + z
            unit = UNITS[y % len(UNITS)]
            self.add(ev.SettingsUpdated(process=process, component=unit, value=settings(z), reported_at=reported))

    def route(self, x: int, y: int, z: int) -> None:
        session, process = self.pick(self.sessions, x), self.pick(self.processes, y)
        if session is not None:
            event = ev.RequestRouted(
                uuid=self.uuid("request"), session=session, unit=UNITS[0], operation="PING", process=process, size=z
            )
            self.requests[self.add(event)] = (session, process)

    def answer(self, x: int, y: int, z: int) -> None:
        request = self.pick(self.requests, x)
        if request is not None:
            self.finish(request)

    def finish(self, request: int) -> None:
        del self.requests[request]
        self.add(ev.RequestAnswered(request=request, ok=True, took=5))

    # --- endpoints ---------------------------------------------------------------------------------------------------

    def publisher(self, x: int, y: int, z: int) -> None:
        event = ev.PublisherOpened(
            uuid=self.uuid("publisher"), topic=TOPICS[x % len(TOPICS)], declared=self.peer(), advertised=self.peer()
        )
        self.endpoints[self.add(event)] = ("publisher", False)

    def subscriber(self, x: int, y: int, z: int) -> None:
        event = ev.SubscriberOpened(uuid=self.uuid("subscriber"), topic=TOPICS[x % len(TOPICS)])
        self.endpoints[self.add(event)] = ("subscriber", False)

    def channel(self, x: int, y: int, z: int) -> None:
        publisher = self.pick([key for key, (kind, _) in self.endpoints.items() if kind == "publisher"], x)
        if publisher is not None:
            event = ev.ChannelOpened(uuid=self.uuid("channel"), publisher=publisher, peer=self.peer())
            self.endpoints[self.add(event)] = ("channel", False)

    def close_endpoint(self, x: int, y: int, z: int) -> None:
        endpoint = self.pick(self.endpoints, x)
        if endpoint is not None:
            del self.endpoints[endpoint]
            self.add(ev.EndpointClosed(endpoint=endpoint, reason="closed"))

    def stall(self, x: int, y: int, z: int) -> None:
        endpoint = self.pick([key for key, (kind, _) in self.endpoints.items() if kind == "subscriber"], x)
        if endpoint is not None:
            stalled = not self.endpoints[endpoint][1]
            self.endpoints[endpoint] = ("subscriber", stalled)
            event = ev.SubscriberStalled if stalled else ev.SubscriberRecovered
            self.add(event(endpoint=endpoint, topic="A"))

    # --- the rest ----------------------------------------------------------------------------------------------------

    def pause(self, x: int, y: int, z: int) -> None:
        self.add(ev.GraphPaused() if x % 2 else ev.GraphResumed())

    def sync(self, x: int, y: int, z: int) -> None:
        self.add(ev.GraphSynced(outcome="complete"))

    def mark(self, x: int, y: int, z: int) -> None:
        self.add(ev.Mark(name=f"m{x}"))

    def reject(self, x: int, y: int, z: int) -> None:
        self.add(ev.CommandRejected(actor=None, command="connect", arguments=["A", "A"], reason="cycle"))

    def gap(self, x: int, y: int, z: int) -> None:
        first = self.events[-1].seq + 1
        reached = {"topology": 5 * y, "settings": 5 * z}
        self.add(ev.Gap(first=first, last=first + x, lost=x + 1, late=0, reason="write_failed", **reached))

    def late(self, x: int, y: int, z: int) -> None:
        last = self.events[-1].seq
        self.add(ev.Gap(first=last, last=last, lost=0, late=1, reason="write_failed"))

    def restart(self, x: int, y: int, z: int) -> None:
        self.end(ev.ServerStopped(server=self.run, reason="stopped"))

    def lose(self, x: int, y: int, z: int) -> None:
        self.end(ev.ServerLost(server=self.run, last_seen=self.clock))

    def end(self, event: ev.Event) -> None:
        self.add(event)
        for table in (self.sessions, self.registered, self.processes, self.requests, self.endpoints):
            table.clear()
        self.run = self.start()


OP = st.tuples(st.sampled_from(KINDS), st.integers(0, 7), st.integers(0, 7), st.integers(0, 7))
# The length is drawn first: lists without a least size have five items on average, too few for much to come about.
OPS = st.integers(0, 80).flatmap(lambda size: st.lists(OP, min_size=size, max_size=size))


@pytest.fixture(scope="session")
def ops() -> st.SearchStrategy[list[Op]]:
    """What ``history`` turns into events."""
    return OPS


@pytest.fixture(scope="session")
def history() -> History:
    """``history(ops, salt=0)``: a legal history of one or more runs."""

    def write(ops: list[Op], salt: int = 0) -> list[Any]:
        return Writer(salt).write(ops)

    return write


@pytest.fixture(scope="session")
def histories() -> st.SearchStrategy[list[Any]]:
    """Legal histories of every kind of event but the unknown."""
    return OPS.map(lambda ops: Writer().write(ops))


@pytest.fixture
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Checkpoints, notes and index files come after a few events, so that short histories have several."""
    monkeypatch.setattr(builder, "CHECK_EVERY", 10)
    monkeypatch.setattr(builder, "NOTE_EVERY", 10)
    monkeypatch.setattr(archive, "CHECK_EVERY", 10)
    monkeypatch.setattr(column, "INTEGERS_SHIFT", 3)
    monkeypatch.setattr(column, "BYTES_SHIFT", 6)
    monkeypatch.setattr(archive, "SAVE_EVERY", 20)
    monkeypatch.setattr(archive, "STEP", 64)
