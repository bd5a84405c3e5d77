"""A state as lines of JSON, and back."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ezmsg.ledger.errors import EventError
from ezmsg.ledger.projections import checkpoint
from ezmsg.ledger.projections.checkpoint import decode, encode
from ezmsg.ledger.projections.facts import facts, position
from ezmsg.ledger.projections.projection import fold
from ezmsg.ledger.projections.state import GraphState


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_state_from_its_checkpoint_is_the_same_and_goes_on(
    data: st.DataObject, histories: st.SearchStrategy[list[Any]]
) -> None:
    events = data.draw(histories)
    cut = data.draw(st.integers(0, len(events)))
    state = fold([events[:cut]], GraphState())
    again = decode(encode(state))
    again.check()
    assert position(again) == position(state)
    assert facts(again) == facts(state)
    assert list(again.settings) == list(state.settings)
    assert again.digest() == state.digest()
    assert encode(again) == encode(state)
    state.watch, again.watch = [], []
    fold([events[cut:]], again)
    fold([events[cut:]], state)
    assert again.digest() == state.digest()
    assert again.watch == state.watch


def test_a_large_state_has_many_parts(monkeypatch: pytest.MonkeyPatch, history: Any) -> None:
    monkeypatch.setattr(checkpoint, "PART", 200)
    events = history([("open_session", 0, 0, 0), *(("connect", n % 5, n % 6, 0) for n in range(40))])
    state = fold([events], GraphState())
    parts = encode(state)
    assert len(parts) > 4
    assert max(map(len, parts[1:])) < 400
    assert decode(parts).digest() == state.digest()


def test_an_empty_state() -> None:
    assert decode(encode(GraphState())).digest() == GraphState().digest()
    assert len(encode(GraphState())) == 1


POSITION = b'{"seq":1,"time":2,"rules":1,"unknown":false,"topology":0,"settings_changes":0}'


@pytest.mark.parametrize(
    "parts",
    [
        [],
        [b"{}"],
        [b"1"],
        [POSITION, b"{}"],
        [POSITION, b'[[["session",1],{"uuid":1}]]'],
        [POSITION, b"[[[],true]]"],
        [POSITION, b'[[["edge","A","B",null],true]]'],
        [POSITION, b'[[["node","A"],"x"],[["node","B"],1]]'],
    ],
)
def test_what_is_no_checkpoint(parts: list[bytes]) -> None:
    with pytest.raises(EventError, match="does not hold the facts of a graph"):
        decode(parts)
