"""What is checked before events get their place."""

import math
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ezmsg.ledger import Ledger, codec
from ezmsg.ledger.errors import InvalidEvent
from ezmsg.ledger.events import (
    EVENT_TYPES,
    CommandRejected,
    EdgeConnected,
    EdgeDisconnected,
    Gap,
    Int64,
    Mark,
    MetadataRegistered,
    SessionOpened,
    SettingsValue,
)
from ezmsg.ledger.projections.graph.replay import state_at
from ezmsg.ledger.storage.writing.stamp import encode_stamped, stamp


def test_seqs_and_one_time() -> None:
    stamped = stamp([Mark(name="a"), Mark(name="b", time=5)], 7, -3)
    assert stamped == [Mark(seq=8, time=-3, name="a"), Mark(seq=9, time=-3, name="b")]
    assert stamp([], 7, 1) == []


def test_a_gap_moves_the_seq_only_when_something_was_lost() -> None:
    late = Gap(first=2, last=7, lost=0, late=6, reason="slow")
    lost = Gap(first=9, last=20, lost=12, late=0, reason="full")
    assert [event.seq for event in stamp([late, lost, Mark(name="x")], 7, 1)] == [8, 21, 22]


@pytest.mark.parametrize(
    "event",
    [
        MetadataRegistered(session=1, metadata={"a": (1, 2)}),
        MetadataRegistered(session=1, metadata={1: 2}),
        CommandRejected(actor=1, command="x", reason="r", cause=math.nan),
        EdgeConnected(from_topic="A", to_topic="B", owner=1.5),  # type: ignore[arg-type]
        EdgeConnected(from_topic=b"A", to_topic="B", owner=1),  # type: ignore[arg-type]
        EdgeConnected(from_topic="A", to_topic="B", owner=1, observed="yes"),  # type: ignore[arg-type]
        Mark(name=None),  # type: ignore[arg-type]
        Mark(name={"a": Ellipsis}),  # type: ignore[arg-type]
    ],
    ids=repr,
)
def test_what_would_not_be_read_as_it_is_is_refused(event: Any) -> None:
    for batch in ([event], [Mark(name="good"), event]):
        with pytest.raises(InvalidEvent) as info:
            encode_stamped(stamp(batch, 0, 1))
        assert info.value.hint


GOOD = {"from_topic": "A", "to_topic": "B", "owner": 1}


@pytest.mark.parametrize(
    "wrong",
    [{"owner": 1.0}, {"owner": True}, {"owner": 2**63}, {"owner": -(2**63) - 1}, {"from_topic": 5}, {"by": "\ud800"},
     {"from_topic": b"x"}, {"observed": 1}, {"reason": ("a",)}],
    ids=repr,
)  # fmt: skip
@pytest.mark.parametrize("size", [1, 3, 65, 1000])
def test_a_bulk_is_checked_as_one_event_is(wrong: dict[str, Any], size: int) -> None:
    """One float in a field of integers, among more than 64 events, made a ledger that nobody could read behind it."""
    kind = EdgeDisconnected if "reason" in wrong else EdgeConnected
    ledger = Ledger.memory()
    with pytest.raises(InvalidEvent) as caught:
        ledger.append([kind(**GOOD)] * (size - 1) + [kind(**{**GOOD, **wrong})])  # type: ignore[arg-type]
    assert caught.value.hint
    assert ledger.head == 0


def test_every_kind_of_event_is_checked() -> None:
    """Each field of each kind: what is not of its type is not accepted, whatever else is in the batch."""
    for kind in EVENT_TYPES.values():
        sound = {field.name: _fitting(field.type) for field in msgspec.structs.fields(kind) if field.required}
        if kind is not Gap:
            sound_event = stamp([kind(**sound)], 0, 1)
            assert codec.decode(encode_stamped(sound_event * 70)) == sound_event * 70
        for field in msgspec.structs.fields(kind):
            if field.name not in ("seq", "time", "metadata", "arguments", "cause"):
                with pytest.raises(InvalidEvent):
                    encode_stamped(stamp([kind(**{**sound, field.name: object()})] + [Mark(name="x")] * 70, 0, 1))


def _fitting(type_: Any) -> Any:
    """A value that a field of this type can have."""
    if type_ is SettingsValue:
        return SettingsValue(serialized=None, repr_value="x")
    if type_ == tuple[str, ...]:
        return ("x",)
    if type_ == Int64:
        return 1
    return {str: "x", int: 1, bool: True, int | None: None, str | None: None}.get(type_, {})


@pytest.mark.parametrize(
    ("metadata", "says"),
    [
        ({"components": {"A": {"initial_settings": [None, ""]}}}, "'address' is missing"),
        ({"components": {"A": {"address": "A"}}}, "'initial_settings' is missing"),
        ({"components": {"A": {"address": 5, "initial_settings": [None, ""]}}}, "not a text"),
        ({"components": {"A": {"address": "A", "initial_settings": [None]}}}, "not a pair"),
        ({"components": {"A": {"address": "A", "initial_settings": ["text", ""]}}}, "not a pair"),
        ({"components": {"A": []}}, "not a map"),
        ({"components": [1]}, "a map was expected"),
        ([], "not a map"),
        (None, "not a map"),
    ],
    ids=str,
)
def test_metadata_that_no_replay_could_take_over(metadata: Any, says: str) -> None:
    """Made by hand, without a field: it was stored, and "contradicts the state before it: KeyError" ever after."""
    ledger = Ledger.memory()
    opened = SessionOpened(uuid="u")
    with pytest.raises(InvalidEvent, match=says):
        ledger.append([opened, MetadataRegistered(session=1, metadata=metadata)])
    assert ledger.head == 0
    with pytest.raises(InvalidEvent):
        ledger.append_late([MetadataRegistered(seq=1, time=1, session=1, metadata=metadata)])


KEYS = st.sampled_from(["components", "address", "initial_settings", "A", "$", "v"])
LEAVES = st.none() | st.text(max_size=3) | st.integers(0, 3)


@given(st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner)))
def test_metadata_that_is_accepted_can_be_folded(metadata: Any) -> None:
    ledger = Ledger.memory()
    ledger.append([SessionOpened(uuid="u")])
    try:
        ledger.append([MetadataRegistered(session=1, metadata=metadata)])
    except InvalidEvent:
        return
    state_at(ledger).check()
