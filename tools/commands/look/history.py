"""``history``: all that something ever was."""

from collections.abc import Sequence

from ezmsg.ledger.projections.questions.answers import Life, Placement, SettingChange, Stay
from ezmsg.ledger.projections.questions.moments.times import span_text
from ezmsg.ledger.tools.commands.look.why import subject_text, tell
from ezmsg.ledger.tools.input import options
from ezmsg.ledger.tools.input.arguments import taken_apart
from ezmsg.ledger.tools.input.location import asked_moment, opened
from ezmsg.ledger.tools.input.options import flag
from ezmsg.ledger.tools.output import Page
from ezmsg.ledger.tools.text.documents import history_documents, stay_changes
from ezmsg.ledger.tools.text.setting_lines import change_values
from ezmsg.ledger.tools.text.span_lines import SHOWN_MAX, SpanLines
from ezmsg.ledger.tools.text.value_text import ITEMS_MAX, settings_text
from ezmsg.ledger.wording import count

_USAGE = "ezmsg-ledger history [LEDGER] FROM TO, such as: ezmsg-ledger history run.ledger unit SYSTEM/AMP"


@options.words("[LEDGER] FROM TO", "The ledger, and an edge; or KIND NAME.")
@flag("--full", help="All lives, whole values and lists, and all nanoseconds.")
@options.json
def history(words: Sequence[str], full: bool, json: bool) -> None:
    """Tells all holds on an edge, by whom, from when to when, and how each began and ended; or the same of a topic T,
    session S, setting UNIT (what changed each time), process ID or endpoint ID. Of a unit: every process that ran it,
    on which host, what changed in its settings there, and when it moved.

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
            before, lives, after = history_documents(timeline, subject, end)
            page.document_in_turn(before, "lives", lives, after)
            return
        answer = timeline.history(subject, None if full else SHOWN_MAX)
        kind, _, unit = answer.subject.partition(" ")
        lines = SpanLines(page, timeline, full)
        times = count(len(answer.spans), "time")
        page.line(("head", answer.subject), f" was there {times}, for {span_text(answer.ns)} in all")
        if kind == "unit":
            _print_stays(lines, timeline.placement(unit, end), stay_changes(timeline, unit, end, whole=full))
            return
        changes = timeline.setting(unit, None, end, whole=full).changes if kind == "setting" else []
        changed = {change.seq: change_values(change, None, full) for change in changes}

        def tell_life(life: Life) -> None:
            tell(lines, life, end, answer.subject, changed.get(life.born))

        lines.some(answer.lives, tell_life, answer.left_out)


def _print_stays(lines: SpanLines, placement: Placement, changes: list[list[SettingChange]]) -> None:
    moves = placement.moves
    lines.page.line(f"it moved {count(moves, 'time')}" if moves else "it never moved")
    lines.some(
        list(zip(placement.stays, changes, strict=True)),
        lambda stay: _print_stay(lines, placement.unit, *stay),
    )


def _print_stay(lines: SpanLines, unit: str, stay: Stay, changes: list[SettingChange]) -> None:
    page = lines.page
    where = f" on {stay.host}" if stay.host is not None else ""
    pid = f" (pid {stay.pid})" if stay.pid is not None else ""
    page.line("  ", ("add" if stay.went is None else "dim", f"in process {stay.process}{pid}{where}"))
    lines.cause(stay.came)
    setting = lines.timeline.at(stay.born).settings.get(unit)
    text = "" if setting is None else settings_text(setting.value, None if lines.full else ITEMS_MAX, whole=lines.full)
    if text:
        page.line(f"            with {text}")
    lines.some(changes, lambda change: lines.deed(change.came, change_values(change, None, lines.full)))
    if stay.went is not None:
        lines.cause(stay.went)
