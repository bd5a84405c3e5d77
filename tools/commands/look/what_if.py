"""``what-if``: the graph without one session."""

from collections.abc import Sequence
from typing import Any

import msgspec

from ezmsg.ledger.projections.lifetimes.spans import densest
from ezmsg.ledger.projections.questions.answers import Without
from ezmsg.ledger.projections.questions.moments.times import time_text
from ezmsg.ledger.projections.questions.timeline import Timeline
from ezmsg.ledger.tools.input import options
from ezmsg.ledger.tools.input.arguments import taken_apart
from ezmsg.ledger.tools.input.location import asked_moment, opened
from ezmsg.ledger.tools.input.options import flag
from ezmsg.ledger.tools.output import Page
from ezmsg.ledger.tools.text.comparison import ROWS_MAX, Comparison, print_changes
from ezmsg.ledger.tools.text.documents import Document, answer_document
from ezmsg.ledger.tools.text.phrases import how_text
from ezmsg.ledger.tools.text.session_story import find_session

_USAGE = "ezmsg-ledger what-if [LEDGER] SESSION, such as: ezmsg-ledger what-if run.ledger viewer"


@options.words("[LEDGER] SESSION", "The ledger, and a session of it.")
@options.at("The moment to compare at; by default when it last held most.", default=None)
@flag("--full", help="Every line of every group, values and lists uncut, and all nanoseconds.")
@options.json
def what_if(words: Sequence[str], at: str | None, full: bool, json: bool) -> None:
    """Takes all that one session did out of the history, and shows what would be otherwise: edges that nobody else
    held, components and settings that nobody else registered. What others did stays as it was decided, and is not
    decided anew; where that might have gone otherwise, it is listed.

    Examples:
      ezmsg-ledger what-if run.ledger viewer
      ezmsg-ledger what-if run.ledger 2 --at mark:baseline
    """
    page = Page()
    path, asked = taken_apart(words, 1, 1, "a session is needed", _USAGE)
    with opened(path, page) as timeline:
        if json:
            page.document(what_if_document(timeline, asked[0], at))
        else:
            answer, comparison = _without(timeline, asked[0], at, full)
            _print(page, timeline, answer, comparison, "" if at is not None else " (when it last held most)", full)


def what_if_document(timeline: Timeline, name: str, at: str | None = None) -> Document:
    """The document of ``what-if --json``. ``at``: by default when the session last held most."""
    answer, comparison = _without(timeline, name, at)
    differences: Any = msgspec.to_builtins(comparison.document())
    return {**answer_document(timeline, answer), "differences": differences}


def _without(timeline: Timeline, name: str, at: str | None, whole: bool = False) -> tuple[Without, Comparison]:
    session = find_session(timeline, name).seq
    moment = asked_moment(timeline, at if at is not None else str(fullest(timeline, session)))
    answer = timeline.without(session, moment)
    return answer, Comparison(timeline.at(moment), answer.state, whole)


def fullest(timeline: Timeline, session: int) -> int:
    """The last seq at which a session had most of what it ever had, edges and components: before it let go of them.

    Of one that never had anything the last one before its end. Cost: O(holds) of the whole history.
    """
    lifetimes = timeline.lifetimes
    had = [(hold.born, hold.died) for hold in lifetimes.holds_of(session)]
    had += [(fact.born, fact.died) for fact in lifetimes.facts("component") if fact.value == session]
    had = had or [(fact.born, fact.died) for fact in lifetimes.facts("session", session)]
    found = densest(had)
    return lifetimes.seq if found is None else min(found[1] - 1, lifetimes.seq)


def _print(page: Page, timeline: Timeline, answer: Without, comparison: Comparison, chosen: str, full: bool) -> None:
    moment = answer.moment
    when = f"{time_text(moment.time, timeline.zone, 9 if full else 3)}{chosen or how_text(moment)}"
    page.line(("head", f"without session {answer.label}, at seq {moment.seq}, {when}"))
    print_changes(page, comparison, None if full else ROWS_MAX, "--full")
    if not comparison:
        why = "had let go of all by then" if answer.events else f"connected only later, at seq {answer.session}"
        page.line(f"the graph would be the same: this session {why}; leave --at out for when it held most")
    if answer.doubts:
        page.line()
        page.line(("head", "might have gone otherwise"))
    for doubt in answer.doubts:
        page.line(("dim", f"  {doubt.seq:>6}  "), doubt.text)
