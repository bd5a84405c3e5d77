"""``explain``: why a subscriber receives nothing."""

from collections.abc import Sequence

from ezmsg.ledger.projections.graph.state import GraphState
from ezmsg.ledger.projections.questions.answers import Explanation, Upstream
from ezmsg.ledger.tools.input import options
from ezmsg.ledger.tools.input.arguments import taken_apart
from ezmsg.ledger.tools.input.location import asked_moment, opened
from ezmsg.ledger.tools.input.options import flag
from ezmsg.ledger.tools.output import Page, listed
from ezmsg.ledger.tools.text import names
from ezmsg.ledger.tools.text.documents import answer_document
from ezmsg.ledger.tools.text.phrases import EVERYTHING, how_text, loop_text
from ezmsg.ledger.tools.text.span_lines import SpanLines

LISTED_MAX = 5
"""Subscribers or publishers that a line names."""

UPSTREAM_MAX = 10
"""Topics upstream that are listed; ``--full`` has all that were looked at."""

_USAGE = "ezmsg-ledger explain [LEDGER] TOPIC, such as: ezmsg-ledger explain run.ledger SYSTEM/AMP/IN"


@options.words("[LEDGER] TOPIC", "The ledger, and the subscriber's topic.")
@options.at("The moment to ask about.")
@flag("--full", help="Every topic upstream that was looked at (50 at most), and all nanoseconds.")
@options.json
def explain(words: Sequence[str], at: str, full: bool, json: bool) -> None:
    """Looks at all that could stand between a subscriber and its messages, and gives the reasons, the likeliest first:
    nobody subscribes; the graph is paused; the subscriber is stalled; the path from a publisher was cut, and by whom;
    there never was one; no publisher is open upstream.

    Whether a publisher publishes is not recorded: messages never pass the graph server.

    Examples:
      ezmsg-ledger explain run.ledger SYSTEM/AMP/IN --at mark:baseline
      ezmsg-ledger explain run.ledger VIEWER/IN
    """
    page = Page()
    path, asked = taken_apart(words, 1, 1, "a topic is needed", _USAGE)
    with opened(path, page) as timeline:
        moment = asked_moment(timeline, at)
        answer = timeline.explain(asked[0], moment)
        if json:
            page.document(answer_document(timeline, answer))
        else:
            _print(SpanLines(page, timeline, full), answer)


def _print(lines: SpanLines, answer: Explanation) -> None:
    page, timeline = lines.page, lines.timeline
    state = timeline.at(answer.moment)
    moment = answer.moment
    page.line(("head", f"{answer.topic} at seq {moment.seq}{how_text(moment)}"))
    for reason in answer.reasons:
        page.line("  ", ("bad", _reworded(reason, answer, lines)))
    for life in [*answer.stalled, *([answer.paused] if answer.paused is not None else [])]:
        lines.cause(life.came)
    if not answer.reasons:
        page.line("  ", ("add", "nothing in the graph is in the way"), ": see whether the publishers publish")
    for loop in answer.loops:
        page.line("  ", ("warn", loop_text(loop)))
    most = EVERYTHING if lines.full else LISTED_MAX
    shown = listed([names.endpoint(state, key) for key in answer.subscribers], most)
    page.line(f"subscribers: {shown or 'none'}")
    page.line("upstream:" if answer.upstream else "upstream: nothing")
    upstream = answer.upstream if lines.full else answer.upstream[:UPSTREAM_MAX]
    for each in upstream:
        page.line(f"  {_upstream(each, state, most)}")
        if each.cut is not None:
            lines.cause(each.cut)
    if len(answer.upstream) > len(upstream):
        page.line(("dim", f"  ... {len(answer.upstream) - len(upstream)} more (--full)"))
    if answer.moment.seq < timeline.ledger.head:
        now = timeline.explain(answer.topic)
        leads = [each.topic for each in now.upstream if each.reaches and each.publishers]
        page.line(f"now, at seq {now.moment.seq}, messages can come from: {listed(leads, most) or 'nowhere'}")


def _reworded(reason: str, answer: Explanation, lines: SpanLines) -> str:
    """A reason, with the event in it in the words of all other commands; ``--json`` keeps those of the library."""
    causes = [each.cut for each in answer.upstream if each.cut is not None]
    causes += [answer.paused.came] if answer.paused is not None else []
    for cause in causes:
        for before, after in ((f"seq {cause.seq}: ", ""), (f"seq {cause.seq} (", ")")):
            reason = reason.replace(f"{before}{cause.text}{after}", f"{before}{lines.past.tell(cause)}{after}")
    return reason


def _upstream(each: Upstream, state: GraphState, most: int) -> str:
    there = listed([names.endpoint(state, key) for key in each.publishers], most)
    publishers = there or ("its publisher is gone" if each.published else "it never had a publisher")
    path = "leads here" if each.reaches else "no longer leads here"
    return f"{each.topic} {path}: {publishers}"
