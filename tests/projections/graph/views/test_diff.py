"""Differences of two states: as large as what changed, and enough to get from one to the other."""

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET

from ezmsg.ledger import events as ev
from ezmsg.ledger.errors import OutOfOrder
from ezmsg.ledger.events import stamped
from ezmsg.ledger.projections.graph.state import GraphState
from ezmsg.ledger.projections.graph.views.diff import Change, Diff, diff
from ezmsg.ledger.projections.graph.views.facts import facts
from ezmsg.ledger.projections.projection import fold

STARTED = ev.ServerStarted(uuid="run", kind="server", name="s", host="h", pid=1)


def at(events: list[Any], seq: int) -> GraphState:
    return fold([[event for event in events if event.seq <= seq]], GraphState())


def numbered(*events: Any) -> list[Any]:
    return [stamped(event, seq, seq) for seq, event in enumerate(events, 1)]


def state_of(*events: Any) -> GraphState:
    return fold([numbered(*events)], GraphState())


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every leaf of a fact with the way to it and its type: a plain spelling of it, slow and nothing like a digest."""
    if isinstance(value, msgspec.Struct):
        value = {name: getattr(value, name) for name in value.__struct_fields__}
    if isinstance(value, dict):
        yield (*path, "order", *value)
        for key, item in value.items():
            yield from leaves(item, (*path, key))
    elif isinstance(value, list | tuple):
        yield (*path, "length", len(value))
        for index, item in enumerate(value):
            yield from leaves(item, (*path, index))
    else:
        yield (*path, type(value).__name__, repr(value))


def changed_keys(a: GraphState, b: GraphState) -> set[Any]:
    old, new = facts(a), facts(b)
    return {
        key
        for key in old.keys() | new.keys()
        if key not in old or key not in new or list(leaves(old[key])) != list(leaves(new[key]))
    }


def check_diff(a: GraphState, b: GraphState) -> None:
    found = diff(a, b)
    assert {change.key for change in found.changes} == changed_keys(a, b)
    assert len(found) == len(found.changes) == len(changed_keys(a, b))
    assert bool(found) == bool(found.changes)
    before = facts(a)
    made = found.apply(a)
    made.check()
    assert facts(a) == before
    assert made.digest() == b.digest()
    assert facts(made) == facts(b)
    assert diff(made, b).changes == ()


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_a_diff_leads_from_any_moment_of_a_history_to_any_other(
    data: st.DataObject, histories: st.SearchStrategy[list[Any]]
) -> None:
    events = data.draw(histories)
    seqs = st.integers(0, len(events))
    a, b = at(events, data.draw(seqs)), at(events, data.draw(seqs))
    check_diff(a, b)
    check_diff(b, a)
    forth, back = diff(a, b), diff(b, a)
    assert [(change.key, change.before, change.after) for change in forth.changes] == [
        (change.key, change.after, change.before) for change in back.changes
    ]


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_diff_leads_from_any_history_to_any_other(
    data: st.DataObject, histories: st.SearchStrategy[list[Any]]
) -> None:
    check_diff(fold([data.draw(histories)], GraphState()), fold([data.draw(histories)], GraphState()))


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_equal_states_have_no_difference(data: st.DataObject, histories: st.SearchStrategy[list[Any]]) -> None:
    events = data.draw(histories)
    found = diff(fold([events], GraphState()), fold([[event] for event in events], GraphState()))
    assert not found
    assert len(found) == 0
    assert found.changes == ()


def test_what_came_what_went_and_what_became_another() -> None:
    events = numbered(
        STARTED,
        ev.SessionOpened(uuid="s"),
        ev.EdgeConnected(from_topic="A", to_topic="B", owner=2),
        ev.EdgeConnected(from_topic="A", to_topic="B", owner=None),
        ev.ProcessOpened(uuid="p"),
        ev.ProcessRegistered(process=5, pid=7, host="h", units=("U",)),
        ev.SessionClosed(session=2, reason="lost"),
    )
    a, b = at(events, 5), at(events, 7)
    process = b.processes[5]
    assert diff(a, b) == Diff(
        before=diff(a, a).before,
        after=diff(b, b).after,
        changes=(
            Change(("edge", "A", "B", 2), True, UNSET),
            Change(("process", 5), msgspec.structs.replace(process, pid=None, host=None, units=()), process),
            Change(("session", 2), a.sessions[2], UNSET),
        ),
    )
    assert [change.key for change in diff(a, b).of("edge")] == [("edge", "A", "B", 2)]
    assert diff(a, b).of("node") == []
    assert (diff(a, b).before.seq, diff(a, b).after.seq) == (5, 7)


def test_changes_are_type_strict() -> None:
    def reported(value: Any) -> GraphState:
        settings = ev.SettingsValue(serialized=None, repr_value=value)
        return state_of(
            STARTED, ev.ProcessOpened(uuid="p"), ev.SettingsUpdated(process=2, component="U", value=settings)
        )

    values = [1, 1.0, True, 0, 0.0, -0.0, False, None, "1", [1], ["1"], {"a": 1}, {"a": 1.0}, [], {}, ""]
    for i, one in enumerate(values):
        for j, other in enumerate(values):
            assert len(diff(reported(one), reported(other))) == (i != j), (one, other)


def test_a_reordered_registration_is_a_change_of_the_components_that_moved() -> None:
    def form(*names: str) -> Any:
        return {"components": {name: {"address": name, "initial_settings": [None, ""]} for name in names}}

    opened = [STARTED, ev.SessionOpened(uuid="s")]
    a = state_of(*opened, ev.MetadataRegistered(session=2, metadata=form("A", "B", "C")))
    b = state_of(*opened, ev.MetadataRegistered(session=2, metadata=form("B", "A", "C")))
    assert [change.key for change in diff(a, b).of("component")] == [("component", 2, "A"), ("component", 2, "B")]
    check_diff(a, b)


def test_it_is_not_applied_to_another_state() -> None:
    events = numbered(
        STARTED,
        ev.EdgeConnected(from_topic="A", to_topic="B", owner=None),
        ev.EdgeConnected(from_topic="B", to_topic="C", owner=None),
    )
    found = diff(at(events, 2), at(events, 3))
    with pytest.raises(OutOfOrder, match="starts at"):
        found.apply(at(events, 1))
    other = state_of(STARTED, ev.EdgeConnected(from_topic="A", to_topic="B", owner=None))
    back = diff(at(events, 2), at(events, 1))
    assert back.apply(other).digest() == at(events, 1).digest()
    elsewhere = state_of(STARTED, ev.EdgeConnected(from_topic="X", to_topic="Y", owner=None))
    with pytest.raises(OutOfOrder, match="is UNSET, not"):
        back.apply(elsewhere)
