"""Boxes are made for their names."""

from hypothesis import example, given
from hypothesis import strategies as st

from ezmsg.ledger.projections.drawing.sizes import SHOWN_MAX, shown, size_of, width, with_port
from ezmsg.ledger.projections.drawing.union import Union

from .graphs import unit


@example("@", "")
@given(st.text(max_size=60), st.text(max_size=60))
def test_a_text_is_no_narrower_than_its_parts(a: str, b: str) -> None:
    assert width(a + b, 10) >= max(width(a, 10), width(b, 10))
    assert width(a, 12, True) >= width(a, 12) >= width(a, 10) > 0


@given(st.text(max_size=80))
def test_a_long_name_keeps_its_end(name: str) -> None:
    assert len(shown(name)) <= SHOWN_MAX
    assert shown(name) == name or name.endswith(shown(name)[1:])


def test_inputs_and_outputs_share_rows() -> None:
    union = Union([unit("A", ["IN", "INPUT_SETTINGS"], ["OUT"])])
    size = size_of(union, 0)
    assert size.rows["A/IN"] == size.rows["A/OUT"] < size.rows["A/INPUT_SETTINGS"] < size.h
    more = with_port(size, "unit", "A/NEW", "a name that is rather longer than all others")
    assert more.rows["A/NEW"] > size.rows["A/INPUT_SETTINGS"]
    assert more.w > size.w
    assert {**more.rows, **size.rows} == more.rows
