"""What holds of every drawing, whatever is drawn."""

import msgspec
from hypothesis import given, settings

from ezmsg.ledger.projections.drawing.document import Document
from ezmsg.ledger.projections.drawing.drawing import Drawing
from ezmsg.ledger.projections.drawing.soundness import check
from ezmsg.ledger.projections.drawing.union import Union

from .graphs import Parts, parts


@settings(max_examples=200, deadline=None)
@given(parts())
def test_any_drawing_is_sound(drawn: Parts) -> None:
    check(Drawing(Union(*drawn)).document())


@settings(max_examples=30, deadline=None)
@given(parts())
def test_the_same_union_gives_the_same_drawing(drawn: Parts) -> None:
    first = msgspec.json.encode(Drawing(Union(*drawn)).document())
    assert msgspec.json.encode(Drawing(Union(*drawn)).document()) == first
    assert msgspec.json.encode(msgspec.json.decode(first, type=Document)) == first
