"""``settings``: what was in force, and who asked for the change."""

from collections import Counter
from collections.abc import Sequence, Set
from typing import Any

from ezmsg.ledger.events import SettingsValue
from ezmsg.ledger.projections.graph.state import GraphState
from ezmsg.ledger.projections.questions.answers import (
    Cause,
    Likely,
    SettingChange,
    SettingDoubt,
    SettingHistory,
)
from ezmsg.ledger.projections.questions.moments.moments import Moment
from ezmsg.ledger.projections.questions.settings.stored_value import kept, parts
from ezmsg.ledger.projections.questions.timeline import Timeline
from ezmsg.ledger.projections.questions.value_comparison import alike_forms
from ezmsg.ledger.tools.exits import Misuse
from ezmsg.ledger.tools.input import options
from ezmsg.ledger.tools.input.arguments import taken_apart
from ezmsg.ledger.tools.input.location import asked_moment, opened
from ezmsg.ledger.tools.input.options import flag, option
from ezmsg.ledger.tools.output import Page, listed, table
from ezmsg.ledger.tools.text import names
from ezmsg.ledger.tools.text.documents import doubts_document, settings_document
from ezmsg.ledger.tools.text.phrases import EVERYTHING, how_text
from ezmsg.ledger.tools.text.setting_lines import REPLACED, change_values, origin
from ezmsg.ledger.tools.text.span_lines import SpanLines
from ezmsg.ledger.tools.text.value_text import (
    ITEMS_MAX,
    kept_text,
    misfit_text,
    settings_fields,
    settings_text,
    value_text,
)
from ezmsg.ledger.values import fields_of
from ezmsg.ledger.wording import count

LIKELY_MAX = 3
"""Publishers named as likely in a line."""

_USAGE = "ezmsg-ledger settings [LEDGER] [COMPONENT], such as: ezmsg-ledger settings run.ledger SYSTEM/AMP"


@options.words("[LEDGER] [COMPONENT]", "The ledger to read, and a component's address.")
@options.at("The moment to look at.")
@option("--field", metavar="NAME", help="Only this field of the component.")
@flag("--doubts", help="Where asked, answered and reported are not the same.")
@flag("--full", help="All fields, whole values (arrays with all their elements), and all nanoseconds.")
@options.json
def settings(words: Sequence[str], at: str, field: str | None, doubts: bool, full: bool, json: bool) -> None:
    """Lists the settings in force at a moment. With a component: every change of its settings up to then, from what to
    what, and who asked. A session that asked with a request is known. A message on the component's settings input is
    not: the publishers that could have sent it are named as likely, and no more.

    In force means: reported last. ezmsg reports settings when they arrive, and nobody tells what the unit makes of
    them. With --doubts: values that do not fit the component's schema, requests that were refused, and values that
    became others between asking, answering and reporting.

    Examples:
      ezmsg-ledger settings run.ledger --at mark:baseline
      ezmsg-ledger settings run.ledger SYSTEM/AMP.gain
    """
    page = Page()
    path, named = taken_apart(words, 0, 1, "one component at most", _USAGE)
    if field is not None and not named:
        raise Misuse("--field is one of a component", hint=_USAGE)
    with opened(path, page) as timeline:
        moment = asked_moment(timeline, at)
        state = timeline.at(moment)
        component, field = _asked(timeline, named[0], field) if named else (None, None)
        if doubts:
            _doubts(SpanLines(page, timeline, full), component, field, moment, json)
        elif json:
            page.document(settings_document(timeline, moment, component, field, whole=full))
        elif component is None:
            _print_all(page, moment, state, full)
        else:
            answer = timeline.setting(component, field, moment, whole=full)
            _print_one(SpanLines(page, timeline, full), state, answer)


def _asked(timeline: Timeline, name: str, field: str | None) -> tuple[str, str | None]:
    """The component and the field that are meant: ``UNIT.field`` is one name, where no component is called so."""
    known = timeline.subjects.components()
    if field is None and name not in known:
        for place in (place for place, character in enumerate(name) if character == "."):
            if name[:place] in known:
                return name[:place], name[place + 1 :]
    return name, field


def _doubts(lines: SpanLines, component: str | None, field: str | None, moment: Moment, json: bool) -> None:
    page, timeline = lines.page, lines.timeline
    found = [each for each in timeline.setting_doubts(component, moment) if field is None or each.field == field]
    if json:
        page.document(doubts_document(timeline, moment, found))
        return
    what = f" about {component}" if component is not None else ""
    page.line(("head", f"{count(len(found), 'doubt')}{what} up to seq {moment.seq}"), how_text(moment))
    for each in found:
        when = f"{each.seq:>7}  {lines.time(each.time)}  "
        name = f"{each.unit}.{each.field}" if each.field else each.unit
        page.line("  ", ("dim", when), ("warn", name), f" {doubt_text(each, whole=lines.full)}")
    if not found:
        page.line(("dim", "  which does not say that the units took what arrived: ezmsg tells nobody"))


def doubt_text(doubt: SettingDoubt, *, whole: bool = False) -> str:
    """The words for a doubt about a setting, with the values that are known of it."""
    asked, answered, reported = (
        value_text(each, whole=whole) for each in (doubt.asked, doubt.answered, doubt.reported)
    )
    match doubt.kind:
        case "misfit":
            return f"= {reported} does not fit its schema: {doubt.text}"
        case "refused":
            wanted = f"= {asked} " if doubt.field else ""
            return f"{wanted}was refused: {' '.join(doubt.text.split())}"
        case _:
            reported = f", reported {reported}" if doubt.kind == "other" else ""
            answer = "" if doubt.answered is None else f", answered {answered}"
            return f"{doubt.text}: asked {asked}{answer}{reported}"


def _print_all(page: Page, moment: Moment, state: GraphState, full: bool) -> None:
    page.line(("head", f"settings in force at seq {state.seq}"), how_text(moment))
    rows = []
    plain = 0
    for address, setting in state.settings.items():
        text = settings_text(setting.value, None if full else ITEMS_MAX, whole=full) + misfit_text(setting.value)
        if not text:
            plain += 1
            continue
        rows.append([address, text, names.source(state, setting), f"since seq {setting.since}"])
    for line in table(rows):
        page.line(f"  {line}")
    if plain:
        page.line(("dim", f"  {count(plain, 'component')} without settings"))
    if not state.settings:
        page.line("  none: no component is registered at this moment")


def _print_one(lines: SpanLines, state: GraphState, answer: SettingHistory) -> None:
    page, full = lines.page, lines.full
    setting, changes = state.settings.get(answer.unit), answer.changes
    text = "nothing is in force"
    if setting is not None and answer.field is not None:
        text = _field_text(setting.value, answer.field, full)
    elif setting is not None:
        text = (settings_text(setting.value, None, whole=full) or "no settings") + misfit_text(setting.value)
    page.line(("head", f"{answer.unit} at seq {state.seq}: {text}"))
    what = f"of {answer.field} " if answer.field is not None else ""
    how = Counter(change.how for change in changes)
    tally = f": {', '.join(f'{number} {each}' for each, number in how.items())}" if changes else ""
    page.line(f"{count(len(changes), 'change')} {what}up to then{tally}")
    begun = {life.born for life in lines.timeline.lifetimes.facts("setting", answer.unit)}
    lines.some(changes, lambda change: _tell_change(lines, change, answer, begun))


def _field_text(value: SettingsValue, field: str, full: bool) -> str:
    """``gain=2.0``: one field, or a field of one."""
    shown = parts(kept(value)).get(field) if settings_fields(value) is not None else None
    if shown is not None:
        return f"{field}={kept_text(shown, whole=full)}"
    form: Any = settings_fields(value)
    for part in field.split("."):
        fields = fields_of(form) if isinstance(form, dict) else {}
        if part not in fields:
            return f"no field {field}"
        form = fields[part]
    return f"{field}={value_text(form, whole=full)}"


def _tell_change(lines: SpanLines, change: SettingChange, answer: SettingHistory, begun: Set[int]) -> None:
    """``begun``: the seqs at which values of the unit came into force; one that ends there was followed by another."""
    page = lines.page
    _tell(lines, change.came, change_values(change, answer.field, lines.full), _origin(lines, change))
    if change.asked_by is not None:
        became = _on_the_way(change, lines.full)
        page.line(f"           asked for by session {change.label} (request {change.request}{became})")
    elif change.likely:
        most = EVERYTHING if lines.full else LIKELY_MAX
        page.line(f"           likely published by {listed(list(map(_likely, change.likely)), most)}")
    went = change.went
    if went is not None and went.kind not in REPLACED and went.seq not in begun and went.seq <= answer.moment.seq:
        _tell(lines, went, "no longer in force", f": {lines.past.tell(went)}")


def _on_the_way(change: SettingChange, whole: bool) -> str:
    """The value that a session asked for, in words, where another one was reported."""
    now = next((each.after for each in change.fields if each.path == change.asked_field), None)
    if alike_forms(now, change.asked):
        return ""
    asked, answered = value_text(change.asked, whole=whole), value_text(change.answered, whole=whole)
    return f", which was for {change.asked_field} = {asked}; answered {answered}"


def _tell(lines: SpanLines, cause: Cause, what: str, why: str) -> None:
    when = f"{cause.seq:>7}  {lines.time(cause.time)}  "
    lines.page.line("  ", ("dim", when), ("change", what), why)


def _origin(lines: SpanLines, change: SettingChange) -> str:
    """The origin of a value: a report of the process that runs the unit, or the event that left it with this one."""
    said = origin(lines, change.came)
    return f", {said}" if change.how in ("earlier", "updated") else f", {change.how}: {said}"


def _likely(publisher: Likely) -> str:
    unit = "" if publisher.unit is None else f" ({publisher.unit}, process {publisher.process})"
    return f"publisher {publisher.endpoint} of {publisher.topic}{unit if publisher.process is not None else ''}"
