"""What a request asks for is read out of bytes that anybody may have sent."""

import os
import pickle
from pathlib import Path
from typing import Any

import pytest
from ezmsg.core.graphmeta import SettingsFieldUpdateRequest
from hypothesis import given
from hypothesis import strategies as st

from ezmsg.ledger.projections.questions.settings.change_request import wish
from ezmsg.ledger.values import freeze, thaw

VALUES: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@given(st.text(max_size=8), VALUES, st.sampled_from([2, 3, 4, 5]))
def test_what_ezmsg_sends_is_read(field: str, value: Any, protocol: int) -> None:
    found = wish(pickle.dumps(SettingsFieldUpdateRequest(field_path=field, value=value), protocol))
    assert found is not None
    assert (found.field, found.value) == (field, freeze(value))


class Evil:
    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self) -> Any:
        return os.mkdir, (self.path,)


@pytest.mark.parametrize("inside", [False, True])
def test_nothing_is_called(tmp_path: Path, inside: bool) -> None:
    evil: Any = Evil(tmp_path / "evil")
    assert wish(pickle.dumps(SettingsFieldUpdateRequest(field_path="x", value=evil) if inside else evil)) is None
    assert not (tmp_path / "evil").exists()


@pytest.mark.parametrize(
    "payload",
    [
        None, b"", b"garbage", pickle.dumps("text"), pickle.dumps(Path), b"\x80\x04r\xff\xff\xff\x7f.",
        pickle.dumps(SettingsFieldUpdateRequest(field_path=1, value=1)),  # type: ignore[arg-type]
        pickle.dumps(SettingsFieldUpdateRequest(field_path="x", value={1, 2})),
    ],
)  # fmt: skip
def test_anything_else_asks_for_nothing(payload: bytes | None) -> None:
    assert wish(payload) is None


@given(st.binary(max_size=30), st.integers(0, 80))
def test_damage_asks_for_nothing_that_breaks(noise: bytes, place: int) -> None:
    payload = pickle.dumps(SettingsFieldUpdateRequest(field_path="x", value=[1.5, "a"]))
    found = wish(payload[:place] + noise + payload[place + len(noise) :])
    assert found is None or (type(found.field) is str and freeze(thaw(found.value)) == found.value)
