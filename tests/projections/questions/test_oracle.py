"""A long history whose author keeps a record of his own: what was so after each event, and why it ended.

The model below shares nothing with the fold: it is told by the commands what happens, not by the events.
"""

import random
from collections.abc import Callable, Iterator
from copy import deepcopy
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from ezmsg.ledger import events as ev
from ezmsg.ledger.log import Ledger
from ezmsg.ledger.metadata import GraphMetadata, UnitMetadata
from ezmsg.ledger.projections.graph import checkpoint
from ezmsg.ledger.projections.graph.state import GraphState
from ezmsg.ledger.projections.lifetimes import archive, builder
from ezmsg.ledger.projections.projection import fold
from ezmsg.ledger.projections.questions.timeline import Timeline
from ezmsg.ledger.values import freeze

TOPICS = [f"T{number}" for number in range(7)]
UNITS = ["SYS/U0", "SYS/U1", "SYS/U2"]
EVENTS = 1500
SNAPSHOTS = 200

Edge = tuple[str, str]


class Model:
    """What is so, in the plainest form."""

    def __init__(self) -> None:
        self.edges: dict[Edge, set[int | None]] = {}
        self.sessions: dict[int, str] = {}
        self.registered: dict[int, dict[str, Any]] = {}
        self.reported: dict[str, tuple[int, Any]] = {}
        self.units: dict[str, int] = {}
        self.endpoints: dict[int, tuple[str, str]] = {}
        self.stalled: set[int] = set()
        self.paused = False

    def reaches(self, a: str, b: str) -> bool:
        seen, todo = set(), [a]
        while todo:
            here = todo.pop()
            for from_topic, to_topic in self.edges:
                if from_topic == here and to_topic not in seen:
                    seen.add(to_topic)
                    todo.append(to_topic)
        return b in seen

    def setting(self, unit: str) -> Any:
        if unit in self.reported:
            return self.reported[unit][1]
        for values in self.registered.values():
            if unit in values:
                return values[unit]
        return None


PREDICATES: dict[str, Callable[[Model], bool]] = {
    "edge T0 -> T1": lambda m: ("T0", "T1") in m.edges,
    "path T0 -> T6": lambda m: m.reaches("T0", "T6"),
    "path T1 -> T4": lambda m: m.reaches("T1", "T4"),
    "session rig": lambda m: "rig" in m.sessions.values(),
    "setting SYS/U0.gain == 2": lambda m: is_number(m, "SYS/U0", 2),
    "setting SYS/U1.gain == 1.0": lambda m: is_number(m, "SYS/U1", 1.0),
    'setting "SYS/U2" == {"gain": 0}': lambda m: is_number(m, "SYS/U2", 0),
    "not edge T0 -> T1 and (path T2 -> T5 or session rig)": lambda m: (
        ("T0", "T1") not in m.edges and (m.reaches("T2", "T5") or "rig" in m.sessions.values())
    ),
}


def is_number(model: Model, unit: str, value: float) -> bool:
    found = (model.setting(unit) or {}).get("gain")
    return type(found) in (int, float) and found == value


class Author:
    """Writes ``events`` to a ledger by commands, each as often as ``weights`` says, and the record beside it."""

    events = EVENTS
    weights = (60, 30, 6, 3, 4, 1, 6, 3, 12, 2, 3, 3, 1, 1)

    def __init__(self, ledger: Ledger, seed: int) -> None:
        self.random = random.Random(seed)
        self.ledger = ledger
        self.model = Model()
        self.time = 1_700_000_000 * 10**9
        self.after: list[dict[str, bool]] = [{}]
        self.snapshots: dict[int, Model] = {}
        self.wanted = set(self.random.sample(range(1, EVENTS), SNAPSHOTS))
        self.born: dict[tuple[Edge, int | None], int] = {}
        self.holds: list[tuple[Edge, int | None, int, int, str]] = []
        self.run = 0
        self.processes: set[int] = set()

    def clock(self) -> int:
        jump = self.random.random()
        self.time += -(10**10) if jump < 0.01 else 10**12 if jump < 0.02 else self.random.randrange(10**7)
        return self.time

    def add(self, event: ev.Event, change: Callable[[int], None]) -> int:
        seq = self.ledger.next_seq
        self.ledger.append([event])
        change(seq)
        self.after.append({text: holds(self.model) for text, holds in PREDICATES.items()})
        if seq in self.wanted:
            self.snapshots[seq] = deepcopy(self.model)
        return seq

    def write(self) -> None:
        self.start()
        while self.ledger.head < self.events:
            self.random.choices(
                [self.connect, self.disconnect, self.open, self.clear, self.close, self.clear_graph, self.register,
                 self.process, self.report, self.close_process, self.endpoint, self.stall, self.pause, self.restart],
                self.weights,
            )[0]()  # fmt: skip

    # --- commands ---

    def start(self) -> None:
        self.run = self.add(ev.ServerStarted(uuid="r", kind="server", name="n", host="h", pid=1), lambda seq: None)

    def restart(self) -> None:
        lost = self.random.random() < 0.5
        cause = "run lost" if lost else "run stopped"
        event = ev.ServerLost(server=self.run) if lost else ev.ServerStopped(server=self.run, reason="stopped")

        def change(seq: int) -> None:
            for session in list(self.model.sessions):
                self.drop(session, seq, cause)
            self.model.sessions.clear()
            self.model.registered.clear()
            self.model.reported.clear()
            self.model.units.clear()
            self.model.endpoints.clear()
            self.model.stalled.clear()
            self.model.paused = False
            self.processes.clear()

        self.add(event, change)
        self.start()

    def drop(self, owner: int | None, seq: int, cause: str) -> None:
        for edge, owners in list(self.model.edges.items()):
            if owner in owners:
                self.release(edge, owner, seq, cause)

    def release(self, edge: Edge, owner: int | None, seq: int, cause: str) -> None:
        owners = self.model.edges[edge]
        owners.remove(owner)
        if not owners:
            del self.model.edges[edge]
        self.holds.append((edge, owner, self.born.pop((edge, owner)), seq, cause))

    def connect(self) -> None:
        edge: Edge = tuple(sorted(self.random.sample(TOPICS, 2)))  # type: ignore[assignment]
        owner = self.random.choice([None, *self.model.sessions])
        if owner in self.model.edges.get(edge, ()):
            return

        def change(seq: int) -> None:
            self.model.edges.setdefault(edge, set()).add(owner)
            self.born[edge, owner] = seq

        self.add(ev.EdgeConnected(from_topic=edge[0], to_topic=edge[1], owner=owner), change)

    def disconnect(self) -> None:
        held = [(edge, owner) for edge, owners in self.model.edges.items() for owner in owners]
        if held:
            edge, owner = self.random.choice(held)
            reason = self.random.choice([None, "unseen"])
            event = ev.EdgeDisconnected(from_topic=edge[0], to_topic=edge[1], owner=owner, reason=reason)
            self.add(event, lambda seq: self.release(edge, owner, seq, reason or "disconnected"))

    def open(self) -> None:
        label = self.random.choice(["rig", "viewer"])
        event = ev.SessionOpened(uuid=f"u{self.ledger.next_seq}", label=label)
        self.add(event, lambda seq: self.model.sessions.update({seq: label}))

    def session(self) -> int | None:
        return self.random.choice([None, *self.model.sessions])

    def clear(self) -> None:
        session = self.session()
        if session is not None:

            def change(seq: int) -> None:
                self.drop(session, seq, "session cleared")
                self.model.registered.pop(session, None)

            self.add(ev.SessionCleared(session=session), change)

    def close(self) -> None:
        session = self.session()
        if session is not None:
            reason = self.random.choice(["lost", "closed", "error", "unseen"])

            def change(seq: int) -> None:
                self.drop(session, seq, f"session {reason}")
                self.model.registered.pop(session, None)
                del self.model.sessions[session]

            self.add(ev.SessionClosed(session=session, reason=reason), change)

    def clear_graph(self) -> None:
        self.add(ev.GraphCleared(), lambda seq: self.drop(None, seq, "graph cleared"))

    def value(self) -> dict[str, Any]:
        return {"gain": self.random.choice([0, 1, 2, 0.0, 1.0, True])}

    def register(self) -> None:
        session = self.session()
        taken = {unit for other, values in self.model.registered.items() if other != session for unit in values}
        units = [unit for unit in UNITS if unit not in taken and self.random.random() < 0.6]
        if session is None:
            return
        values = {unit: self.value() for unit in units}
        components = {
            unit: UnitMetadata(address=unit, name=unit, initial_settings=(None, value))
            for unit, value in values.items()
        }
        event = ev.MetadataRegistered(session=session, metadata=freeze(GraphMetadata(components=components)))
        self.add(event, lambda seq: self.model.registered.update({session: values}))

    def process(self) -> None:
        process = self.ledger.next_seq
        self.add(ev.ProcessOpened(uuid=f"p{process}"), lambda seq: self.processes.add(seq))
        units = [unit for unit in UNITS if unit not in self.model.units and self.random.random() < 0.7]
        event = ev.ProcessRegistered(process=process, pid=process, host="h", units=tuple(units))
        self.add(event, lambda seq: self.model.units.update(dict.fromkeys(units, process)))

    def report(self) -> None:
        if self.model.units:
            unit = self.random.choice(list(self.model.units))
            process, value = self.model.units[unit], self.value()
            told = ev.SettingsValue(serialized=None, repr_value="v", structured_value=freeze(value))
            event = ev.SettingsUpdated(process=process, component=unit, value=told)
            self.add(event, lambda seq: self.model.reported.update({unit: (process, value)}))

    def close_process(self) -> None:
        if self.processes:
            process = self.random.choice(sorted(self.processes))

            def change(seq: int) -> None:
                self.processes.remove(process)
                for table in (self.model.units, self.model.reported):
                    for unit, of in list(table.items()):  # type: ignore[attr-defined]
                        if of == process or (type(of) is tuple and of[0] == process):
                            del table[unit]  # type: ignore[attr-defined]

            self.add(ev.ProcessClosed(process=process, reason="closed"), change)

    def endpoint(self) -> None:
        if self.model.endpoints and self.random.random() < 0.4:
            endpoint = self.random.choice(sorted(self.model.endpoints))

            def change(seq: int) -> None:
                del self.model.endpoints[endpoint]
                self.model.stalled.discard(endpoint)

            self.add(ev.EndpointClosed(endpoint=endpoint, reason="closed"), change)
            return
        topic = self.random.choice(TOPICS)
        kind = self.random.choice(["publisher", "subscriber"])
        opened = ev.PublisherOpened if kind == "publisher" else ev.SubscriberOpened
        event = opened(uuid=f"e{self.ledger.next_seq}", topic=topic)
        self.add(event, lambda seq: self.model.endpoints.update({seq: (kind, topic)}))

    def stall(self) -> None:
        subscribers = [key for key, (kind, _) in self.model.endpoints.items() if kind == "subscriber"]
        if subscribers:
            endpoint = self.random.choice(subscribers)
            stalled = endpoint in self.model.stalled
            event = (ev.SubscriberRecovered if stalled else ev.SubscriberStalled)(endpoint=endpoint, topic="T")
            self.add(event, lambda seq: self.model.stalled.symmetric_difference_update({endpoint}))

    def pause(self) -> None:
        paused = not self.model.paused
        self.add((ev.GraphPaused if paused else ev.GraphResumed)(), lambda seq: setattr(self.model, "paused", paused))


@pytest.fixture(scope="module")
def small_steps() -> Iterator[None]:
    """Notes, checkpoints and index files every few events."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(builder, "NOTE_EVERY", 32)
        patch.setattr(builder, "CHECK_EVERY", 100)
        patch.setattr(archive, "CHECK_EVERY", 100)
        patch.setattr(archive, "SAVE_EVERY", 100)
        patch.setattr(archive, "STEP", 250)
        yield


@pytest.fixture(scope="module")
def author(small_steps: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Author]:
    path = tmp_path_factory.mktemp("oracle") / "x.ledger"
    told: list[Author] = []
    with Ledger.open(path, durability="none", clock=lambda: told[0].clock() if told else 1) as ledger:
        told.append(Author(ledger, 7))
        told[0].write()
    with Ledger.open(path, "r") as ledger:
        told[0].ledger = ledger
        yield told[0]


def index_of(author: Author) -> Path:
    return Path(author.ledger.location + ".index")


def spoil(path: Path) -> None:
    data = bytearray(path.read_bytes())
    for place in range(len(data) // 3, len(data), 997):
        data[place] ^= 0x55
    path.write_bytes(data)


def compare(model: Model, state: GraphState) -> None:
    assert dict(state.ownership.edges()) == model.edges
    assert {key: record.label for key, record in state.sessions.items()} == model.sessions
    assert state.units == model.units
    assert {key: (record.kind, record.topic) for key, record in state.endpoints.items()} == model.endpoints
    assert {key for key, record in state.endpoints.items() if record.stalled} == model.stalled
    assert state.paused == model.paused
    for unit in UNITS:
        record = state.settings.get(unit)
        told = None if record is None else record.value.structured_value
        assert freeze(model.setting(unit)) == told, unit


@pytest.mark.parametrize("how", ["without an index", "making one", "from one", "from a damaged one", "after its loss"])
def test_every_snapshot_is_what_the_author_noted(author: Author, how: str) -> None:
    path = index_of(author)
    if how == "after its loss":
        path.unlink()
    elif how == "from a damaged one":
        spoil(path)
    assert path.exists() == how.startswith("from")
    looked = Timeline(author.ledger, index=how != "without an index")
    assert len(author.snapshots) == SNAPSHOTS
    for seq, model in author.snapshots.items():
        state = looked.at(seq)
        compare(model, state)
        told = {edge: set(owners) for edge, owners in looked.lifetimes.edges_at(seq).items()}
        assert told == model.edges
    assert path.exists() == (how != "without an index")
    for seq in list(author.snapshots)[:20]:
        replayed = fold(author.ledger.read(until=seq), GraphState())
        assert looked.at(seq).digest() == replayed.digest()
        assert checkpoint.encode(looked.at(seq)) == checkpoint.encode(replayed)


def test_a_difference_leads_from_one_snapshot_to_another(author: Author) -> None:
    looked = Timeline(author.ledger)
    seqs = sorted(author.snapshots)
    for a, b in zip(seqs[::20], seqs[:0:-20], strict=False):
        assert looked.diff(a, b).apply(looked.at(a)).digest() == looked.at(b).digest()


@pytest.mark.parametrize("text", PREDICATES)
def test_when_agrees_with_the_author_at_every_event(author: Author, text: str) -> None:
    found = Timeline(author.ledger).when(text)
    noted = [holds[text] for holds in author.after[1:]]
    assert any(noted)
    assert not all(noted)
    told = [False] * (len(noted) + 1)
    for span in found.spans:
        end = len(told) if span.died is None else span.died
        assert not any(told[span.born : end])
        told[span.born : end] = [True] * (end - span.born)
    assert told[1:] == noted
    changes = [seq for seq, (a, b) in enumerate(pairwise(noted), 2) if a != b]
    assert (found.changes, found.first, found.last, found.now) == (len(changes), changes[0], changes[-1], noted[-1])
    assert found.ns == sum(span.ns for span in found.spans)


def test_why_names_the_recorded_causes(author: Author) -> None:
    looked = Timeline(author.ledger)
    assert {cause for *_, cause in author.holds} >= {
        "disconnected", "unseen", "session cleared", "session lost", "graph cleared", "run lost", "run stopped",
    }  # fmt: skip
    for edge, owner, born, died, cause in author.holds[::8]:
        text = " -> ".join(edge)
        there = looked.why(text, died - 1)
        assert there.holds
        life = next(life for life in there.lives if life.owner == owner)
        assert (life.born, life.died) == (born, died)
        assert (life.came.seq, life.came.kind) == (born, "connected")
        assert life.went is not None
        assert (life.went.seq, life.went.kind) == (died, cause)
        gone = looked.why(text, died)
        if not gone.holds:
            assert cause in {life.went.kind for life in gone.lives if life.went is not None}
            assert {life.died for life in gone.lives} == {died}


def test_history_has_every_hold_that_the_author_noted(author: Author) -> None:
    looked = Timeline(author.ledger)
    for edge in {edge for edge, *_ in author.holds}:
        told = {(life.owner, life.born, life.died) for life in looked.history(" -> ".join(edge)).lives}
        noted = {(owner, born, died) for each, owner, born, died, _ in author.holds if each == edge}
        noted |= {(owner, born, None) for (each, owner), born in author.born.items() if each == edge}
        assert told == noted
