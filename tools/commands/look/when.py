"""``when``: since when something is so, and how often that changed."""

from collections.abc import Sequence

from ezmsg.ledger.projections.questions.answers import When
from ezmsg.ledger.projections.questions.moments.times import span_text
from ezmsg.ledger.projections.questions.predicates import Predicate, Setting, named_fields, parse
from ezmsg.ledger.tools.input import options
from ezmsg.ledger.tools.input.arguments import taken_apart
from ezmsg.ledger.tools.input.location import asked_moment, opened
from ezmsg.ledger.tools.input.options import flag
from ezmsg.ledger.tools.output import Page, listed
from ezmsg.ledger.tools.text.documents import answer_document
from ezmsg.ledger.tools.text.phrases import EVERYTHING, how_text
from ezmsg.ledger.tools.text.span_lines import SpanLines
from ezmsg.ledger.tools.text.value_text import value_text
from ezmsg.ledger.wording import count

VALUES_MAX = 5
"""Values of a setting that are named."""

_USAGE = "ezmsg-ledger when [LEDGER] PREDICATE, such as: ezmsg-ledger when run.ledger 'SYSTEM/AMP.gain > 1'"


@options.words("[LEDGER] PREDICATE", "The ledger, and what is to be true.")
@options.at("Up to this moment.")
@flag("--full", help="All spans, whole values, and all nanoseconds.")
@options.json
def when(words: Sequence[str], at: str, full: bool, json: bool) -> None:
    """Finds the spans in which a predicate was true: when it first became so, when that last changed, and who did it.

    A predicate is one argument: 'edge A -> B', 'path A -> B', 'session S', 'setting SYSTEM/AMP.gain == 2.0' (a JSON
    value: 2 is 2.0, but true is not 1; also != < <= > >=), 'topic T', 'component C', 'unit U', 'publisher T',
    'subscriber T', 'stalled T', 'paused', 'edges >= 7' (also topics, sessions, processes, components, publishers,
    subscribers); joined by and, or, not and parentheses. 'edge' and 'setting' can be left out.

    Examples:
      ezmsg-ledger when run.ledger 'SYSTEM/AMP.gain > 1'
      ezmsg-ledger when run.ledger 'session viewer and not SYSTEM/FILTER/OUT -> VIEWER/IN'
    """
    page = Page()
    path, asked = taken_apart(words, 1, 1, "a predicate is needed, as one argument", _USAGE)
    predicate = parse(asked[0])
    with opened(path, page) as timeline:
        answer = timeline.when(predicate, asked_moment(timeline, at), causes=True)
        if json:
            page.document(answer_document(timeline, answer))
        else:
            _print(SpanLines(page, timeline, full, named_fields(predicate)), answer, predicate)


def _print(lines: SpanLines, answer: When, predicate: Predicate) -> None:
    page, moment = lines.page, answer.moment
    truth = "true" if answer.now else "false"
    page.line(("head", answer.predicate), f" is {truth} at seq {moment.seq}{how_text(moment)}")
    if not answer.spans:
        page.line(_never(lines, answer, predicate))
        return
    first = answer.spans[0]
    changed = f"; last changed at seq {answer.last}" if answer.last is not None else ""
    page.line(f"first true at seq {first.born}, {lines.time(first.born_time)}{changed}")
    page.line(f"true {count(len(answer.spans), 'time')}, for {span_text(answer.ns)} in all")
    lines.spans(answer.spans, lambda span: "true")


def _never(lines: SpanLines, answer: When, predicate: Predicate) -> str:
    """A sentence on a predicate that was never true up to the moment: when it became so, or what was so instead."""
    timeline = lines.timeline
    later = timeline.when(predicate).spans if answer.moment.seq < timeline.ledger.head else []
    if later:
        return f"it never was true before; it became so at seq {later[0].born}, {lines.time(later[0].born_time)}"
    if isinstance(predicate, Setting):
        field = ".".join(predicate.field)
        fields = [each for change in timeline.setting(predicate.unit).changes for each in change.fields]
        texts = (value_text(each.after, whole=lines.full) for each in fields if each.path == field)
        if values := list(dict.fromkeys(texts)):
            return f"it never was; its values were {listed(values, EVERYTHING if lines.full else VALUES_MAX)}"
    return "it never was true"
