"""Why a subject is as it is at a moment, and all the lives that it had: each with the events at its ends."""

from ezmsg.ledger.projections.lifetimes.columns import stretches
from ezmsg.ledger.projections.questions.answers import History, Why
from ezmsg.ledger.projections.questions.evidence import Evidence, total
from ezmsg.ledger.projections.questions.moments.moments import Moment
from ezmsg.ledger.projections.questions.subjects import Subject


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


def history(evidence: Evidence, subject: Subject) -> History:
    """Every life of ``subject``, and the stretches in which any of them stood."""
    spans = evidence.spans(stretches(evidence.raw(subject)))
    return History(str(subject), evidence.lives(evidence.raw(subject, whole=True)), spans, total(spans))
