"""Heights keep order and distances, and are as near to the wishes as that allows."""

from itertools import pairwise, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ezmsg.ledger.projections.drawing.layout.heights import median, spread

wish = st.tuples(st.integers(-50, 50).map(float), st.integers(1, 9).map(float)) | st.none()


@given(st.lists(wish, max_size=12), st.lists(st.integers(1, 30), min_size=12, max_size=12))
def test_order_and_distances_are_kept(wishes: list[tuple[float, float] | None], gaps: list[int]) -> None:
    offsets = [sum(gaps[:place]) for place in range(len(wishes))]
    heights = spread(wishes, offsets)
    for (a, b), (start, end) in zip(pairwise(heights), pairwise(offsets), strict=True):
        assert b - a >= end - start - 1e-9


@given(st.lists(st.tuples(st.integers(0, 4).map(float), st.integers(1, 3).map(float)), min_size=1, max_size=4))
def test_no_other_heights_are_nearer(wishes: list[tuple[float, float]]) -> None:
    """Against every choice of the wished values: one of these is always best."""

    def cost(heights: tuple[float, ...]) -> float:
        return sum(weight * abs(height - value) for height, (value, weight) in zip(heights, wishes, strict=True))

    values = [value for value, _ in wishes]
    choices = (each for each in product(values, repeat=len(wishes)) if list(each) == sorted(each))
    found = tuple(spread(wishes, [0] * len(wishes)))
    assert cost(found) == pytest.approx(min(map(cost, choices)))


def test_whoever_weighs_most_gets_what_it_wishes() -> None:
    assert spread([(100, 1), (0, 8)], [0, 20]) == [-20, 0]
    assert spread([(10, 8), (12, 1)], [0, 20]) == [10, 30]


def test_who_wishes_for_nothing_stays_with_its_neighbour() -> None:
    assert spread([None, (50, 1), None], [0, 20, 40]) == [30, 50, 70]
    assert spread([None, None], [0, 20]) == [-10, 10]


def test_a_median_is_one_of_the_values() -> None:
    assert median([(1, 1), (2, 1), (9, 1)]) == 2
    assert median([(1, 5), (2, 1), (9, 1)]) == 1
