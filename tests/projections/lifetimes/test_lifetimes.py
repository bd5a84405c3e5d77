"""Every moment of a history, as its lifetimes tell it, is what a replay makes of it."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ezmsg.ledger import events as ev
from ezmsg.ledger.errors import InvalidEvent
from ezmsg.ledger.events import stamped
from ezmsg.ledger.projections.graph.state import GraphState
from ezmsg.ledger.projections.lifetimes import builder, column
from ezmsg.ledger.projections.lifetimes.column import Column
from ezmsg.ledger.projections.lifetimes.lifetimes import Lifetimes
from ezmsg.ledger.projections.lifetimes.session_lives import SessionLives
from ezmsg.ledger.projections.lifetimes.spans import OPEN
from ezmsg.ledger.projections.projection import fold


@pytest.fixture(autouse=True, scope="module")
def notes_often() -> Any:
    """Notes and checkpoints every few events, so that short histories have some."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(builder, "NOTE_EVERY", 8)
        patch.setattr(builder, "CHECK_EVERY", 16)
        patch.setattr(builder, "CHECK_BYTES", 10**6)
        patch.setattr(column, "INTEGERS_SHIFT", 2)
        patch.setattr(column, "BYTES_SHIFT", 5)
        yield


def reread(told: Lifetimes) -> Lifetimes:
    """The same lifetimes, out of the bytes of an index."""
    blocks = {}
    for name, kept in told.sections().items():
        data = [memoryview(kept.block(number)).tobytes() for number in range(kept.blocks)]
        blocks[name] = (kept.code, len(kept), data)

    def source(name: str) -> Column:
        code, rows, data = blocks[name]
        return Column(code, lambda number: memoryview(data[number]).cast(code), rows)

    return Lifetimes(source, told.seq)


def lives(told: Any) -> Any:
    found = told.session_lives() if isinstance(told, Lifetimes) else told
    return found.seq, list(found.lives.values()), found.runs


def compare(told: Lifetimes, state: GraphState, since: bool = True) -> None:
    seq = state.seq
    assert {edge: set(owners) for edge, owners in told.edges_at(seq).items()} == dict(state.ownership.edges())
    for kind, table in {
        "run": state.runs,
        "session": state.sessions,
        "registration": state.registrations,
        "component": state.components,
        "setting": state.settings,
        "process": state.processes,
        "unit": state.units,
        "endpoint": state.endpoints,
        "request": state.requests,
        "stall": [key for key, record in state.endpoints.items() if record.stalled],
        "paused": [None] * state.paused,
    }.items():
        there = [fact for fact in told.facts(kind) if fact.born <= seq < fact.died]
        assert sorted(fact.name for fact in there if fact.name is not None) == sorted(filter(None, table)), kind
        assert len(there) == len(table), kind
    for fact in told.facts("setting"):
        if fact.born <= seq < fact.died:
            record = state.settings[fact.name]
            shown = record.value.repr_value if record.value.structured_value is None else record.value.structured_value
            assert fact.value[0] == shown
            assert fact.born == record.since or not since


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_every_moment_is_that_of_a_replay(data: Any, histories: Any) -> None:
    history = data.draw(histories)
    cut = data.draw(st.integers(0, len(history)))
    told = Lifetimes()
    told.apply_batch(history[:cut])
    if told.seq:
        told = reread(told)  # what goes on from an index is as good as what never left the memory
    told.apply_batch(history[cut:])
    told.check()
    expected = lives(fold([history], SessionLives()))
    assert lives(told) == expected
    for each in (told, reread(told)) if history else (told,):
        assert lives(each) == expected
        state = GraphState()
        for event in history:
            state.apply(event)
            compare(each, state)
            kept = each.checkpoint_before(event.seq)
            kept.apply_batch([later for later in history if kept.seq < later.seq <= event.seq])
            assert kept.digest() == state.digest()
            assert each.time_of(event.seq) == event.time
        for edge in each.edges():
            spans = each.edge_spans(edge)
            for event in history:
                inside = any(born <= event.seq < died for born, died in spans)
                assert inside == each.has_edge(edge, event.seq) == (edge in each.edges_at(event.seq))


@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_a_history_may_begin_with_a_state(data: Any, histories: Any) -> None:
    history = data.draw(histories)
    cut = data.draw(st.integers(1, len(history)))
    state, again = GraphState(), GraphState()
    state.apply_batch(history[:cut])
    again.apply_batch(history[:cut])
    told, followed = Lifetimes(), SessionLives()
    followed.begin(again)
    told.start(again)
    compare(told, state, since=False)
    for event in history[cut:]:
        told.apply(event)
        state.apply(event)
        compare(told, state, since=False)
        followed.apply(event)
        assert lives(told) == lives(followed)
    assert lives(reread(told)) == lives(followed)
    told.check()


def test_a_hold_remembers_who_and_from_when_to_when() -> None:
    told = Lifetimes()
    edge = {"from_topic": "a", "to_topic": "b"}
    history = [
        ev.SessionOpened(uuid="s"),
        ev.EdgeConnected(**edge, owner=1),
        ev.EdgeConnected(**edge, owner=None),
        ev.SessionClosed(session=1, reason="lost"),
        ev.EdgeDisconnected(**edge, owner=None),
        ev.EdgeConnected(**edge, owner=None),
    ]
    told.apply_batch([stamped(event, seq, seq) for seq, event in enumerate(history, 1)])
    holds = [tuple(hold)[1:] for hold in told.holds_on(("a", "b"))]
    assert holds == [(1, 2, 4), (None, 3, 5), (None, 6, OPEN)]
    assert told.edge_spans(("a", "b")) == [(2, 5), (6, OPEN)]
    assert [hold.born for hold in told.holds_of(None)] == [3, 6]
    assert told.holds_at_topic("b") == told.holds_on(("a", "b"))
    assert told.has_edge(("b", "a"), 2) is told.has_edge(("x", "b"), 2) is False
    assert told.holds_on(("x", "y")) == told.edge_spans(("x", "y")) == []


def test_a_setting_that_is_registered_anew_lives_anew_and_a_component_lives_on(history: Any) -> None:
    told = Lifetimes()
    told.apply_batch(history([("open_session", 0, 0, 0), ("register", 0, 1, 0), ("register", 0, 1, 0)]))
    assert [(fact.born, fact.died) for fact in told.facts("setting")] == [(3, 4), (4, OPEN)]
    assert [(fact.born, fact.died) for fact in told.facts("registration")] == [(3, 4), (4, OPEN)]
    assert [(fact.born, fact.died) for fact in told.facts("component")] == [(3, OPEN)]


def test_what_contradicts_the_history_is_refused() -> None:
    with pytest.raises(InvalidEvent):
        Lifetimes().apply(stamped(ev.EdgeDisconnected(from_topic="a", to_topic="b", owner=None), 1, 1))
