"""Values and settings in a few words."""

from json import dumps
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ezmsg.ledger.events import SettingsValue
from ezmsg.ledger.metadata import TaskMetadata
from ezmsg.ledger.tools.text.value_text import (
    TEXT_MAX,
    arrow_text,
    change_text,
    changes_text,
    settings_change,
    settings_text,
    value_text,
)
from ezmsg.ledger.values import Opaque, freeze


def value(form: Any, structured: Any = None) -> SettingsValue:
    return SettingsValue(serialized=None, repr_value=form, structured_value=structured)


@pytest.mark.parametrize(
    ("thing", "text"),
    [
        (None, "None"),
        (True, "True"),
        (1, "1"),
        (1.0, "1.0"),
        ("fast", '"fast"'),
        ('a "b"', '"a \\"b\\""'),
        ([1, "a"], '[1, "a"]'),
        ((1, 2), "(1, 2)"),
        ({"a": 1, "b": {"c": 2}}, "{a: 1, b: {c: 2}}"),
        ({1: "x"}, '{1: "x"}'),
        ({3}, "{3}"),
        (float("nan"), "nan"),
        (float("-inf"), "-inf"),
        (2**70, str(2**70)),
        (b"12345", "<5 bytes>"),
        ("\ud800", "<text that is not Unicode>"),
        (Opaque("lab:Colour", b"", "Colour.RED"), "Colour.RED"),
        (Opaque("lab:Colour", b"", 3), "3"),
        (list(range(20)), "[0, 1, 2, 3, 4, 5, ... 20 in all]"),
        ([[[[[1]]]]], "[[[[...]]]]"),
        (TaskMetadata(name="go", publishes=["A"]), 'TaskMetadata(name="go", subscribes=None, publishes=["A"])'),
    ],
)
def test_a_value(thing: Any, text: str) -> None:
    assert value_text(freeze(thing)) == text


@pytest.mark.parametrize("form", [{"$": "t"}, {"$": 5, "v": 1}, {"$": "i", "v": "zz"}, {"$": "b", "v": 3}, {"$": None}])
def test_what_is_no_value_is_shown_as_it_is(form: Any) -> None:
    assert value_text(form)


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.just("$"), inner),
    max_leaves=10,
)


@given(json)
def test_whatever_stands_there_has_words_that_fit(form: Any) -> None:
    assert len(value_text(form)) <= TEXT_MAX


@given(json)
def test_the_whole_of_a_value_leaves_nothing_out(form: Any) -> None:
    text = value_text(freeze(form), whole=True)
    for leaf in leaves(form):
        assert (dumps(leaf, ensure_ascii=False) if isinstance(leaf, str) else str(leaf)) in text


def leaves(form: Any) -> list[Any]:
    if isinstance(form, list):
        return [leaf for item in form for leaf in leaves(item)]
    if isinstance(form, dict):
        return [leaf for item in form.values() for leaf in leaves(item)]
    return [form]


@pytest.mark.parametrize(
    ("thing", "text"),
    [
        (b"\x0012345", "b'\\x0012345'"),
        ("\ud800", '"\\ud800"'),
        ([[[[[1]]]]], "[[[[[1]]]]]"),
        (Opaque("lab:Colour", b"", ["x" * 70]), f'["{"x" * 70}"]'),
    ],
)
def test_the_whole_of_what_is_told_by_its_size_else(thing: Any, text: str) -> None:
    assert value_text(freeze(thing), whole=True) == text


def test_settings_are_their_fields() -> None:
    fields = {"gain": 2.0, "mode": "fast"}
    assert settings_text(value(fields)) == 'gain=2.0, mode="fast"'
    assert settings_text(value("Gain(2.0)", fields)) == 'gain=2.0, mode="fast"'
    assert settings_text(value("Gain(2.0)")) == '"Gain(2.0)"'
    assert settings_text(value({})) == ""
    assert settings_text(value("")) == ""
    many = {f"f{n}": n for n in range(9)}
    assert settings_text(value(many)) == "f0=0, f1=1, f2=2, f3=3, f4=4, f5=5, ... 9 fields in all"
    assert settings_text(value(many), None).endswith("f8=8")


def test_a_change_is_told_field_by_field_and_a_number_is_a_number() -> None:
    old, new = value({"a": True, "b": 2, "c": 3, "e": 40}), value({"a": 1.0, "b": 2, "d": 4, "e": 40.0})
    changes = settings_change(old, new)
    told = [(each.path, each.before, each.after, each.missing) for each in changes]
    assert told == [("a", True, 1.0, None), ("c", 3, None, "after"), ("d", None, 4, "before")]
    assert [change_text(change) for change in changes] == ["a=1.0 (was True)", "c=None (was 3)", "d=4 (new)"]
    assert changes_text(changes, 5) == "a=1.0 (was True), d=4 (new); no longer c"
    assert [arrow_text(change) for change in changes] == ["a True -> 1.0", "c 3 -> nothing", "d = 4"]
    assert settings_change(old, old) == []


def test_a_change_of_what_has_no_fields_is_told_as_a_whole() -> None:
    assert [change_text(c) for c in settings_change(value("G(1)"), value("G(2)"))] == ['"G(2)" (was "G(1)")']
    assert settings_change(value("G(1)"), value("G(1)")) == []
