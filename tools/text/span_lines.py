"""Stretches of time in lines: what was so, for how long, and the events at the two ends."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TypeVar

from ezmsg.ledger.projections.questions.answers import Cause, Span
from ezmsg.ledger.projections.questions.moments.times import length_text, time_text
from ezmsg.ledger.projections.questions.timeline import Timeline
from ezmsg.ledger.tools.output import Page
from ezmsg.ledger.tools.text.event_words import Recollection

S = TypeVar("S", bound=Span)
T = TypeVar("T")

SHOWN_MAX = 20
"""Spans or lives that are listed, the first and the last ones; ``--full`` and ``--json`` have all."""


class SpanLines:
    """Prints spans, and the events at their ends, from one timeline to one page.

    ``full``: all of them, values and lists whole, times with their nanoseconds. ``fields``: of some components' reports
    of settings, the fields that are of interest.
    """

    def __init__(
        self,
        page: Page,
        timeline: Timeline,
        full: bool = False,
        fields: Mapping[str, Collection[str]] | None = None,
    ) -> None:
        self.page = page
        self.timeline = timeline
        self.full = full
        self.past = Recollection(timeline, whole=full, fields=fields)

    def time(self, time: int) -> str:
        """A time (ns) in the viewer's zone."""
        return time_text(time, self.timeline.zone, 9 if self.full else 3)

    def spans(self, spans: Sequence[S], what: Callable[[S], str]) -> None:
        """Spans, each in a few lines; ``what`` says of one what was so."""
        self.some(spans, lambda span: self._span(span, what(span)))

    def some(self, things: Sequence[T], tell: Callable[[T], None], missing: int = 0) -> None:
        """``tell`` each, or of more than SHOWN_MAX the first and the last ones: how it began, and how it is now.

        ``missing``: how many were left out between them already.
        """
        left_out = 0 if self.full else len(things) + missing - SHOWN_MAX
        half = SHOWN_MAX // 2
        for thing in things if left_out <= 0 else things[:half]:
            tell(thing)
        if left_out > 0:
            self.page.line(("dim", f"  ... {left_out} more between them (--full)"))
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
            said += f", last known to be alive at {self.time(ended or 0)}"
        self.deed(cause, said)

    def deed(self, cause: Cause, said: str) -> None:
        """An event at one end of something, in words of the caller's."""
        self.page.line(("dim", f"    {cause.seq:>6}  {self.time(cause.time)}  "), said)

    def _span(self, span: Span, what: str) -> None:
        if span.came is None:  # of very many the causes are not told
            what += f" from seq {span.born}{f' to {span.died - 1}' if span.died is not None else ' on'}"
        self.stretch(what, span.ns, span.died is not None, span.clock)
        if span.came is not None:
            self.cause(span.came)
        if span.went is not None:
            self.cause(span.went, span.died_time)
