"""Digests of a state: any fact that differs makes another, and the page and its vectors say how they come about."""

import re
from collections.abc import Callable, Iterator
from math import inf, nan
from pathlib import Path
from struct import unpack
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from ezmsg.ledger import codec
from ezmsg.ledger import events as ev
from ezmsg.ledger.errors import UnknownEvents
from ezmsg.ledger.events import stamped
from ezmsg.ledger.metadata import GraphMetadata, SettingsSchemaMetadata, UnitMetadata
from ezmsg.ledger.projections.graph import records
from ezmsg.ledger.projections.graph.state import GraphState
from ezmsg.ledger.projections.graph.views import digest
from ezmsg.ledger.projections.graph.views.diff import diff
from ezmsg.ledger.projections.graph.views.facts import facts, from_facts, position
from ezmsg.ledger.projections.projection import fold
from ezmsg.ledger.values import freeze

DOCS = Path(__file__).parents[4] / "docs"


def state_of(*events: Any) -> GraphState:
    return fold([[stamped(event, seq, 1000 * seq) for seq, event in enumerate(events, 1)]], GraphState())


def rich() -> list[Any]:
    """A history after which every table holds something."""
    schema = SettingsSchemaMetadata(provider="msgspec", settings_type="Gain")
    unit = UnitMetadata(address="SYS/U", initial_settings=(b"p", {"gain": 1.0, "n": 1}), settings_schema=schema)
    other = UnitMetadata(address="SYS/V", initial_settings=(None, "text"))
    graph = GraphMetadata(root_name="SYS", components={"SYS/U": unit, "SYS/V": other})
    value = ev.SettingsValue(serialized=b"q", repr_value={"gain": 2.0}, structured_value={"gain": 2.0})
    return [
        ev.ServerStarted(
            uuid="run", kind="server", name="s", host="h", pid=1, address="a:1", versions={"ezmsg": "3.9"}
        ),
        ev.SessionOpened(uuid="s2", peer="127.0.0.1:2"),
        ev.SessionOpened(uuid="s3", peer="127.0.0.1:3", label="rig"),
        ev.EdgeConnected(from_topic="A", to_topic="B", owner=2),
        ev.EdgeConnected(from_topic="A", to_topic="B", owner=3),
        ev.EdgeConnected(from_topic="B", to_topic="C", owner=None, by="127.0.0.1:9"),
        ev.MetadataRegistered(session=2, metadata=freeze(graph), raw=b"raw"),
        ev.ProcessOpened(uuid="p8", peer="127.0.0.1:8"),
        ev.ProcessRegistered(process=8, pid=88, host="h", units=("SYS/U", "SYS/V")),
        ev.SettingsUpdated(process=8, component="SYS/U", value=value, reported_at=5),
        ev.PublisherOpened(uuid="e11", topic="A", declared="d:1", advertised="d:2", peer="127.0.0.1:11"),
        ev.SubscriberOpened(uuid="e12", topic="B"),
        ev.ChannelOpened(uuid="e13", publisher=11),
        ev.SubscriberStalled(endpoint=12, topic="B"),
        ev.RequestRouted(uuid="r15", session=2, unit="SYS/U", operation="PING", process=8),
        ev.GraphPaused(),
    ]


# --- any fact that differs -------------------------------------------------------------------------------------------


def others(value: Any) -> Iterator[Any]:
    """Values that differ from ``value`` in one place: other values, the same of another type, and in every part."""
    if value is None:
        yield from (0, "", "x", False)
    elif type(value) is bool:
        yield from (not value, int(value), None)
    elif type(value) is int:
        yield from (value + 1, -value - 1, float(value), str(value), None)
    elif type(value) is float:
        yield from (value + 1, -value, int(value), None)
    elif type(value) is str:
        yield from (value + "x", value[:-1] or "y", value.encode(), None)
    elif type(value) is bytes:
        yield from (value + b"x", value.decode("latin-1"), None)
    elif type(value) is dict:
        yield from ({**value, "another": None}, list(value.items()), None)
        if len(value) > 1:
            yield dict(reversed(value.items()))
        for key, item in value.items():
            yield {name: old for name, old in value.items() if name != key}
            yield {f"{name}x" if name == key else name: old for name, old in value.items()}
            yield from ({**value, key: new} for new in others(item))
    elif type(value) in (list, tuple):
        yield from ([*value, None], None)
        if len(value) > 1:
            yield [*reversed(value)]
        for index, item in enumerate(value):
            yield [*value[:index], *value[index + 1 :]]
            yield from ([*value[:index], new, *value[index + 1 :]] for new in others(item))
    else:
        for name in value.__struct_fields__:
            for new in others(getattr(value, name)):
                yield replace(value, **{name: new})


Change = Callable[[GraphState], Any]


def mutations() -> Iterator[tuple[str, Change]]:
    state = state_of(*rich())

    def put(table: str, key: Any, record: Any) -> Change:
        return lambda other: getattr(other, table).update({key: record})

    for table in ("runs", "sessions", "registrations", "settings", "processes", "endpoints", "requests"):
        for key, record in getattr(state, table).items():
            for record_changed in others(record):
                if record_changed is not None:
                    yield f"{table}[{key}] = {record_changed}", put(table, key, record_changed)
            yield f"without {table}[{key}]", lambda other, table=table, key=key: getattr(other, table).pop(key)
            new = "SYS/W" if table == "settings" else 99
            yield f"{table}[{new}] as {key}", put(table, new, record)
    for name in ("seq", "rules", "paused", "topology", "settings_changes"):
        for value in others(getattr(state, name)):
            if value is not None:
                yield f"{name} = {value!r}", lambda other, name=name, value=value: setattr(other, name, value)
    edges = ev.EdgeConnected, ev.EdgeDisconnected
    for kind, a, b, owner in (
        (0, "A", "B", None),
        (1, "A", "B", 2),
        (1, "A", "B", 3),
        (1, "B", "C", None),
        (0, "A", "C", None),
        (0, "A", "C", 2),
        (0, "B", "C", 2),
        (0, "C", "D", None),
        (0, "D", "C", None),
    ):
        event = edges[kind](seq=1, from_topic=a, to_topic=b, owner=owner)
        yield f"{event}", lambda other, event=event: other.ownership.run([event], 0, 0, None)

    def move(other: GraphState) -> None:
        other.ownership.nodes["A"] = other.ownership.nodes.pop("A")

    yield "A is the last node", move

    def reorder(other: GraphState) -> None:
        other.settings["SYS/U"] = other.settings.pop("SYS/U")

    yield "SYS/U is the last setting", reorder


def test_every_change_of_a_single_fact_gives_another_digest() -> None:
    original = state_of(*rich())
    original.check()
    at, table = position(original), facts(original)
    seen = {original.digest(): "the original"}
    for name, change in mutations():
        state = from_facts(at, table, GraphState())
        assert state.digest() == original.digest()
        change(state)
        mutated = state.digest()
        assert seen.get(mutated, name) == name, f"{name} has the digest of {seen[mutated]}"
        seen[mutated] = name
    assert len(seen) > 500


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_states_with_the_same_digest_have_the_same_facts(
    data: st.DataObject, histories: st.SearchStrategy[list[Any]]
) -> None:
    events = data.draw(histories)
    seqs = st.integers(0, len(events))
    a, b = (fold([events[: data.draw(seqs)]], GraphState()) for _ in range(2))
    moved = from_facts(position(a), facts(b), GraphState())
    # births are ranks; the digest has the order that they give
    differs = [change for change in diff(a, moved).changes if change.key[0] != "node"]
    differs += [None] if list(a.ownership.nodes) != list(b.ownership.nodes) else []
    assert (moved.digest() != a.digest()) == bool(differs)


def test_time_alone_is_no_fact_but_when_a_thing_began_is() -> None:
    events = [stamped(event, seq, 1) for seq, event in enumerate(rich(), 1)]
    later = [*events[:-1], stamped(rich()[-1], len(events), 2)]
    assert fold([later], GraphState()).digest() == fold([events], GraphState()).digest()
    earlier = [stamped(events[0], 1, 0), *events[1:]]
    assert fold([earlier], GraphState()).digest() != fold([events], GraphState()).digest()


def test_what_has_no_place_in_a_state_is_refused() -> None:
    for value in (object(), {1, 2}, 1j, bytearray(b"x")):
        with pytest.raises(TypeError, match="no place"):
            digest.encode([value])


# --- shape -----------------------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(data=st.data(), salt=st.integers(1, 9))
def test_two_runs_of_one_system_have_one_shape(
    data: st.DataObject, salt: int, ops: st.SearchStrategy[Any], history: Callable[..., list[Any]]
) -> None:
    chosen = data.draw(ops)
    one = fold([history(chosen)], GraphState())
    other = fold([history(chosen, salt)], GraphState())
    assert one.seq == other.seq - 1
    assert one.digest() != other.digest()
    assert one.shape_digest() == other.shape_digest()


def shape_of(*events: Any) -> str:
    return state_of(*rich(), *events).shape_digest()


DIFFERENT_SHAPES: dict[str, list[Any]] = {
    "an edge more": [ev.EdgeConnected(from_topic="C", to_topic="D", owner=None)],
    "an edge less": [ev.EdgeDisconnected(from_topic="B", to_topic="C", owner=None)],
    "an owner more": [ev.EdgeConnected(from_topic="A", to_topic="B", owner=None)],
    "an owner less": [ev.EdgeDisconnected(from_topic="A", to_topic="B", owner=2)],
    "the other owner less": [ev.EdgeDisconnected(from_topic="A", to_topic="B", owner=3)],
    "a session more": [ev.SessionOpened(uuid="s17")],
    "a labelled session more": [ev.SessionOpened(uuid="s17", label="rig")],
    "a session less": [ev.SessionClosed(session=3, reason="closed")],
    "a session cleared": [ev.RequestAnswered(request=15, ok=True), ev.SessionCleared(session=2)],
    "another setting": [
        ev.SettingsUpdated(
            process=8, component="SYS/U", value=ev.SettingsValue(serialized=b"q", repr_value={"gain": 3.0})
        )
    ],
    "a setting more": [
        ev.SettingsUpdated(process=8, component="SYS/W", value=ev.SettingsValue(serialized=None, repr_value=""))
    ],
    "a process more": [ev.ProcessOpened(uuid="p17")],
    "a unit less": [ev.ProcessOwnershipChanged(process=8, added=(), removed=("SYS/V",))],
    "an endpoint more": [ev.SubscriberOpened(uuid="e17", topic="A")],
    "an endpoint less": [ev.EndpointClosed(endpoint=13, reason="closed")],
    "a stall less": [ev.SubscriberRecovered(endpoint=12, topic="B")],
    "not paused": [ev.GraphResumed()],
}


def test_another_shape_has_another_digest() -> None:
    shapes = {name: shape_of(*events) for name, events in DIFFERENT_SHAPES.items()}
    shapes["the original"] = shape_of()
    assert len(set(shapes.values())) == len(shapes), shapes


@pytest.mark.parametrize(
    "events",
    [
        pytest.param([ev.Mark(name="m")], id="a mark"),
        pytest.param([ev.RequestAnswered(request=15, ok=True)], id="a request less"),
        pytest.param(
            [
                ev.EdgeDisconnected(from_topic="A", to_topic="B", owner=2),
                ev.EdgeConnected(from_topic="A", to_topic="B", owner=2),
            ],
            id="an edge given up and taken again",
        ),
        pytest.param([ev.ProcessRegistered(process=8, pid=99, host="h", units=("SYS/V", "SYS/U"))], id="another pid"),
    ],
)
def test_what_is_no_part_of_the_shape(events: list[Any]) -> None:
    assert shape_of(*events) == shape_of()
    assert state_of(*rich(), *events).digest() != state_of(*rich()).digest()


def test_a_result_that_may_be_wrong_is_refused() -> None:
    state = state_of(*rich())
    state.apply(ev.UnknownEvent(seq=state.seq + 1, time=1, tag="graph.tuned", raw=b"{}"))
    with pytest.raises(UnknownEvents):
        state.digest()
    assert len(state.digest(allow_unknown=True)) == 64


# --- the page and its vectors ----------------------------------------------------------------------------------------

PAGE = (DOCS / "FORMAT.md").read_text(encoding="utf-8").partition("\n## State digest\n")[2].partition("\n## ")[0]


class Encoding(msgspec.Struct, tag_field="kind", tag="encoding", forbid_unknown_fields=True):
    name: str
    python: str
    bytes: str


class State(msgspec.Struct, tag_field="kind", tag="state", forbid_unknown_fields=True):
    name: str
    events: list[msgspec.Raw]
    encoding: str
    digest: str
    shape: str


VECTORS = msgspec.json.Decoder(Encoding | State).decode_lines((DOCS / "vectors" / "digest.jsonl").read_bytes())
ENCODINGS = [vector for vector in VECTORS if isinstance(vector, Encoding)]
STATES = [vector for vector in VECTORS if isinstance(vector, State)]
NAMES = {
    "nan": nan,
    "inf": inf,
    "nan_of": lambda digits: unpack(">d", bytes.fromhex(digits))[0],
    **{name: item for name, item in vars(records).items() if isinstance(item, type)},
}


@pytest.mark.parametrize("vector", ENCODINGS, ids=lambda vector: vector.name)
def test_an_encoding_has_these_bytes(vector: Encoding) -> None:
    value = eval(vector.python, NAMES)  # our own file
    assert digest.encode(value).hex() == vector.bytes


@pytest.mark.parametrize("vector", STATES, ids=lambda vector: vector.name)
def test_a_state_has_this_digest(vector: State, monkeypatch: pytest.MonkeyPatch) -> None:
    events = [codec.decode_line(bytes(line)) for line in vector.events]
    state = fold([events], GraphState())
    state.check()
    assert state.digest(allow_unknown=True) == vector.digest
    assert state.shape_digest() == vector.shape
    hashed: list[Any] = []
    sha256 = digest._sha256
    monkeypatch.setattr(digest, "_sha256", lambda value: hashed.append(value) or sha256(value))
    state.digest(allow_unknown=True)
    assert digest.encode(hashed[0]).hex() == vector.encoding


def test_the_vectors_hold_every_tag_and_every_table() -> None:
    tags = {bytes.fromhex(vector.bytes)[:1] for vector in ENCODINGS}
    assert tags == {row[0].strip("`").encode() for row in rows_below("Encoding")}
    full = fold([[codec.decode_line(bytes(line)) for line in STATES[-1].events]], GraphState())
    for table in ("runs", "sessions", "registrations", "settings", "processes", "endpoints", "requests"):
        assert getattr(full, table), table
    assert full.paused
    assert len({vector.name for vector in VECTORS}) == len(VECTORS)


def rows_below(title: str) -> list[list[str]]:
    text = PAGE.partition(f"\n### {title}\n")[2].partition("\n### ")[0]
    (body,) = re.findall(r"^\|[^\n]*\|\n\|[-|]+\|\n((?:\|[^\n]*\|\n)*)", text, re.MULTILINE)
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in body.splitlines()]


def test_the_page_lists_what_is_hashed(monkeypatch: pytest.MonkeyPatch) -> None:
    for title, which in (("What is hashed", "digest"), ("The shape", "shape_digest")):
        hashed: list[Any] = []
        monkeypatch.setattr(digest, "_sha256", hashed.append)
        getattr(state_of(*rich()), which)()
        assert [row[0] for row in rows_below(title)] == [f"`{key}`" for key in hashed[0]]


def test_the_page_lists_the_fields_of_the_records() -> None:
    listed = {row[0]: row[1] for row in rows_below("Records")}
    expected = {
        "run": records.RunRecord,
        "session": records.SessionRecord,
        "registration": records.Registration,
        "setting": records.SettingRecord,
        "settings value": ev.SettingsValue,
        "process": records.ProcessRecord,
        "endpoint": records.EndpointRecord,
        "request": records.RequestRecord,
    }
    assert listed == {
        name: ", ".join(f"`{field}`" for field in record.__struct_fields__) for name, record in expected.items()
    }
