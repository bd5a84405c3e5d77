"""Predicates: what can be written, and where a mistake is."""

import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ezmsg.ledger.errors import PredicateError
from ezmsg.ledger.projections.questions import predicates as pr

NAMES = st.text(max_size=8) | st.sampled_from(["A", "SYS/U", "and", "->", "a.b", '"', "a b", "(", "not", "edge", "=="])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
).filter(lambda value: "$" not in json.dumps(value))
FIELDS = st.lists(NAMES.filter(lambda name: name != ""), max_size=3).map(tuple)


def settings_of(name: str, field: tuple[str, ...], value: object) -> pr.Setting:
    return pr.Setting(name, field, pr.freeze(value))


FACTS = (
    st.builds(pr.Edge, NAMES, NAMES)
    | st.builds(pr.Reaches, NAMES, NAMES)
    | st.builds(pr.Session, NAMES)
    | st.builds(settings_of, NAMES, FIELDS, VALUES)
)


def flat(parts: list[pr.Predicate], kind: type) -> bool:
    return not any(isinstance(part, kind) for part in parts)


def joined(kind: type) -> st.SearchStrategy[pr.Predicate]:
    return st.lists(TREES, min_size=2, max_size=3).filter(lambda parts: flat(parts, kind)).map(lambda p: kind(tuple(p)))


TREES: st.SearchStrategy[pr.Predicate] = st.deferred(
    lambda: FACTS | st.builds(pr.Not, TREES) | joined(pr.And) | joined(pr.Or)
)


@settings(max_examples=60, deadline=None)
@given(TREES)
def test_what_is_written_is_read_as_the_same(tree: pr.Predicate) -> None:
    assert pr.parse(str(tree)) == tree


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("edge A->B", pr.Edge("A", "B")),
        ('path "A B" -> C', pr.Reaches("A B", "C")),
        ("session a or session b and session c", pr.Or((
            pr.Session("a"), pr.And((pr.Session("b"), pr.Session("c"))),
        ))),
        ("not not session a", pr.Not(pr.Not(pr.Session("a")))),
        ("setting SYS.X/U.gain.low == 1", pr.Setting("SYS.X/U", ("gain", "low"), 1)),
        ('setting "SYS/U.1".gain == "x"', pr.Setting("SYS/U.1", ("gain",), "x")),
        ('setting U.a."b c".d == [1, {"x": null}]', pr.Setting("U", ("a", "b c", "d"), [1, {"x": None}])),
        ("(setting U == 1e3)and session x", pr.And((pr.Setting("U", (), 1000.0), pr.Session("x")))),
    ],
)  # fmt: skip
def test_how_a_text_is_read(text: str, tree: pr.Predicate) -> None:
    assert pr.parse(text) == tree


def test_one_is_no_float_and_no_truth() -> None:
    kinds = {type(pr.parse(f"setting U == {value}").value) for value in ("1", "1.0", "true")}  # type: ignore[union-attr]
    assert kinds == {int, float, bool}


@pytest.mark.parametrize(
    ("text", "column", "problem"),
    [
        ("", 1, "ends where edge"),
        ("edge A B", 8, "'->' was expected"),
        ("edge A ->", 10, "name of a topic"),
        ("edge and -> B", 6, "quote it"),
        ("(edge A -> B", 13, "')' was expected"),
        ("edge A -> B edge C -> D", 13, "one too many"),
        ("session a and", 14, "ends where edge"),
        ("setting U.gain = 1", 16, "'==' was expected"),
        ("setting U.gain == x", 19, "JSON value"),
        ("setting U.gain == NaN", 19, "NaN is not a value of JSON"),
        ("setting U.gain ==", 18, "JSON value"),
        ("setting U. == 1", 11, "a dot stands"),
        ("setting U..a == 1", 9, "a dot and a field"),
        ('setting "U"gain == 1', 12, "a dot and a field"),
        ('edge "A -> B', 6, "not closed"),
        (r'edge "\q" -> B', 6, "escape"),
        ("nodge A", 1, "'nodge' stands"),
        ("not " * 200 + "session a", 404, "levels"),
    ],
)
def test_a_mistake_is_pointed_at(text: str, column: int, problem: str) -> None:
    with pytest.raises(PredicateError, match=re.escape(problem)) as caught:
        pr.parse(text)
    assert caught.value.column == column
    _, shown, caret = str(caught.value).split("\n")
    assert shown == f"  {text}"
    assert caret.index("^") == 1 + column
    assert caught.value.hint


@given(st.lists(st.sampled_from(["edge ", "session ", "setting ", "U", ".g", '"', "->", "==", "(", ")", " ", "1"])))
def test_any_text_is_read_or_refused_in_place(words: list[str]) -> None:
    text, column = "".join(words), None
    try:
        found = pr.parse(text)
    except PredicateError as error:
        column = error.column
    if column is None:
        assert pr.parse(str(found)) == found
    else:
        assert 1 <= column <= len(text) + 1
