"""The time axis of a recording: its jumps are found wherever they are, also where not every stamp is read."""

from typing import Any

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ezmsg.ledger.tools.recordings.clocks import axis as module
from ezmsg.ledger.tools.recordings.clocks.axis import NotNumbers, counted, stamped


def test_a_counted_axis_has_one_piece() -> None:
    axis = counted(2.0, 500.0, 1000)
    assert (axis.begin, axis.end, round(axis.rate, 6), axis.jumps()) == (2.0, 4.0, 500.0, [])


def test_a_single_sample_is_an_axis() -> None:
    axis = stamped(numpy.array([3.5]))
    assert (axis.begin, axis.end, axis.count, axis.rate, axis.jumps()) == (3.5, 3.5, 1, 0.0, [])


@pytest.mark.parametrize("first", [0, 500, 2_001, 99_999])
@pytest.mark.parametrize("blocks", [1, 100_000])
def test_stamps_that_were_never_written_are_refused(first: int, blocks: int) -> None:
    stamps = numpy.arange(100_000) * 0.001
    stamps[first : first + 60] = numpy.nan
    if first == 2_001 and blocks > 1:
        stamps[first:] = numpy.nan
    with pytest.raises(NotNumbers, match="is not a number"):
        stamped(stamps, blocks)


class Slow:
    """Stamps that count how many of them are read."""

    def __init__(self, stamps: Any) -> None:
        self.stamps, self.read = stamps, 0

    def __len__(self) -> int:
        return len(self.stamps)

    def __getitem__(self, wanted: Any) -> Any:
        found = self.stamps[wanted]
        self.read += numpy.size(found)
        return found


@given(
    st.lists(
        st.tuples(st.integers(20, 980), st.floats(-9e4, 9e4).filter(lambda by: abs(by) > 0.5)),
        max_size=4,
        unique_by=lambda jump: jump[0] // 20,
    ),
    st.floats(-2e9, 2e9),
)
def test_every_jump_is_found_whether_all_is_read_or_not(jumps: list[tuple[int, float]], begin: float) -> None:
    stamps = begin + numpy.arange(100_000) * 0.001
    for thousandth, by in jumps:
        stamps[thousandth * 100 + 7 :] += by
    expected = sorted(thousandth * 100 + 7 for thousandth, _ in jumps)
    whole = stamped(stamps)
    assert [piece.first for piece in whole.pieces[1:]] == expected
    few = Slow(stamps)
    looks, module.LOOKS = module.LOOKS, 500
    try:
        looked = stamped(few, blocks=len(stamps))
    finally:
        module.LOOKS = looks
    assert [piece.first for piece in looked.pieces[1:]] == expected
    assert looked.pieces == whole.pieces
    assert (whole.step, looked.step) == (1, 200)
    assert few.read < 1_200, "all but a few stamps are not read"
