"""A state as bytes: nothing is lost, and what is none is refused."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ezmsg.ledger.errors import InvalidValue, NewerFormat
from ezmsg.ledger.projections.graph import checkpoint
from ezmsg.ledger.projections.graph.state import GraphState
from ezmsg.ledger.projections.graph.views.facts import facts


def fold(events: list[Any], state: GraphState | None = None) -> GraphState:
    state = state or GraphState()
    state.apply_batch(events)
    return state


@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_a_state_comes_back_and_goes_on_as_if_nothing_had_been(data: Any, histories: Any) -> None:
    events = data.draw(histories)
    cut = data.draw(st.integers(0, len(events)))
    state = fold(events[:cut])
    kept = checkpoint.encode(state)
    back = checkpoint.decode(kept)
    back.check()
    assert b"\n" not in kept
    assert (back.digest(), facts(back), back.time) == (state.digest(), facts(state), state.time)
    assert checkpoint.encode(back) == kept
    watched: list[Any] = []
    expected: list[Any] = []
    back.watch, state.watch = watched, expected
    assert fold(events[cut:], back).digest() == fold(events[cut:], state).digest()
    assert watched == expected
    back.check()


def test_unknown_events_are_remembered() -> None:
    state = GraphState()
    state.unknown = True
    assert checkpoint.decode(checkpoint.encode(state)).unknown


@pytest.mark.parametrize(
    "spoil",
    [
        lambda kept: {},
        lambda kept: {**kept, "edges": [[0, 9, [None]]]},
        lambda kept: {**kept, "edges": [[0, 0, [7]]]},
        lambda kept: {**kept, "edges": [[0, 0, []]]},
        lambda kept: {**kept, "edges": [[0, 0, [None]]] * 2},
        lambda kept: {**kept, "nodes": [["A"]]},
        lambda kept: {**kept, "sessions": {"x": {}}},
        lambda kept: {**kept, "registrations": {"1": {"metadata": {"components": 1}, "raw": None}}},
    ],
)
def test_what_is_no_checkpoint_is_refused(spoil: Any) -> None:
    kept = msgspec.json.decode(checkpoint.encode(GraphState()))
    kept["nodes"] = [["A", 2]]
    with pytest.raises(InvalidValue, match="not a checkpoint"):
        checkpoint.decode(msgspec.json.encode(spoil(kept)))
    for data in (b"", b"\xff", b"{"):
        with pytest.raises(InvalidValue):
            checkpoint.decode(data)


def test_one_of_a_newer_version_is_not_guessed_at() -> None:
    with pytest.raises(NewerFormat, match="version 2"):
        checkpoint.decode(b'{"version":2}')
