"""``history``: all that something ever was."""

from collections.abc import Sequence
from itertools import pairwise

from ezmsg.ledger.projections.questions.answers import Life, Placement, Stay
from ezmsg.ledger.projections.questions.moments.times import span_text
from ezmsg.ledger.tools.commands.look.why import subject_text, tell, value_of
from ezmsg.ledger.tools.input import options
from ezmsg.ledger.tools.input.arguments import taken_apart
from ezmsg.ledger.tools.input.location import asked_moment, opened
from ezmsg.ledger.tools.output import Page, count, listed
from ezmsg.ledger.tools.text.documents import history_document
from ezmsg.ledger.tools.text.phrases import LISTED_MAX
from ezmsg.ledger.tools.text.span_lines import SpanLines
from ezmsg.ledger.tools.text.value_text import change_text, settings_change

_USAGE = "ezmsg-ledger history [LEDGER] FROM TO, such as: ezmsg-ledger history run.ledger unit SYSTEM/AMP"


@options.words("[LEDGER] FROM TO", "The ledger, and an edge; or KIND NAME.")
@options.json
def history(words: Sequence[str], json: bool) -> None:
    """Tells all holds on an edge, by whom, from when to when, and how each began and ended; or the same of a topic T,
    session S, setting UNIT (what changed each time), process ID or endpoint ID. Of a unit: every process that ran it,
    on which host, and when it moved.

    Examples:
      ezmsg-ledger history run.ledger unit SYSTEM/AMP
      ezmsg-ledger history run.ledger SYSTEM/SOURCE/OUT SYSTEM/AMP/IN
    """
    page = Page()
    path, asked = taken_apart(words, 1, 2, "an edge, or a kind and a name, is needed", _USAGE)
    with opened(path, page) as timeline:
        end = asked_moment(timeline, "end")
        subject = subject_text(asked)
        if json:
            page.document(history_document(timeline, subject, end))
            return
        answer = timeline.history(subject)
        kind, _, unit = subject.partition(" ")
        placement = timeline.placement(unit, end) if kind == "unit" else None
        lines = SpanLines(page, timeline)
        times = count(len(answer.spans), "time")
        page.line(("head", answer.subject), f" was there {times}, for {span_text(answer.ns)} in all")
        if placement is not None:
            _print_stays(lines, placement)
        else:
            changed = _changes(answer.lives)
            lines.some(answer.lives, lambda life: tell(lines, life, end, answer.subject, changed.get(life.born)))


def _changes(lives: Sequence[Life]) -> dict[int, str]:
    """Of lives of a setting, what each changed in the one before, by the seq of its birth."""
    settings = [life for life in lives if life.kind == "setting"]
    found = {}
    for before, life in pairwise(settings):
        changes = [change_text(change) for change in settings_change(value_of(before), value_of(life))]
        found[life.born] = listed(changes, LISTED_MAX) or "as before"
    return found


def _print_stays(lines: SpanLines, placement: Placement) -> None:
    lines.page.line(f"it moved {count(placement.moves, 'time')}")
    lines.some(placement.stays, lambda stay: _print_stay(lines, stay))


def _print_stay(lines: SpanLines, stay: Stay) -> None:
    where = f" on {stay.host}" if stay.host is not None else ""
    pid = f" (pid {stay.pid})" if stay.pid is not None else ""
    lines.page.line("  ", ("add" if stay.went is None else "dim", f"in process {stay.process}{pid}{where}"))
    for cause in (stay.came, stay.went):
        if cause is not None:
            lines.cause(cause)
