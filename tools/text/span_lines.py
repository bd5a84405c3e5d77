"""How a command tells a stretch of time: what was so, for how long, and the events at its two ends."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from ezmsg.ledger.projections.questions.answers import Cause, Span
from ezmsg.ledger.projections.questions.clock import time_text
from ezmsg.ledger.projections.questions.moments import Moment
from ezmsg.ledger.projections.questions.timeline import Timeline
from ezmsg.ledger.tools.page import Page
from ezmsg.ledger.tools.text.phrases import span_text

S = TypeVar("S", bound=Span)
T = TypeVar("T")

SHOWN_MAX = 20
"""Spans or lives that are listed, the first and the last ones; ``--json`` has all."""


def how_text(moment: Moment) -> str:
    """How a moment was understood, in brackets; "" when it was asked for by its seq."""
    return "" if moment.how == f"seq {moment.seq}" else f" ({moment.how})"


def tell_spans(page: Page, timeline: Timeline, spans: Sequence[S], what: Callable[[S], str]) -> None:
    """Spans, each in a few lines; ``what`` says of one what was so."""
    tell_some(page, spans, lambda span: _tell_span(page, timeline, span, what(span)))


def tell_some(page: Page, things: Sequence[T], tell: Callable[[T], None]) -> None:
    """``tell`` each, or of more than SHOWN_MAX the first and the last ones: how it began, and how it is now."""
    left_out = len(things) - SHOWN_MAX
    half = SHOWN_MAX // 2
    for thing in things if left_out <= 0 else things[:half]:
        tell(thing)
    if left_out > 0:
        page.line(("dim", f"  ... {left_out} more between them (--json)"))
        for thing in things[-half:]:
            tell(thing)


def _tell_span(page: Page, timeline: Timeline, span: Span, what: str) -> None:
    length = f"{'so far' if span.died is None else 'for'} {span_text(span.ns)}"
    page.line("  ", ("add" if span.died is None else "dim", what), f", {length}")
    if span.came is not None:
        tell_cause(page, timeline, span.came)
    if span.went is not None:
        tell_cause(page, timeline, span.went, span.died_time)


def tell_cause(page: Page, timeline: Timeline, cause: Cause, ended: int | None = None) -> None:
    """An event at one end of something, in a line; ``ended``: when that was over, if that is not when it was said."""
    said = "" if ended in (None, cause.time) else f", last known to be alive at {time_text(ended or 0, timeline.zone)}"
    page.line(("dim", f"    {cause.seq:>6}  {time_text(cause.time, timeline.zone)}  "), cause.text + said)
