"""Who holds which edge: examples, ezmsg's node order, and the cleaning that nobody may notice."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ezmsg.ledger.errors import InvalidEvent
from ezmsg.ledger.events import EdgeConnected, EdgeDisconnected, Mark, stamped
from ezmsg.ledger.projections.graph import ownership
from ezmsg.ledger.projections.graph.ownership import Ownership


def connect(seq: int, a: str, b: str, owner: int | None = None) -> EdgeConnected:
    return EdgeConnected(seq=seq, time=seq, from_topic=a, to_topic=b, owner=owner)


def disconnect(seq: int, a: str, b: str, owner: int | None = None) -> EdgeDisconnected:
    return EdgeDisconnected(seq=seq, time=seq, from_topic=a, to_topic=b, owner=owner)


def folded(*events: Any, sessions: tuple[int, ...] = (101, 102)) -> Ownership:
    owners = Ownership()
    for session in sessions:
        owners.open(session)
    seq, _ = owners.run(events, 0, 0, None)
    assert seq == len(events)
    owners.check()
    return owners


def test_an_edge_stands_while_anyone_holds_it() -> None:
    owners = folded(connect(1, "A", "B", 101), connect(2, "A", "B", 102), connect(3, "A", "B"))
    assert owners.owners(("A", "B")) == {None, 101, 102}
    assert owners.release(101) == []
    assert owners.owners(("A", "B")) == {None, 102}
    assert owners.run([disconnect(4, "A", "B")], 0, 3, None) == (4, 0)
    assert ("A", "B") in owners
    assert owners.release(102) == [("A", "B")]
    assert ("A", "B") not in owners
    assert owners.owners(("A", "B")) == frozenset()
    assert owners.graph() == {}
    owners.check()


def test_only_the_first_and_the_last_owner_change_the_topology() -> None:
    owners = Ownership()
    owners.open(101)
    events = [
        connect(1, "A", "B"),
        connect(2, "A", "B", 101),
        disconnect(3, "A", "B"),
        disconnect(4, "A", "B", 101),
        connect(5, "A", "B", 101),
    ]
    changed: list[Any] = []
    assert owners.run(events, 0, 0, changed) == (5, 3)
    assert changed == [events[0], events[3], events[4]]


def test_nodes_stand_in_the_order_in_which_they_appeared_and_a_returning_one_at_the_end() -> None:
    owners = folded(connect(1, "C", "D"), connect(2, "A", "B"), connect(3, "A", "D"), disconnect(4, "C", "D"))
    assert owners.graph() == {"D": [], "A": ["B", "D"], "B": []}
    assert list(owners.graph()) == ["D", "A", "B"]
    owners.run([connect(5, "C", "D")], 0, 4, None)
    assert list(owners.graph()) == ["D", "A", "B", "C"]


def test_held_is_sorted_and_says_a_regained_edge_once() -> None:
    owners = folded(
        connect(1, "X", "Y", 101), connect(2, "A", "B", 101), disconnect(3, "A", "B", 101), connect(4, "A", "B", 101)
    )
    assert owners.held(101) == [("A", "B"), ("X", "Y")]
    assert owners.held(102) == owners.held(None) == []
    assert owners.holds(("A", "B"), 101)
    assert not owners.holds(("A", "B"), 102)


def test_it_stops_before_an_event_of_another_type_and_before_one_that_does_not_follow() -> None:
    owners = Ownership()
    mark = stamped(Mark(name="m"), 2, 2)
    assert owners.run([connect(1, "A", "B"), mark, connect(3, "B", "C")], 0, 0, None) == (1, 1)
    assert owners.run([connect(2, "B", "C"), connect(4, "C", "D")], 0, 1, None) == (2, 1)
    assert owners.run([connect(2, "B", "C"), connect(3, "C", "D")], 1, 2, None) == (3, 1)
    assert owners.graph() == {"A": ["B"], "B": ["C"], "C": ["D"], "D": []}


@pytest.mark.parametrize(
    "event",
    [
        pytest.param(connect(3, "A", "B", 999), id="an owner that was never opened"),
        pytest.param(connect(3, "A", "B"), id="the owner again"),
        pytest.param(connect(3, "C", "D", 102), id="one of the owners again"),
        pytest.param(disconnect(3, "X", "B"), id="an unknown source"),
        pytest.param(disconnect(3, "A", "X"), id="an unknown target"),
        pytest.param(disconnect(3, "A", "B", 101), id="not the owner"),
        pytest.param(disconnect(3, "C", "D", 999), id="not one of the owners"),
    ],
)
def test_a_contradiction_names_its_event(event: Any) -> None:
    owners = folded(connect(1, "A", "B"), connect(2, "C", "D", 101))
    owners.run([connect(3, "C", "D", 102)], 0, 2, None)
    with pytest.raises(InvalidEvent, match="event 4 contradicts") as caught:
        owners.run([stamped(event, 4, 4)], 0, 3, None)
    assert caught.value.hint


def test_check_says_what_is_broken() -> None:
    broken = folded(connect(1, "A", "B", 101))
    broken.nodes["A"].into = 2
    with pytest.raises(AssertionError, match="into a node differ"):
        broken.check()
    broken = folded(connect(1, "A", "B", 101))
    broken._gained[101].clear()
    with pytest.raises(AssertionError, match="never gained it"):
        broken.check()
    broken = folded(connect(1, "A", "B", 101))
    broken.close(101)
    with pytest.raises(AssertionError, match="never gained it"):
        broken.check()
    broken = folded(connect(1, "A", "B"), connect(2, "C", "D"))
    broken.nodes["A"] = broken.nodes.pop("A")
    with pytest.raises(AssertionError, match="births"):
        broken.check()
    broken = Ownership()
    broken.run([connect(1, "A", "A")], 0, 0, None)
    with pytest.raises(AssertionError, match="self-edge"):
        broken.check()


Step = tuple[int, int, int]
STEPS = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 5), st.integers(0, 3)), max_size=80)
EDGES = (("A", "B"), ("A", "C"), ("B", "C"), ("B", "D"), ("C", "D"), ("A", "D"))
OWNERS = (None, 101, 102, 103)


def run_steps(steps: list[Step]) -> tuple[list[Any], Ownership, dict[tuple[str, str], set[int | None]]]:
    """What was seen on the way, the ownership, and a plain dict of the same."""
    owners = Ownership()
    plain: dict[tuple[str, str], set[int | None]] = {}
    for owner in OWNERS[1:]:
        owners.open(owner)
    seen: list[Any] = []
    seq = 0
    for kind, place, who in steps:
        edge, owner = EDGES[place], OWNERS[who]
        holders = plain.get(edge, set())
        if kind == 0 and owner not in holders:
            seq, changes = owners.run([connect(seq + 1, *edge, owner)], 0, seq, None)
            assert changes == (not holders)
            plain.setdefault(edge, set()).add(owner)
        elif kind == 1 and owner in holders:
            seq, changes = owners.run([disconnect(seq + 1, *edge, owner)], 0, seq, None)
            assert changes == (len(holders) == 1)
            holders.remove(owner)
        elif kind == 2 and place == 0:
            vanished = sorted(edge for edge, others in plain.items() if others == {owner})
            assert sorted(owners.release(owner)) == vanished
            for others in plain.values():
                others.discard(owner)
        plain = {edge: others for edge, others in plain.items() if others}
        seen.append((owners.graph(), list(owners.graph()), [owners.held(owner) for owner in OWNERS]))
    return seen, owners, plain


@given(STEPS)
def test_it_says_what_a_plain_dict_says(steps: list[Step]) -> None:
    _, owners, plain = run_steps(steps)
    owners.check()
    assert dict(owners.edges()) == plain
    for owner in OWNERS:
        assert owners.held(owner) == sorted(edge for edge, holders in plain.items() if owner in holders)


@given(STEPS)
def test_cleaning_up_after_every_event_changes_nothing(steps: list[Step]) -> None:
    expected = run_steps(steps)[0]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ownership, "COMPACT_MIN", 0)
        patch.setattr(ownership, "COMPACT_RATIO", 0)
        seen, owners, _ = run_steps(steps)
        owners.check()
    assert seen == expected


def test_notes_of_lost_holds_are_thrown_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ownership, "COMPACT_MIN", 10)
    owners = Ownership()
    seq = 0
    for _ in range(1000):
        seq, _ = owners.run([connect(seq + 1, "A", "B"), disconnect(seq + 2, "A", "B")], 0, seq, None)
    assert len(owners._gained[None]) <= 2 * 10
    assert owners.held(None) == []
