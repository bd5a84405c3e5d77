"""Tracks: lines of one net share one, and no line runs upon another."""

from hypothesis import given, settings

from ezmsg.ledger.projections.drawing.drawing import Drawing
from ezmsg.ledger.projections.drawing.union import Union

from .graphs import Parts, parts


def fan(sources: int, targets: int) -> Union:
    return Union((), [(f"A{a}/OUT", f"B{b}/IN") for a in range(sources) for b in range(targets)])


def verticals(union: Union) -> set[int]:
    found = set()
    for segment in Drawing(union).document().segments:
        points = segment.points
        for place in range(0, len(points) - 2, 2):
            if points[place + 1] != points[place + 3]:
                found.add(points[place])
    return found


def test_all_edges_of_one_source_and_of_one_target_run_on_one_track() -> None:
    assert len(verticals(fan(1, 8))) == 1
    assert len(verticals(fan(8, 1))) == 1


def test_nets_that_would_meet_have_tracks_of_their_own() -> None:
    assert len(verticals(fan(3, 3))) == 3


@settings(max_examples=60, deadline=None)
@given(parts())
def test_no_two_lines_of_a_channel_run_upon_each_other_up_and_down(drawn: Parts) -> None:
    """Vertical pieces of lines that share no edge, no beginning and no end are apart, or do not overlap.

    Lines that turn at one corner are one line from there: they lead through one port of a border.
    """
    document = Drawing(Union(*drawn)).document()
    pieces = []
    for segment in document.segments:
        points = segment.points
        ends = {(points[0], points[1]), (points[-2], points[-1])}
        for place in range(0, len(points) - 2, 2):
            x1, y1, x2, y2 = points[place : place + 4]
            if x1 == x2 and y1 != y2:
                pieces.append((x1, min(y1, y2), max(y1, y2), ends, set(segment.edges)))
    for number, (x, low, high, ends, edges) in enumerate(pieces):
        for other_x, other_low, other_high, other_ends, other_edges in pieces[number + 1 :]:
            if x == other_x and low < other_high and other_low < high:
                corner = low in (other_low, other_high) or high in (other_low, other_high)
                assert corner or ends & other_ends or edges & other_edges, (x, low, high)
