"""Changes of a component's settings in lines: from what to what, and by which event."""

from ezmsg.ledger import events as ev
from ezmsg.ledger.projections.questions.answers import Cause, SettingChange
from ezmsg.ledger.tools.output import listed
from ezmsg.ledger.tools.text.phrases import LISTED_MAX
from ezmsg.ledger.tools.text.span_lines import SpanLines
from ezmsg.ledger.tools.text.value_text import arrow_text

REPLACED = ("replaced", "registered anew")
"""The reasons that end a value with another one in its place, which is told itself."""


_REPORT = ev.SettingsUpdated.__struct_config__.tag


def change_values(change: SettingChange, field: str | None, full: bool) -> str:
    """``gain 1.0 -> 2.0, rate = 40``: all that a change changed, or that of one field (a dotted path).

    Several fields that are gone are named by their names alone, unless in ``full``.
    """
    shown = [each for each in change.fields if field is None or f"{each.path}.".startswith(f"{field}.")]
    gone = [each.path for each in shown if each.missing == "after" and each.path]
    if full or len(gone) < 2:
        gone = []
    told = [arrow_text(each, whole=full) for each in shown if each.path not in gone]
    told += [f"no longer {listed(gone, LISTED_MAX)}"] if gone else []
    return ", ".join(told) or ("as they were" if change.before is not None else "no fields")


def origin(lines: SpanLines, cause: Cause) -> str:
    """The origin of a value, without the value: ``reported by process 8 (pid 7)``, or the event that left it."""
    return f"reported by {lines.past.reporter(cause)}" if cause.type == _REPORT else lines.past.tell(cause)
