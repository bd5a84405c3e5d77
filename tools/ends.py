"""How a command tells a stretch of time: what was so, for how long, and the events at its two ends."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from ezmsg.ledger.projections.answers import Cause, Span
from ezmsg.ledger.projections.clock import time_text
from ezmsg.ledger.projections.moments import Moment
from ezmsg.ledger.projections.timeline import Timeline
from ezmsg.ledger.tools.page import Page
from ezmsg.ledger.tools.told import span_text

S = TypeVar("S", bound=Span)

SHOWN_MAX = 20
"""Spans that are listed; ``--json`` has all."""


def how_text(moment: Moment) -> str:
    """How a moment was understood, in brackets; "" when it was asked for by its seq."""
    return "" if moment.how == f"seq {moment.seq}" else f" ({moment.how})"


def tell_spans(page: Page, timeline: Timeline, spans: Sequence[S], what: Callable[[S], str]) -> None:
    """The first SHOWN_MAX spans, each in a few lines; ``what`` says of one what was so."""
    for span in spans[:SHOWN_MAX]:
        _tell_span(page, timeline, span, what(span))
    if len(spans) > SHOWN_MAX:
        page.line(("dim", f"  ... {len(spans) - SHOWN_MAX} more (--json)"))


def _tell_span(page: Page, timeline: Timeline, span: Span, what: str) -> None:
    length = f"{'so far' if span.died is None else 'for'} {span_text(span.ns)}"
    page.line("  ", ("add" if span.died is None else "dim", what), f", {length}")
    for cause in (span.came, span.went):
        if cause is not None:
            tell_cause(page, timeline, cause)


def tell_cause(page: Page, timeline: Timeline, cause: Cause) -> None:
    """An event at one end of something, in a line."""
    page.line(("dim", f"    {cause.seq:>6}  {time_text(cause.time, timeline.zone)}  "), cause.text)
