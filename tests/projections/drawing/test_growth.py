"""Drawings that grow: no two boxes change sides, and edges alone move none."""

from itertools import combinations

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from ezmsg.ledger.projections.drawing.document import Document, PlacedBox
from ezmsg.ledger.projections.drawing.drawing import Drawing
from ezmsg.ledger.projections.drawing.soundness import check
from ezmsg.ledger.projections.drawing.union import Union

from .graphs import Parts, parts


def sides(a: PlacedBox, b: PlacedBox) -> tuple[bool, bool, bool, bool]:
    """Whether ``a`` is left of, right of, above, below ``b``."""
    return a.x + a.w <= b.x, b.x + b.w <= a.x, a.y + a.h <= b.y, b.y + b.h <= a.y


def assert_nothing_turned(before: Document, after: Document) -> None:
    for a, b in combinations(range(len(before.boxes)), 2):
        if before.boxes[a].parent != before.boxes[b].parent:
            continue
        left, right, above, below = sides(before.boxes[a], before.boxes[b])
        new_left, new_right, new_above, new_below = sides(after.boxes[a], after.boxes[b])
        names = before.boxes[a].address, before.boxes[b].address
        assert not (left and new_right), names
        assert not (right and new_left), names
        assert not (above and new_below), names
        assert not (below and new_above), names


def ports(document: Document) -> list[list[str]]:
    return [[port.topic for port in box.ports] for box in document.boxes]


@settings(max_examples=150, deadline=None)
@given(parts(), st.integers(0, 14), st.integers(0, 20))
def test_growth_is_sound_and_turns_nothing(drawn: Parts, components: int, edges: int) -> None:
    known, new = drawn[0][:components], drawn[0][components:]
    drawing = Drawing(Union(known, drawn[1][:edges]))
    before = drawing.document()
    for component in new:
        afresh = drawing.grow([component])
        after = drawing.document()
        check(after)
        if not afresh:
            assert_nothing_turned(before, after)
        before = after
    for edge in drawn[1][edges:]:
        assert not drawing.grow((), [edge])
        after = drawing.document()
        check(after)
        assert_nothing_turned(before, after)
        if ports(before) == ports(after):
            assert [box[3:7] for box in map(msgspec.structs.astuple, before.boxes)] == [
                box[3:7] for box in map(msgspec.structs.astuple, after.boxes)
            ]
        before = after
    whole = Union(drawn[0], [*drawn[1][:edges], *drawn[1][edges:]])
    assert {box.address for box in whole.boxes} >= {component["address"] for component in drawn[0]}
    assert before.edges == drawn[1]


@settings(max_examples=60, deadline=None)
@given(
    st.integers(8, 40),
    st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)).filter(lambda pair: pair[0] != pair[1]), max_size=12),
)
def test_rows_of_a_long_chain_stay_rows(length: int, born: list[tuple[int, int]]) -> None:
    """Units from ``length`` on are not there yet; edges lead on, back, and from row to row."""
    chain = [(f"RIG/U{number}/OUT", f"RIG/U{number + 1}/IN") for number in range(length - 1)]
    drawing = Drawing(Union((), chain))
    before = drawing.document()
    known = set(chain)
    for source, target in born:
        edge = (f"RIG/U{source}/OUT", f"RIG/U{target}/IN")
        if edge not in known:
            known.add(edge)
            drawing.grow((), [edge])
            after = drawing.document()
            check(after)
            assert_nothing_turned(before, after)
            before = after


@settings(max_examples=30, deadline=None)
@given(parts(), st.integers(0, 20))
def test_growth_depends_on_nothing_but_the_births(drawn: Parts, edges: int) -> None:
    grown = []
    for _ in range(2):
        drawing = Drawing(Union(drawn[0], drawn[1][:edges]))
        for edge in drawn[1][edges:]:
            drawing.grow((), [edge])
        grown.append(msgspec.json.encode(drawing.document()))
    assert grown[0] == grown[1]
