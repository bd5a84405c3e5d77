"""Answers as a person sees them in a Python shell."""

from ezmsg.ledger.projections.questions.answers import History, Span
from ezmsg.ledger.projections.questions.moments.times import SECOND


def test_lengths_of_time_have_units() -> None:
    span = Span(3, None, 0, None, 12 * SECOND)
    assert repr(span) == "[3, ...) 12 s"
    assert repr(History("A -> B", [], [span], 90 * SECOND)) == "<A -> B: 0 lives, 1 span, 1 min 30 s in all>"
