"""A graph state under ezmsg's names and in ezmsg's orders."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ezmsg.ledger import events as ev
from ezmsg.ledger.events import stamped
from ezmsg.ledger.metadata import Edge, GraphMetadata, GraphSnapshot, SnapshotProcess, SnapshotSession, UnitMetadata
from ezmsg.ledger.projections.graph.state import GraphState
from ezmsg.ledger.projections.graph.views.snapshot import owner_names
from ezmsg.ledger.projections.projection import fold
from ezmsg.ledger.values import freeze


def state_of(*events: Any) -> GraphState:
    return fold([[stamped(event, seq, seq) for seq, event in enumerate(events, 1)]], GraphState())


def test_a_snapshot_has_ezmsgs_orders() -> None:
    graph = GraphMetadata(root_name="SYS", components={"V": UnitMetadata(address="V"), "U": UnitMetadata(address="U")})
    state = state_of(
        ev.ServerStarted(uuid="run", kind="server", name="s", host="h", pid=1),
        ev.SessionOpened(uuid="zz"),
        ev.SessionOpened(uuid="aa"),
        ev.SessionOpened(uuid="mm"),
        ev.EdgeConnected(from_topic="X", to_topic="C", owner=2),
        ev.EdgeConnected(from_topic="A", to_topic="X", owner=3),
        ev.EdgeConnected(from_topic="X", to_topic="B", owner=2),
        ev.EdgeConnected(from_topic="X", to_topic="C", owner=4),
        ev.EdgeConnected(from_topic="X", to_topic="C", owner=None),
        ev.EdgeConnected(from_topic="X", to_topic="C", owner=3),
        ev.MetadataRegistered(session=4, metadata=freeze(graph)),
        ev.ProcessOpened(uuid="pz"),
        ev.ProcessOpened(uuid="pa"),
        ev.ProcessRegistered(process=12, pid=7, host="lab", units=("V", "U")),
        ev.PublisherOpened(uuid="e", topic="UNSEEN"),
    )
    snapshot = state.snapshot()
    assert snapshot == GraphSnapshot(
        graph={"X": ["B", "C"], "C": [], "A": ["X"], "B": []},
        edge_owners={
            Edge("A", "X"): ["aa"],
            Edge("X", "B"): ["zz"],
            Edge("X", "C"): ["persistent", "aa", "mm", "zz"],
        },
        sessions={
            "aa": SnapshotSession([Edge("A", "X"), Edge("X", "C")], None),
            "mm": SnapshotSession([Edge("X", "C")], graph),
            "zz": SnapshotSession([Edge("X", "B"), Edge("X", "C")], None),
        },
        processes={
            "pa": SnapshotProcess("pa", None, None, []),
            "pz": SnapshotProcess("pz", 7, "lab", ["U", "V"]),
        },
    )
    assert list(snapshot.graph) == ["X", "C", "A", "B"]
    assert list(snapshot.edge_owners) == [("A", "X"), ("X", "B"), ("X", "C")]
    assert list(snapshot.sessions) == ["aa", "mm", "zz"]
    assert list(snapshot.processes) == ["pa", "pz"]
    assert all(isinstance(edge, Edge) for edge in snapshot.edge_owners)
    assert list(snapshot.sessions["mm"].metadata.components) == ["V", "U"]


def test_the_persistent_owner_comes_first_whatever_the_others_are_called() -> None:
    assert owner_names(frozenset({2, None, 1}), {1: "zz", 2: "!"}) == ["persistent", "!", "zz"]
    assert owner_names(frozenset({1}), {1: "a"}) == ["a"]


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_the_parts_of_a_snapshot_tell_one_story(data: st.DataObject, histories: st.SearchStrategy[list[Any]]) -> None:
    snapshot = fold([data.draw(histories)], GraphState()).snapshot()
    edges = [(node, successor) for node, successors in snapshot.graph.items() for successor in successors]
    assert sorted(edges) == list(snapshot.edge_owners)
    assert set(snapshot.graph) == {topic for edge in edges for topic in edge}
    held = {(edge, uuid) for uuid, session in snapshot.sessions.items() for edge in session.edges}
    owned = {(edge, uuid) for edge, owners in snapshot.edge_owners.items() for uuid in owners if uuid != "persistent"}
    assert held == owned
    for session in snapshot.sessions.values():
        assert session.edges == sorted(session.edges)
