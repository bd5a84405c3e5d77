"""``path``: when messages could get from one topic to another."""

from collections.abc import Sequence

from ezmsg.ledger.projections.questions.answers import Path
from ezmsg.ledger.projections.questions.moments.times import span_text
from ezmsg.ledger.tools.input import options
from ezmsg.ledger.tools.input.arguments import taken_apart
from ezmsg.ledger.tools.input.location import asked_moment, opened
from ezmsg.ledger.tools.input.options import flag
from ezmsg.ledger.tools.output import Page, listed
from ezmsg.ledger.tools.text.documents import answer_document
from ezmsg.ledger.tools.text.phrases import EVERYTHING
from ezmsg.ledger.tools.text.span_lines import SHOWN_MAX, SpanLines
from ezmsg.ledger.wording import count

_USAGE = "ezmsg-ledger path [LEDGER] FROM TO, such as: ezmsg-ledger path run.ledger SYSTEM/AMP/OUT SYSTEM/LOG/IN"


@options.words("[LEDGER] FROM TO", "The ledger, and two topics.")
@options.at("Up to this moment.")
@flag("--through-units", help="On from what a unit subscribes to, to what it publishes then.")
@flag("--full", help="All spans and edges, and all nanoseconds.")
@options.json
def path(words: Sequence[str], at: str, through_units: bool, full: bool, json: bool) -> None:
    """Says when there was a way for messages from one topic to another over edges, which one, how often it broke, who
    broke it, and how long it was there in all. A unit takes messages from one topic and publishes others: with
    --through-units the way goes on there.

    Examples:
      ezmsg-ledger path run.ledger SYSTEM/SOURCE/OUT SYSTEM/AMP/IN
      ezmsg-ledger path run.ledger SYSTEM/AMP/OUT SCOPE/COPY --at mark:baseline
    """
    page = Page()
    path_, asked = taken_apart(words, 2, 2, "two topics are needed", _USAGE)
    with opened(path_, page) as timeline:
        moment = asked_moment(timeline, at)
        answer = timeline.path(asked[0], asked[1], moment, through_units=through_units)
        if json:
            page.document(answer_document(timeline, answer))
        else:
            _print(SpanLines(page, timeline, full), answer)


def _print(lines: SpanLines, answer: Path) -> None:
    page = lines.page
    state = "there is a way" if answer.steps else "there is no way"
    page.line(("head", f"at seq {answer.moment.seq} {state} from {answer.a} to {answer.b}"))
    if answer.spans:
        times, breaks = count(len(answer.spans), "time"), count(answer.broken, "time")
        page.line(f"it was there {times}, broke {breaks}, for {span_text(answer.ns)} in all")
    lines.spans(answer.spans, lambda span: " -> ".join(span.topics))
    if answer.cut_edges:
        page.line(f"what went last: {listed(answer.cut_edges, EVERYTHING if lines.full else SHOWN_MAX)}")
    if not answer.spans:
        page.line(_elsewhere(lines, answer))


def _elsewhere(lines: SpanLines, answer: Path) -> str:
    """The way that there was instead, when there was none up to the moment: later, through units, or back."""
    timeline = lines.timeline
    a, b, moment = answer.a, answer.b, answer.moment
    before = "nor was there ever one" if moment.seq == timeline.ledger.head else "nor was there one before"
    later = timeline.path(a, b, through_units=answer.through_units).spans
    if later:
        return f"{before}; it came at seq {later[0].born}, {lines.time(later[0].born_time)}"
    if not answer.through_units and timeline.path(a, b, moment, through_units=True).spans:
        return f"{before} over edges alone; there was through units (--through-units)"
    if timeline.path(b, a, moment, through_units=answer.through_units).spans:
        return f"{before}; there was the other way round, from {b} to {a}"
    return f"{before}; what leads to {b}, or led there, and what cut it: ezmsg-ledger explain {b}"
