"""Stretches of time in lines: what was so, for how long, and the events at the two ends."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from ezmsg.ledger.projections.questions.answers import Cause, Span
from ezmsg.ledger.projections.questions.moments.times import length_text, time_text
from ezmsg.ledger.projections.questions.timeline import Timeline
from ezmsg.ledger.tools.output import Page
from ezmsg.ledger.tools.text.event_words import Recollection

S = TypeVar("S", bound=Span)
T = TypeVar("T")

SHOWN_MAX = 20
"""Spans or lives that are listed, the first and the last ones; ``--json`` has all."""


class SpanLines:
    """Prints spans, and the events at their ends, from one timeline to one page."""

    def __init__(self, page: Page, timeline: Timeline) -> None:
        self.page = page
        self.timeline = timeline
        self.past = Recollection(timeline)

    def spans(self, spans: Sequence[S], what: Callable[[S], str]) -> None:
        """Spans, each in a few lines; ``what`` says of one what was so."""
        self.some(spans, lambda span: self._span(span, what(span)))

    def some(self, things: Sequence[T], tell: Callable[[T], None]) -> None:
        """``tell`` each, or of more than SHOWN_MAX the first and the last ones: how it began, and how it is now."""
        left_out = len(things) - SHOWN_MAX
        half = SHOWN_MAX // 2
        for thing in things if left_out <= 0 else things[:half]:
            tell(thing)
        if left_out > 0:
            self.page.line(("dim", f"  ... {left_out} more between them (--json)"))
            for thing in things[-half:]:
                tell(thing)

    def stretch(self, what: str, ns: int, over: bool, clock: str = "wall") -> None:
        """Print what was so, and for how long. ``clock``: see ``Span``."""
        length = length_text(ns, clock)
        self.page.line("  ", ("dim" if over else "add", what), f", {'for' if over else 'so far'} {length}")

    def cause(self, cause: Cause, ended: int | None = None) -> None:
        """An event at one end of something, in a line; ``ended``: when that was over, if that was not known then."""
        said = self.past.tell(cause)
        if ended not in (None, cause.time):
            said += f", last known to be alive at {time_text(ended or 0, self.timeline.zone)}"
        self.page.line(("dim", f"    {cause.seq:>6}  {time_text(cause.time, self.timeline.zone)}  "), said)

    def _span(self, span: Span, what: str) -> None:
        self.stretch(what, span.ns, span.died is not None, span.clock)
        if span.came is not None:
            self.cause(span.came)
        if span.went is not None:
            self.cause(span.went, span.died_time)
