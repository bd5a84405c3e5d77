"""``diff``: what changed between two moments."""

from typing import Annotated

import typer

from ezmsg.ledger.projections.clock import time_text
from ezmsg.ledger.projections.moments import Moment
from ezmsg.ledger.projections.state import GraphState
from ezmsg.ledger.projections.timeline import Timeline
from ezmsg.ledger.tools.comparison import Change, Comparison
from ezmsg.ledger.tools.documents import ledger_document, moment_document
from ezmsg.ledger.tools.location import opened
from ezmsg.ledger.tools.page import Page
from ezmsg.ledger.tools.words import taken_apart

ROWS_MAX = 40
"""Lines of one group, unless all are wanted."""

_TONES = {"+": "add", "-": "drop", "~": "change"}


def diff(
    words: Annotated[
        list[str], typer.Argument(metavar="[LEDGER] A B", help="The ledger to read, and two moments of it.")
    ],
    full: Annotated[bool, typer.Option("--full", help="Every line of every group.")] = False,
    json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Lists what came (+), what went (-) and what changed (~) from moment A to moment B: edges with their owners,
    sessions, components, settings field by field, processes, endpoints. B may be before A; then it tells the way back.

    Moments are those of `ezmsg-ledger show --help`.

    Examples:
      ezmsg-ledger diff -5m end
      ezmsg-ledger diff run.ledger mark:before mark:after
      ezmsg-ledger diff run.ledger 42 57 --json
    """
    page = Page()
    path, (a_text, b_text) = taken_apart(words, 2, 2, "two moments are needed", _USAGE)
    with opened(path, page) as source:
        timeline = Timeline(source)
        a, b = timeline.moment(a_text), timeline.moment(b_text)
        before, after = timeline.at(a), timeline.at(b)
        comparison = Comparison(before, after)
        if json:
            ends = {"a": moment_document(a), "b": moment_document(b), "same": not comparison}
            page.document({**ledger_document(timeline), **ends, **comparison.document()})
        else:
            page.line(("head", f"from {_moment(a, before, timeline)}"))
            page.line(("head", f"  to {_moment(b, after, timeline)}"))
            _print(page, comparison, full)
        if before.unknown or after.unknown:
            page.note("events of unknown types were passed over: this may be incomplete. Upgrade ezmsg-ledger")


_USAGE = "ezmsg-ledger diff [LEDGER] A B, such as: ezmsg-ledger diff run.ledger -5m end"


def _moment(moment: Moment, state: GraphState, timeline: Timeline) -> str:
    how = "" if moment.how == f"seq {moment.seq}" else f" ({moment.how})"
    when = f", {time_text(state.time, timeline.zone)}" if state.seq else ""
    return f"seq {moment.seq}{when}{how}"


def _print(page: Page, comparison: Comparison, full: bool) -> None:
    if not comparison:
        page.line()
        page.line("no difference")
    for title, changes in comparison.groups():
        page.line()
        page.line(("head", title))
        shown = changes if full or len(changes) <= ROWS_MAX + 1 else changes[:ROWS_MAX]
        for change in shown:
            page.line("  ", (_TONES[change.sign], _line(change)))
        if len(shown) < len(changes):
            page.line(("dim", f"  ... {len(changes) - len(shown)} more (--full)"))


def _line(change: Change) -> str:
    return f"{change.sign} {change.text}"
