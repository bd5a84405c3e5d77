"""A moment, or a difference, is a mask over the drawing."""

from ezmsg.ledger.projections.drawing.drawing import Drawing
from ezmsg.ledger.projections.drawing.mask import CAME, HELD, SAME, WENT, Scene, compared, mask
from ezmsg.ledger.projections.drawing.union import Union

from .graphs import collection, unit

STAYS, GOES, COMES, TURNS = EDGES = [("R/A/OUT", "R/B/IN"), ("R/B/OUT", "V/IN"), ("R/B/OUT", "W/IN"), ("X", "Y")]
COMPONENTS = [collection("R", [], []), unit("R/A", [], ["OUT"]), unit("R/B", ["IN"], ["OUT"]), unit("Z", ["IN"], [])]
DOCUMENT = Drawing(Union(COMPONENTS, EDGES)).document()

BEFORE = Scene({STAYS: {1}, GOES: {1}, TURNS: {1, None}}, {"R", "R/A", "R/B"})
AFTER = Scene({STAYS: {1}, COMES: {2}, TURNS: {None}}, {"R", "R/A", "R/B", "Z"})


def named(marks: object) -> dict[str, str]:
    assert isinstance(marks, dict)
    return {DOCUMENT.boxes[place].address: mark for place, mark in marks.items()}


def test_a_moment_has_what_is_registered_and_what_edges_touch() -> None:
    found = mask(DOCUMENT, BEFORE, {GOES: "held by 1"})
    assert found.edges == {0: SAME, 1: SAME, 3: SAME}
    assert found.notes == {1: "held by 1"}
    assert set(named(found.boxes)) == {"R", "R/A", "R/B", "V", "X", "Y"}


def test_a_collection_is_there_as_long_as_anything_inside_is() -> None:
    assert set(named(mask(DOCUMENT, Scene({STAYS: {1}}, set())).boxes)) == {"R", "R/A", "R/B"}
    assert mask(DOCUMENT, Scene({}, set())).boxes == {}


def test_a_difference_has_a_mark_for_each_change() -> None:
    found = compared(DOCUMENT, BEFORE, AFTER)
    assert found.edges == {0: SAME, 1: WENT, 2: CAME, 3: HELD}
    assert {address: mark for address, mark in named(found.boxes).items() if mark} == {"V": WENT, "W": CAME, "Z": CAME}
    back = compared(DOCUMENT, AFTER, BEFORE)
    assert back.edges == {0: SAME, 1: CAME, 2: WENT, 3: HELD}
