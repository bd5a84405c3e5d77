"""The reasons why a subject is as it is at a moment, and all its lives: each with the events at its ends."""

from collections.abc import Iterator
from itertools import chain

from ezmsg.ledger.projections.lifetimes.columns import Fact, Hold, stretches
from ezmsg.ledger.projections.questions.answers import History, Life, Span, Why
from ezmsg.ledger.projections.questions.evidence import HAVING_PARTS, Evidence, total
from ezmsg.ledger.projections.questions.moments.moments import Moment
from ezmsg.ledger.projections.questions.subjects import Subject

PIECE = 4096
"""Lives whose events are looked up at once: in the order of the ledger, so that its pieces are shared."""


def why(evidence: Evidence, subject: Subject, moment: Moment) -> Why:
    """The lives of ``subject`` at ``moment``; where there are none, the last before it, and what began the next."""
    rows = evidence.raw(subject)
    there = [row for row in rows if row.stands(moment.seq)]
    shown = there
    if not there:
        ends = [row.died for row in rows if row.died <= moment.seq]
        shown = [row for row in rows if ends and row.died == max(ends)]
    later = [] if there else [row for row in rows if row.born > moment.seq]
    following = evidence.cause(later[0].born, getattr(later[0], "kind", "edge"), False) if later else None
    return Why(str(subject), moment, bool(there), evidence.lives(shown), following)


def history(evidence: Evidence, subject: Subject, most: int | None = None) -> History:
    """Every life of ``subject``, and the stretches in which any of them stood; with ``most``, of more lives than that
    only the first and the last ones."""
    rows, spans = _rows(evidence, subject)
    left_out = 0 if most is None else max(0, len(rows) - most)
    if most is not None and left_out:
        half = most // 2
        rows = rows[:half] + rows[len(rows) - (most - half) :]
    return History(str(subject), evidence.lives(rows), spans, total(spans), left_out)


def history_in_turn(evidence: Evidence, subject: Subject) -> tuple[History, Iterator[Life]]:
    """The history of ``subject`` without its lives, and these one after the other: so many need not be in memory."""
    rows, spans = _rows(evidence, subject)
    pieces = (evidence.lives(rows[begin : begin + PIECE]) for begin in range(0, len(rows), PIECE))
    return History(str(subject), [], spans, total(spans)), chain.from_iterable(pieces)


def _rows(evidence: Evidence, subject: Subject) -> tuple[list[Hold | Fact], list[Span]]:
    rows = evidence.raw(subject)
    spans = evidence.spans(stretches(rows))
    return (evidence.raw(subject, whole=True) if subject.kind in HAVING_PARTS else rows), spans
