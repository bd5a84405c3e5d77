"""What is checked before events get their place."""

import math
from typing import Any

import pytest

from ezmsg.ledger import codec
from ezmsg.ledger.errors import InvalidEvent
from ezmsg.ledger.events import CommandRejected, EdgeConnected, Gap, Mark, MetadataRegistered
from ezmsg.ledger.storage.stamp import CHECKED_MAX, check_readable, encode_stamped, stamp


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


def test_a_bulk_is_not_read_back_unless_asked() -> None:
    bulk = stamp([Mark(name="x")] * CHECKED_MAX + [Mark(name=5)], 0, 1)  # type: ignore[arg-type]
    data = encode_stamped(bulk)
    with pytest.raises(InvalidEvent):
        check_readable(bulk, data)
    sound = stamp([Mark(name="x")] * 500, 0, 1)
    check_readable(sound, codec.encode(sound))
