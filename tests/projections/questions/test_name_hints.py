"""What is said of a name that is not there."""

import pytest

from ezmsg.ledger.projections.questions.name_hints import near, number


@pytest.mark.parametrize(
    ("name", "known", "what", "said"),
    [
        ("SYS/AMPP", ["SYS/AMP", "SYS/LOG"], "components", "Did you mean SYS/AMP?"),
        ("amp", ["SYS/AMP", "SYS/LOG"], "components", "Did you mean SYS/AMP?"),
        (
            "rig/amp/out",
            ["RIG/AMP/OUT", "RIG/AMP/OUT2", "R/LOG/OUT"],
            "topics",
            "Did you mean RIG/AMP/OUT or RIG/AMP/OUT2?",
        ),
        (
            "RIG/SOURCE/OUTPU",
            ["RIG/SOURCE/OUTPUT", "RIG/A/OUTPUT", "X/OUTPUT"],
            "topics",
            "Did you mean RIG/SOURCE/OUTPUT?",
        ),
        ("99", ["10", "9", "98", "SYS", ""], "sessions", "The sessions are: SYS, 9, 10, 98."),
        (
            "x",
            [str(number) for number in range(12)],
            "processes",
            "The processes are: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 2 more.",
        ),
        ("x", [], "marks", "The ledger holds no marks."),
        ("x", [""], "topics", "The ledger holds no topics."),
    ],
)
def test_near_names_or_some_of_all(name: str, known: list[str], what: str, said: str) -> None:
    assert near(name, known, what) == said


@pytest.mark.parametrize(
    ("name", "found"),
    [("0", 0), ("42", 42), ("9" * 18, 10**18 - 1), ("9" * 19, None), ("9" * 5000, None), ("", None), ("-1", None)],
)
def test_a_number_is_no_longer_than_any_seq(name: str, found: int | None) -> None:
    assert number(name) == found


def test_other_digits_are_no_number() -> None:
    assert number("\u00b2") is number("\u0663") is None
