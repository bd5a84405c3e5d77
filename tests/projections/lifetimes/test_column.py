"""A column of integers in blocks behaves as a list does, wherever its blocks lie."""

from array import array
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ezmsg.ledger.projections.lifetimes import column
from ezmsg.ledger.projections.lifetimes.column import Column


@pytest.fixture(autouse=True, scope="module")
def small_blocks() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(column, "INTEGERS_SHIFT", 2)
        yield


def store(kept: Column, disk: dict[int, bytes]) -> Column:
    """Store what ``to_store`` names, and no more; the column, as somebody reads it who opens the file."""
    for number in kept.to_store():
        disk[number] = memoryview(kept.block(number)).cast("B").tobytes()
    for number in [number for number in disk if number >= kept.blocks]:
        del disk[number]
    image = dict(disk)

    def load(number: int) -> memoryview:
        return memoryview(image[number]).cast(kept.code)  # type: ignore[call-overload,no-any-return]

    kept.stored(load)
    return Column(kept.code, load, len(kept))


STEP = st.one_of(
    st.tuples(st.just("extend"), st.integers(0, 11)),
    st.tuples(st.just("append"), st.integers(0, 99)),
    st.tuples(st.just("pop"), st.integers(1, 9)),
    st.tuples(st.just("set"), st.integers(0, 99)),
    st.tuples(st.just("store"), st.just(0)),
    st.tuples(st.just("reopen"), st.just(0)),
    st.tuples(st.just("copy"), st.integers(0, 99)),
)


@settings(max_examples=200, deadline=None)
@given(steps=st.lists(STEP, max_size=40), data=st.data())
def test_it_is_a_list(steps: list[tuple[str, int]], data: Any) -> None:
    kept, model, disk = Column("q"), list[int](), dict[int, bytes]()
    for what, number in steps:
        if what == "extend":
            kept.extend(range(number))
            model.extend(range(number))
        elif what == "append":
            kept.append(number)
            model.append(number)
        elif what == "pop":
            for _ in range(min(number, len(model))):
                assert kept.pop() == model.pop()
        elif what == "set" and model:
            place = data.draw(st.integers(-len(model), len(model) - 1))
            kept[place] = model[place] = number
        elif what == "store":
            assert list(store(kept, disk)) == model
        elif what == "reopen":
            kept = store(kept, disk)
        elif what == "copy":
            other = kept.copy()
            other.append(number)
            for place in range(len(other)):
                other[place] = -1
        assert list(kept) == model
        assert len(kept) == len(model)
    rows = sorted(data.draw(st.sets(st.integers(0, max(0, len(model) - 1)), max_size=9))) if model else []
    assert kept.take(rows) == [kept[row] for row in rows] == [model[row] for row in rows]
    start, stop = data.draw(st.integers(-50, 50)), data.draw(st.integers(-50, 50))
    assert list(kept[start:stop]) == model[start:stop]
    assert kept[start:].__class__ in (array, memoryview)
    same = Column("q")
    same.extend(model)
    assert kept == same
    if model:
        same[0] += 1
        assert kept != same


def test_a_row_that_is_not_there_is_an_error() -> None:
    kept = Column("q")
    kept.extend(range(9))
    with pytest.raises(IndexError):
        kept[9]
    assert kept != list(range(9))


def test_only_what_changed_is_stored_again() -> None:
    kept, disk = Column("q"), dict[int, bytes]()
    kept.extend(range(18))
    store(kept, disk)
    kept[5] = 7
    kept.append(18)
    assert kept.to_store() == [1, 4]
    assert list(store(kept, disk)) == [0, 1, 2, 3, 4, 7, *range(6, 19)]
