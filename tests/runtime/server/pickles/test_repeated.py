"""Pickles of a known form are read without the reader, and exactly as the reader would have read them."""

import enum
import math
import pickle
import random
import struct
import uuid
from typing import Any

import pytest
from ezmsg.core.graphmeta import ProcessSettingsUpdate, SettingsSnapshotValue
from hypothesis import given, settings
from hypothesis import strategies as st

from ezmsg.ledger.errors import LedgerError
from ezmsg.ledger.runtime.server.clients.processes import _settings_update
from ezmsg.ledger.runtime.server.pickles import repeated
from ezmsg.ledger.runtime.server.pickles.repeated import Repeated


def pickled(value: Any, serialized: bytes | None = bytes(60), at: float = 1.5, protocol: int = 4) -> bytes:
    update = ProcessSettingsUpdate("SYSTEM/U", SettingsSnapshotValue(serialized, value, value), at)
    return pickle.dumps(update, protocol)


class Counted:
    def __init__(self) -> None:
        self.times = 0

    def __call__(self, data: bytes) -> tuple[Any, ...]:
        self.times += 1
        return _settings_update(data)


def outcome(read: Any, data: bytes) -> Any:
    """What reading gives, so that it can be compared: floats by their bits, values by their types."""
    try:
        return _exact(read(data))
    except LedgerError as error:
        return type(error), str(error)


def _exact(value: Any) -> Any:
    if type(value) is float:
        return float, struct.pack(">d", value)
    if type(value) is dict:
        return dict, [(key, _exact(item)) for key, item in value.items()]
    if type(value) in (list, tuple):
        return type(value), [_exact(item) for item in value]
    return type(value), value


@pytest.mark.parametrize("protocol", [3, 4, 5])
def test_a_driven_setting_is_read_twice_and_then_known(protocol: int) -> None:
    counted = Counted()
    reader = Repeated(counted)
    for number in range(100):
        gain = {"gain": number / 7, "taps": (number / 3, 5.0), "window": [100_000 + number], "on": True}
        data = pickled(gain, random.Random(number).randbytes(60), 1e9 + number, protocol)
        assert _exact(reader.read(data)) == _exact(_settings_update(data))
    assert counted.times == 3, "twice for what came, and once for the probe"


def test_what_is_not_of_the_form_goes_to_the_reader() -> None:
    counted = Counted()
    reader = Repeated(counted)
    for number in range(3):
        reader.read(pickled({"gain": float(number)}))
    before = counted.times
    for other in ({"gain": math.inf}, {"gain": math.nan}, {"gaim": 1.0}, {"gain": "12345678"}, {"gain": None}, {}):
        data = pickled(other)
        assert outcome(reader.read, data) == outcome(_settings_update, data)
    assert counted.times >= before + 6


class Color(enum.IntEnum):
    RED = 100_000


LEAVES = st.one_of(
    st.floats(width=64),
    st.integers(-(2**40), 2**40),
    st.booleans(),
    st.none(),
    st.text(max_size=5),
    st.binary(min_size=14, max_size=20),
    st.sampled_from([Color.RED, 1j, uuid.UUID(int=5), 1e300, -0.0, b"x" * 300]),
)
KEYS = st.one_of(st.text(max_size=3), st.floats(allow_nan=False), st.integers(2**20, 2**30), st.just("$"))
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.tuples(inner, inner),
        st.dictionaries(KEYS, inner, max_size=3),
        st.sets(st.floats(allow_nan=False), max_size=3),
    ),
    max_leaves=8,
)


@given(value=VALUES, seed=st.integers(0, 2**32), protocol=st.sampled_from([0, 2, 4]))
@settings(max_examples=300, deadline=None)
def test_any_value_and_what_resembles_it_is_read_as_the_reader_reads_it(value: Any, seed: int, protocol: int) -> None:
    """Bytes of a pickle change anywhere, above all within numbers; some then are no pickles, or say other things."""
    reader, dice = Repeated(_settings_update), random.Random(seed)
    data = pickled({"value": value, "again": value}, dice.randbytes(20), protocol=protocol)
    wanted = outcome(_settings_update, data)
    for _ in range(4):
        assert outcome(reader.read, data) == wanted
    places = [(begin, size) for _, begin, size in repeated._values(data)] or [(0, len(data))]
    for number in range(24):
        other = bytearray(data)
        begin, size = dice.choice(places) if number % 3 else (0, len(data))
        for _ in range(dice.choice((1, 1, 2, 8))):
            other[begin + dice.randrange(size)] = dice.choice((0, 255, 0x7F, 0xF0, dice.randrange(256)))
        if number % 5 == 0:  # two numbers become the same one
            begin, size = dice.choice(places)
            same = [(at, most) for at, most in places if most == size]
            at, most = dice.choice(same)
            other[at : at + most] = other[begin : begin + size]
        assert outcome(reader.read, bytes(other)) == outcome(_settings_update, bytes(other))


def test_what_a_sender_makes_it_remember_is_bounded() -> None:
    counted = Counted()
    reader = Repeated(counted)
    for length in range(1, 2000):
        for gain in (1.0, 2.0):
            reader.read(pickled({"x" * length: gain}))
    assert reader._known == repeated.FORMS_MAX
    assert counted.times <= 2 * 2000 + repeated.PROBED_MAX


def test_a_known_form_shares_only_what_does_not_change() -> None:
    reader = Repeated(_settings_update)
    read = [reader.read(pickled({"gain": float(number), "fixed": [1, 2]})) for number in range(6)]
    assert [found[3]["gain"] for found in read] == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]
