"""Snapshots are ezmsg's, object for object, and what has not changed is not made again."""

import pickle
from contextlib import suppress
from typing import Any
from uuid import UUID

import pytest
from ezmsg.core import graphmeta as gm
from hypothesis import given
from hypothesis import strategies as st

from ezmsg.ledger import Ledger
from ezmsg.ledger.errors import CycleError
from ezmsg.ledger.runtime import LiveGraph
from ezmsg.ledger.runtime.server import snapshots
from ezmsg.ledger.runtime.server.pickles import parts
from ezmsg.ledger.runtime.server.snapshots import Snapshots
from ezmsg.ledger.runtime.server.translate import graph_metadata

from .pickled import references
from .raw import metadata


@pytest.fixture
def live() -> LiveGraph:
    return LiveGraph(Ledger.memory())


def shape(value: Any) -> Any:
    """A value with its types and the order of its dicts, which equality does not see."""
    if isinstance(value, dict):
        return dict, [(shape(key), shape(item)) for key, item in value.items()]
    if isinstance(value, list | tuple):
        return type(value), [shape(item) for item in value]
    return type(value), shape(vars(value)) if type(value).__module__ == gm.__name__ else value


def register(live: LiveGraph, session: int, *addresses: str) -> gm.GraphMetadata:
    made = metadata(*addresses)
    live.register(session, graph_metadata(made)[0])
    return made


def test_an_empty_graph(live: LiveGraph) -> None:
    assert shape(pickle.loads(Snapshots(live).pickled())) == shape(gm.GraphSnapshot({}, {}, {}, {}))


def test_a_snapshot_is_what_ezmsgs_clients_expect(live: LiveGraph) -> None:
    taken = Snapshots(live)
    one, two = live.open_session(), live.open_session()
    names = {key: live.state.sessions[key].uuid for key in (one, two)}
    process = live.open_process()
    live.register_process(process, 12, "host", ["SYS/V", "SYS/U"])
    live.connect("B", "C", one)
    live.connect("A", "C", one)
    live.connect("A", "B")
    live.connect("A", "B", two)
    live.connect("ü", "x" * 300, two)
    registered = register(live, one, "SYS/U", "SYS/V")
    uuid = UUID(live.state.processes[process].uuid)
    edges = [gm.Edge("A", "B"), gm.Edge("A", "C"), gm.Edge("B", "C"), gm.Edge("ü", "x" * 300)]
    owners = ["persistent", names[two]], [names[one]], [names[one]], [names[two]]
    sessions = {
        names[one]: gm.SnapshotSession(edges[1:3], registered),
        names[two]: gm.SnapshotSession([edges[0], edges[3]], None),
    }
    expected = gm.GraphSnapshot(
        graph={"B": ["C"], "C": [], "A": ["B", "C"], "ü": ["x" * 300], "x" * 300: []},
        edge_owners=dict(zip(edges, owners, strict=True)),
        sessions=dict(sorted(sessions.items())),
        processes={uuid: gm.SnapshotProcess(uuid, 12, "host", ["SYS/U", "SYS/V"])},
    )
    assert shape(pickle.loads(taken.pickled())) == shape(expected)
    for ref in references(taken.pickled()):
        assert ref.startswith("ezmsg.core.graphmeta:") or ref == "uuid:UUID"


def test_metadata_that_was_offered_shows_as_it_would_have_been_made_again(live: LiveGraph) -> None:
    """The object that a client registered, where the form gives back the very same; never one of an earlier form."""
    taken, session = Snapshots(live), live.open_session()
    first, second = metadata("SYS/U", "SYS/V"), metadata("SYS/W")
    for made in (first, second, first):
        form, _, exact = graph_metadata(made)
        assert exact
        live.register(session, form)
        taken.offer(session, form, made)
        shown = pickle.loads(taken.pickled())
        assert shape(shown) == shape(pickle.loads(Snapshots(live).pickled()))
        assert shape(next(iter(shown.sessions.values())).metadata) == shape(made)
    taken.offer(session, {"other": "form"}, second)
    live.connect("A", "B", session)
    live.register(session, graph_metadata(second)[0])
    assert shape(pickle.loads(taken.pickled())) == shape(pickle.loads(Snapshots(live).pickled()))
    gone = live.open_session()
    taken.offer(gone, *graph_metadata(first)[:1], first)
    live.close_session(gone)
    taken.offer(session, graph_metadata(second)[0], second)
    assert gone not in taken._offered, "nothing is kept of those that are gone"


def test_every_change_shows_and_only_what_is_new_is_pickled(
    live: LiveGraph, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken, session, other = Snapshots(live), live.open_session(), live.open_session()
    made: list[Any] = []
    translate = snapshots.form_to_ezmsg
    monkeypatch.setattr(snapshots, "form_to_ezmsg", lambda form: made.append(form) or translate(form))

    def components() -> list[list[str]]:
        held = pickle.loads(taken.pickled()).sessions.values()
        return sorted([*each.metadata.components] for each in held if each.metadata is not None)

    register(live, session, "SYS/U")
    assert components() == [["SYS/U"]]
    before = taken.pickled()
    assert taken.pickled() is before
    live.connect("A", "B")
    assert taken.pickled() != before
    register(live, other, "SYS/V")
    assert components() == [["SYS/U"], ["SYS/V"]]
    assert len(made) == 2, "once for each registration"
    register(live, session, "SYS/W")
    assert components() == [["SYS/V"], ["SYS/W"]]
    live.clear(other)
    assert components() == [["SYS/W"]]
    live.close_session(session)
    assert components() == []
    assert (len(made), taken._metadata) == (3, {})


def test_a_change_makes_the_topics_anew_that_it_touches(live: LiveGraph) -> None:
    taken, one = Snapshots(live), live.open_session()
    live.connect("A", "B", one)
    live.connect("C", "D", one)
    for other in (live.open_session(), live.open_session()):
        taken.pickled()
        before = taken._nodes
        live.connect("C", "D", other)
        assert len(pickle.loads(taken.pickled()).sessions[live.state.sessions[other].uuid].edges) == 1
        assert [topic for topic, node in taken._nodes.items() if node is not before[topic]] == ["C"]
    live.close_session(one)
    assert pickle.loads(taken.pickled()).graph == {"C": ["D"], "D": []}
    assert [*taken._nodes] == ["C", "D"], "what is gone is not kept"


topics = st.sampled_from(["A", "B", "C", "ü", "x" * 300])
commands = st.tuples(st.sampled_from(["connect", "disconnect", "clear", "reopen"]), topics, topics, st.integers(0, 3))


@given(st.lists(st.lists(commands, min_size=1, max_size=4), max_size=12))
def test_whatever_was_kept_a_snapshot_is_as_if_nothing_was(story: list[list[tuple[str, str, str, int]]]) -> None:
    live = LiveGraph(Ledger.memory())
    taken, owners = Snapshots(live), [None, *(live.open_session() for _ in range(3))]
    for chapter in story:
        for command, from_topic, to_topic, place in chapter:
            owner = owners[place]
            if command == "connect":
                with suppress(CycleError):
                    live.connect(from_topic, to_topic, owner)
            elif command == "disconnect":
                live.disconnect(from_topic, to_topic, owner)
            elif owner is not None and command == "clear":
                live.clear(owner)
            elif owner is not None:
                live.close_session(owner)
                owners[place] = live.open_session()
        assert taken.pickled() == Snapshots(live).pickled()
    loaded, typed = pickle.loads(taken.pickled()), live.state.snapshot()
    assert loaded.graph == typed.graph
    assert [*loaded.edge_owners.items()] == [*typed.edge_owners.items()]
    assert {uuid: each.edges for uuid, each in loaded.sessions.items()} == {
        uuid: each.edges for uuid, each in typed.sessions.items()
    }


def test_parts_stand_side_by_side() -> None:
    shared = ["x", "x"]
    values: list[Any] = [[shared, shared], {"x": shared, "y": UUID(int=1)}, metadata("SYS/U"), "x", None, b"x" * 300]
    for count in range(len(values) + 1):
        some = values[:count]
        assert pickle.loads(parts.whole(parts.listed(map(parts.part, some)))) == some
        keyed = {f"{place}": value for place, value in enumerate(some)}
        pairs = (parts.text(key) + parts.part(value) for key, value in keyed.items())
        assert pickle.loads(parts.whole(parts.mapped(pairs))) == keyed


def test_a_class_is_named_once_for_all_that_follows() -> None:
    edges = [gm.Edge("A", "B"), gm.Edge("B", "C")]
    pairs = [parts.pair(parts.text(edge.from_topic), parts.text(edge.to_topic)) for edge in edges]
    named = parts.naming(gm.Edge, parts.listed(pairs))
    data = parts.whole(parts.listed([named, parts.part(["x"]), named]))
    assert data.count(b"Edge") == 2
    assert shape(pickle.loads(data)) == shape([edges, ["x"], edges])
