"""A state as a flat map of facts, and back."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ezmsg.ledger import events as ev
from ezmsg.ledger.events import stamped
from ezmsg.ledger.metadata import GraphMetadata, UnitMetadata
from ezmsg.ledger.projections.graph.records import Registration
from ezmsg.ledger.projections.graph.state import GraphState
from ezmsg.ledger.projections.graph.views.facts import facts, from_facts, position
from ezmsg.ledger.projections.projection import fold
from ezmsg.ledger.values import freeze


def rebuilt(state: GraphState) -> GraphState:
    return from_facts(position(state), facts(state), GraphState())


def state_of(*events: Any) -> GraphState:
    numbered = [stamped(event, seq, seq) for seq, event in enumerate(events, 1)]
    return fold([numbered], GraphState())


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_a_state_rebuilt_from_its_facts_is_the_same_and_goes_on(
    data: st.DataObject, histories: st.SearchStrategy[list[Any]]
) -> None:
    events = data.draw(histories)
    cut = data.draw(st.integers(0, len(events)))
    state = fold([events[:cut]], GraphState())
    again = rebuilt(state)
    again.check()
    assert position(again) == position(state)
    assert facts(again) == facts(state)
    assert list(again.settings) == list(state.settings)
    assert again.digest() == state.digest()
    assert again.shape_digest() == state.shape_digest()
    assert again.snapshot() == state.snapshot()
    assert list(again.snapshot().graph) == list(state.snapshot().graph)
    assert again.units == state.units
    assert again.components == state.components

    state.watch, again.watch = [], []
    fold([events[cut:]], again)
    fold([events[cut:]], state)
    again.check()
    assert facts(again) == facts(state)
    assert again.digest() == state.digest()
    assert again.watch == state.watch


def test_every_fact_has_its_entry() -> None:
    unit = UnitMetadata(address="U", initial_settings=(b"x", "text"))
    state = state_of(
        ev.ServerStarted(uuid="run", kind="server", name="s", host="h", pid=1),
        ev.SessionOpened(uuid="s"),
        ev.EdgeConnected(from_topic="A", to_topic="B", owner=2),
        ev.EdgeConnected(from_topic="A", to_topic="B", owner=None),
        ev.MetadataRegistered(session=2, metadata=freeze(GraphMetadata(root_name="SYS", components={"U": unit}))),
        ev.ProcessOpened(uuid="p"),
        ev.SubscriberOpened(uuid="sub", topic="A"),
        ev.RequestRouted(uuid="r", session=2, unit="U", operation="PING", process=6),
        ev.GraphPaused(),
    )
    assert facts(state) == {
        ("paused",): True,
        ("node", "A"): 6,
        ("node", "B"): 7,
        ("edge", "A", "B", None): True,
        ("edge", "A", "B", 2): True,
        ("run", 1): state.runs[1],
        ("session", 2): state.sessions[2],
        ("process", 6): state.processes[6],
        ("endpoint", 7): state.endpoints[7],
        ("request", 8): state.requests[8],
        ("registration", 2): (
            {"$": "GraphMetadata", "schema_version": 1, "root_name": "SYS"},
            ["$", "schema_version", "root_name", "components"],
            False,
            None,
        ),
        ("component", 2, "U"): (0, freeze(unit)),
        ("setting", "U"): state.settings["U"],
    }


@pytest.mark.parametrize(
    "components",
    [
        {},
        {"$": UnitMetadata(address="U"), "B": UnitMetadata(address="B")},
        {"B": UnitMetadata(address="B"), "A": UnitMetadata(address="A")},
    ],
    ids=["none", "a key that needs pairs", "not sorted"],
)
def test_a_registration_comes_back_as_it_was(components: dict[str, Any]) -> None:
    form = freeze(GraphMetadata(components=components))
    opened = [ev.ServerStarted(uuid="run", kind="server", name="s", host="h", pid=1), ev.SessionOpened(uuid="s")]
    state = state_of(*opened, ev.MetadataRegistered(session=2, metadata=form, raw=b"raw"))
    again = rebuilt(state).registrations[2]
    assert again == Registration(form, b"raw")
    assert list(again.components) == list(components)
    assert rebuilt(state).digest() == state.digest()


def test_a_registration_without_components_comes_back_too() -> None:
    form = {"$": "GraphMetadata", "root_name": None}
    opened = [ev.ServerStarted(uuid="run", kind="server", name="s", host="h", pid=1), ev.SessionOpened(uuid="s")]
    state = state_of(*opened, ev.MetadataRegistered(session=2, metadata=form))
    assert rebuilt(state).registrations[2].metadata == form
