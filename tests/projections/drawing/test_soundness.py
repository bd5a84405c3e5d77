"""The check of drawings finds each kind of fault."""

from collections.abc import Callable

import pytest

from ezmsg.ledger.projections.drawing.document import Document, Segment
from ezmsg.ledger.projections.drawing.drawing import Drawing
from ezmsg.ledger.projections.drawing.soundness import check
from ezmsg.ledger.projections.drawing.union import Union

from .graphs import collection, unit


def drawn() -> Document:
    inside = [unit("C/A", ["IN"], ["OUT"]), unit("C/B", ["IN"], ["OUT"]), unit("C/D", ["IN"], [])]
    edges = [("C/A/OUT", "C/B/IN"), ("C/B/OUT", "C/D/IN")]
    return Drawing(Union([collection("C", [], []), *inside], edges)).document()


def box(document: Document, address: str):  # type: ignore[no-untyped-def]
    return next(each for each in document.boxes if each.address == address)


def _overlap(document: Document) -> None:
    one, other = box(document, "C/A"), box(document, "C/B")
    for port in other.ports:
        port.x += one.x - other.x
    other.x = one.x


def _stick_out(document: Document) -> None:
    box(document, "C").w -= 60


def _narrow(document: Document) -> None:
    box(document, "C/A").name = "a name that needs far more room"


def _port(document: Document) -> None:
    box(document, "C/A").ports[0].x += 3


def _through(document: Document) -> None:
    one = box(document, "C/B")
    document.segments.append(Segment([one.x - 9, one.y + 9, one.x + one.w + 9, one.y + 9], []))


def _askew(document: Document) -> None:
    document.segments.append(Segment([0, 0, 5, 5], []))


def _gap(document: Document) -> None:
    document.segments.pop()


def _elsewhere(document: Document) -> None:
    document.segments[0].points[-2] += 4


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_overlap, "overlap"),
        (_stick_out, "sticks out"),
        (_narrow, "is cut off"),
        (_port, "is not on a side"),
        (_through, "runs through C/B"),
        (_askew, "runs askew"),
        (_gap, "is broken"),
        (_elsewhere, "ends elsewhere"),
    ],
)
def test_a_fault_is_found(spoil: Callable[[Document], None], said: str) -> None:
    document = drawn()
    check(document)
    spoil(document)
    with pytest.raises(AssertionError, match=said):
        check(document)
