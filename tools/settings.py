"""``settings``: what was in force, and who asked for the change."""

from collections import Counter
from typing import Annotated

import typer

from ezmsg.ledger.projections.clock import time_text
from ezmsg.ledger.projections.moments import Moment
from ezmsg.ledger.projections.state import GraphState
from ezmsg.ledger.projections.subjects import near
from ezmsg.ledger.projections.timeline import Timeline
from ezmsg.ledger.tools import names
from ezmsg.ledger.tools.documents import ledger_document, moment_document, setting_document
from ezmsg.ledger.tools.exits import Misuse
from ezmsg.ledger.tools.known import known
from ezmsg.ledger.tools.lives import asked_moment
from ezmsg.ledger.tools.location import opened
from ezmsg.ledger.tools.page import Page, count, listed, table
from ezmsg.ledger.tools.settings_changes import FieldChange, LikelyPublisher, SettingsChange, settings_changes
from ezmsg.ledger.tools.wording import settings_text, value_text
from ezmsg.ledger.tools.words import taken_apart

LIKELY_MAX = 3
"""Publishers named as likely in a line."""

_USAGE = "ezmsg-ledger settings [LEDGER] [COMPONENT], such as: ezmsg-ledger settings run.ledger SYSTEM/AMP"


def settings(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[LEDGER] [COMPONENT]", help="The ledger to read, and a component's address.", show_default=False
        ),
    ] = None,
    at: Annotated[str, typer.Option(metavar="MOMENT", help="The moment to look at.")] = "end",
    field: Annotated[str | None, typer.Option(metavar="NAME", help="Only this field of the component.")] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Lists the settings in force at a moment. With a component: every change of its settings up to then, from what to
    what, and who asked. A session that asked with a request is known. A message on the component's settings input is
    not: the publishers that could have sent it are named as likely, and no more.

    Examples:
      ezmsg-ledger settings run.ledger --at mark:baseline
      ezmsg-ledger settings run.ledger SYSTEM/AMP --field gain
    """
    page = Page()
    path, named = taken_apart(words or [], 0, 1, "one component at most", _USAGE)
    if field is not None and not named:
        raise Misuse("--field is one of a component", hint=_USAGE)
    with opened(path, page) as source:
        timeline = Timeline(source)
        moment = asked_moment(timeline, at)
        state = timeline.at(moment)
        component = named[0] if named else None
        changes = _changes(timeline, component, field, moment.seq) if component is not None else []
        if json:
            shown = state.settings if component is None else {component: state.settings.get(component)}
            page.document(
                {
                    **ledger_document(timeline),
                    "moment": moment_document(moment),
                    "in_force": {name: each and setting_document(state, each) for name, each in shown.items()},
                    "changes": [change.to_dict() for change in changes],
                }
            )
        elif component is None:
            _print_all(page, timeline, moment, state)
        else:
            _print_one(page, timeline, state, component, field, changes)
        if timeline.damage is not None:
            raise timeline.damage


def _changes(timeline: Timeline, component: str, field: str | None, until: int) -> list[SettingsChange]:
    found = settings_changes(timeline, component)
    if not found:
        there = known(timeline.ledger)
        if component in there.components:
            return []
        raise there.missing("component", component, there.components)
    if field is not None:
        fields = [each.field for change in found for each in change.fields]
        if field not in fields:
            raise Misuse(f"{component} has no field {field!r}", hint=near(field, fields))
        found = [change for change in found if any(each.field == field for each in change.fields)]
    return [change for change in found if change.seq <= until]


def _print_all(page: Page, timeline: Timeline, moment: Moment, state: GraphState) -> None:
    how = "" if moment.how == f"seq {moment.seq}" else f" ({moment.how})"
    page.line(("head", f"settings in force at seq {state.seq}"), how)
    rows = []
    plain = 0
    for address, setting in state.settings.items():
        text = settings_text(setting.value)
        if not text:
            plain += 1
            continue
        source = "initial" if setting.process is None else f"reported by {names.process(state, setting.process)}"
        rows.append([address, text, source, f"since seq {setting.since}"])
    for line in table(rows):
        page.line(f"  {line}")
    if plain:
        page.line(("dim", f"  {count(plain, 'component')} without settings"))
    if not state.settings:
        page.line("  none: no component is registered at this moment")


def _print_one(
    page: Page, timeline: Timeline, state: GraphState, component: str, field: str | None, changes: list[SettingsChange]
) -> None:
    setting = state.settings.get(component)
    text = "nothing is in force" if setting is None else settings_text(setting.value, None) or "no settings"
    page.line(("head", f"{component} at seq {state.seq}: {text}"))
    what = f"of {field} " if field is not None else ""
    how = Counter(change.how for change in changes)
    tally = f": {', '.join(f'{number} {each}' for each, number in how.items())}" if changes else ""
    page.line(f"{count(len(changes), 'change')} {what}up to then{tally}")
    for change in changes:
        when = f"{change.seq:>7}  {time_text(change.time, timeline.zone)}  "
        page.line("  ", ("dim", when), ("change", _values(change, field)), f", {_HOW[change.how]} {change.by}")
        if change.asked_by is not None:
            asked = change.asked_by
            page.line(f"           asked for by {asked.name} (request {asked.request})")
        elif change.likely:
            shown = listed([_likely(timeline, each) for each in change.likely], LIKELY_MAX)
            page.line(f"           likely published by {shown}")


_HOW = {
    "registered": "registered by",
    "reported": "reported by",
    "fell back": "fell back at the end of",
    "removed": "removed with",
}


def _values(change: SettingsChange, field: str | None) -> str:
    fields = [each for each in change.fields if field in (None, each.field)]
    return ", ".join(_value(change, each) for each in fields) or "no fields"


def _value(change: SettingsChange, each: FieldChange) -> str:
    name = f"{each.field} " if each.field else ""
    if change.how == "removed":
        return f"{name}{value_text(each.before)} -> nothing"
    if each.before is None and change.how == "registered":
        return f"{name}= {value_text(each.after)}".strip()
    return f"{name}{value_text(each.before)} -> {value_text(each.after)}"


def _likely(timeline: Timeline, publisher: LikelyPublisher) -> str:
    where = f" ({publisher.unit}, process {publisher.process})" if publisher.process is not None else ""
    return publisher.name + where
