"""Values are compared as what they are: enums, numpy's numbers, tuples, sets, in whatever form they were recorded."""

import enum
import pickle
import uuid
from typing import Any

import numpy as np
import pytest

from ezmsg.ledger.pickles import loads
from ezmsg.ledger.projections.questions.value_comparison import alike, alike_forms
from ezmsg.ledger.values import freeze


class Mode(enum.IntEnum):
    FAST = 5


class Side(str, enum.Enum):  # noqa: UP042 - what people have
    LEFT = "left"


BY_NAME = b"getattr" in pickle.dumps(Mode.FAST)
"""Whether this Python pickles members of enums by their names, as the first releases of 3.11 did."""


class Thing:
    def __init__(self, **fields: Any) -> None:
        vars(self).update(fields)

    def __repr__(self) -> str:
        return f"Thing({vars(self)})"  # a test is named after it, and must have one name in each process


ALIKE = [
    (40, 40.0), (Mode.FAST, 5), (Side.LEFT, "left"), (np.int64(5), 5), (np.float32(0.5), 0.5), (np.bool_(True), True),
    ((1, 2), [1, 2]), ({1, 2}, frozenset({2, 1})), (float("nan"), float("nan")), ({"a": (1,)}, {"a": [1.0]}),
    ({1: "x", "y": 2}, {"y": 2.0, 1.0: "x"}), (-0.0, 0),
]  # fmt: skip
DIFFERENT = [
    (True, 1), (False, 0.0), ("5", 5), ("true", True), (None, 0), ([1], 1), ([1, 2], [2, 1]), ({1}, [1]),
    ({"a": 1}, {"a": 1, "b": 2}), (Mode.FAST, "5"), ((1, 2), (1, 2, 3)), (b"a", "a"),
]  # fmt: skip


@pytest.mark.parametrize(("a", "b"), ALIKE)
def test_what_is_alike(a: Any, b: Any) -> None:
    assert alike_forms(freeze(a), freeze(b))
    assert alike_forms(freeze(b), freeze(a))
    if BY_NAME and isinstance(a, enum.Enum):
        return  # its value is not in the pickle
    assert alike(loads(pickle.dumps(a)), loads(pickle.dumps(b)))


@pytest.mark.parametrize(("a", "b"), DIFFERENT)
def test_what_is_not(a: Any, b: Any) -> None:
    assert not alike_forms(freeze(a), freeze(b))
    assert not alike_forms(freeze(b), freeze(a))
    assert not alike(loads(pickle.dumps(a)), loads(pickle.dumps(b)))


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        (slice(1, 4), slice(1, 4), True), (slice(1, 4), slice(1, 5), False),
        (Thing(x=1, y=(2,)), Thing(y=[2], x=1.0), True), (Thing(x=1), Thing(x=2), False), (len, len, True),
        (len, max, False), (np.arange(2000), np.arange(2000), True), (np.zeros(2000), np.ones(2000), False),
        (uuid.UUID(int=1), uuid.UUID(int=1), True), (uuid.UUID(int=1), uuid.UUID(int=2), False),
    ],
    ids=str,
)  # fmt: skip
def test_objects_are_compared_by_what_their_pickles_say(a: Any, b: Any, same: bool) -> None:
    assert alike(loads(pickle.dumps(a)), loads(pickle.dumps(b))) is same


def test_an_object_that_holds_itself_has_an_end() -> None:
    one, other = Thing(), Thing()
    one.me, other.me = one, other  # type: ignore[attr-defined]
    assert alike(loads(pickle.dumps(one)), loads(pickle.dumps(other)))


def test_addresses_do_not_count_between_runs() -> None:
    a, b = "<function f at 0x7f6e4d2804a0>", "<function f at 0x7f0011223344>"
    assert not alike_forms(a, b)
    assert alike_forms([a], [b], noise=True)
    assert not alike_forms("0x1", "0x2", noise=True)
