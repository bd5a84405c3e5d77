"""Arrays are read from the pickles that numpy writes, by either of its two grammars, and nothing else is one."""

import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ezmsg.ledger.pickles import UnsoundPickle, loads
from ezmsg.ledger.pickles.arrays import Array, array_of, difference

DTYPES = ["f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u8", "b1", ">f8", ">i4"]


def read(value: Any, protocol: int = 4) -> Array:
    found = array_of(loads(pickle.dumps(value, protocol)))
    assert found is not None
    return found


@given(
    st.sampled_from(DTYPES), st.lists(st.integers(0, 4), max_size=3), st.sampled_from("CF"),
    st.sampled_from([2, 4, 5]), st.integers(0, 9),
)  # fmt: skip
def test_every_plain_array_is_read_as_numpy_has_it(
    dtype: str, shape: list[int], order: Any, protocol: int, seed: int
) -> None:
    values = np.random.default_rng(seed).integers(0, 2, shape)
    array = np.asarray(values, dtype=dtype, order=order)
    found = read(array, protocol)
    assert (found.dtype, found.shape) == (array.dtype.name, array.shape)
    assert found.items() == array.flatten(order="C").tolist()
    places = range(found.size)
    assert [array[tuple(found.index(place))] for place in places] == found.items()


@pytest.mark.parametrize(
    "value",
    [
        np.array(["a"]), np.array([object()]), np.array(["2026-01-01"], "M8[D]"), np.array([(1, 2.0)], "i4,f8"),
        np.float64(1), [1.0], "array([1.])", np.matrix([[1]]), np.ma.masked_array([1]),
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
@pytest.mark.parametrize("protocol", [4, 5])
def test_nothing_else_is_an_array(value: Any, protocol: int) -> None:
    assert array_of(loads(pickle.dumps(value, protocol))) is None


@given(st.binary(max_size=20), st.integers(0, 200), st.sampled_from([4, 5]))
def test_damage_is_no_array_that_breaks(noise: bytes, place: int, protocol: int) -> None:
    data = pickle.dumps(np.arange(4.0), protocol)
    try:
        found = array_of(loads(data[:place] + noise + data[place + len(noise) :]))
    except UnsoundPickle:
        return
    if found is not None:
        assert len(found.items()) == found.size


def test_what_differs_is_told_by_element() -> None:
    before = np.zeros((50, 100))
    after = before.copy()
    after[3, 7] = 1.5
    assert difference(read(before), read(after)) == "1 of 5,000 elements differs: [3, 7] 0.0 -> 1.5"
    after[:] = 1
    told = "5,000 of 5,000 elements differ: [0, 0] 0.0 -> 1.0, [0, 1] 0.0 -> 1.0, [0, 2] 0.0 -> 1.0, ..."
    assert difference(read(before), read(after)) == told
    assert difference(read(before), read(before[:2])) == "float64 array of 50 x 100 -> float64 array of 2 x 100"
    assert difference(read(before), read(before.astype("f4"))).endswith("float32 array of 50 x 100")


def test_the_same_numbers_in_another_order_do_not_differ() -> None:
    array = np.arange(12.0).reshape(3, 4)
    array[0, 0] = np.nan
    for other in (np.asfortranarray(array), array.astype(">f8")):
        assert difference(read(array), read(other, 5)) == ""
