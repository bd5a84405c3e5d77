"""Values and settings as people would write them, from the forms in which the ledger keeps them."""

import json
from collections.abc import Collection, Sequence
from typing import NamedTuple

from msgspec import UNSET

from ezmsg.ledger.errors import InvalidValue
from ezmsg.ledger.events import SettingsValue
from ezmsg.ledger.projections.questions.answers import FieldChange
from ezmsg.ledger.projections.questions.settings.schema import value_misfits
from ezmsg.ledger.projections.questions.settings.stored_value import Kept, changes, kept, parts, whole_change
from ezmsg.ledger.tools.output import listed
from ezmsg.ledger.values import Form, fields_of, is_map, is_structured, items_of, pairs_of, plain_of, tag_of, thaw
from ezmsg.ledger.wording import count

TEXT_MAX = 60
"""Characters of one value in a sentence; `--full` and `--json` have all of it."""

ITEMS_MAX = 6
"""Items of one list, or fields of one settings object, in a sentence."""

DEPTH_MAX = 3
"""Levels of nesting in a sentence."""


class _Limits(NamedTuple):
    """How much of a value is written: characters of a text, items of a list, levels of nesting. None: all."""

    text: int | None
    items: int | None
    depth: int | None


_SHORT, _WHOLE = _Limits(TEXT_MAX, ITEMS_MAX, DEPTH_MAX), _Limits(None, None, None)


def value_text(form: Form, *, whole: bool = False) -> str:
    """A value form in a few words, cut at TEXT_MAX characters; or the ``whole`` of it. Cost: O(what is shown)."""
    limits = _WHOLE if whole else _SHORT
    try:
        text = _text(form, 0, limits)
    except (KeyError, TypeError, ValueError, InvalidValue):  # not a value form, or of a tag of a newer version
        text = json.dumps(form)
    return text if limits.text is None or len(text) <= limits.text else text[: limits.text - 3] + "..."


def _text(form: Form, depth: int, limits: _Limits) -> str:
    tag = tag_of(form)
    if isinstance(form, str):
        shown = form if limits.text is None or len(form) <= limits.text else form[: limits.text] + "..."
        return json.dumps(shown, ensure_ascii=False)
    if tag in ("f", "i"):
        return str(thaw(form))
    if tag == "b":
        return f"<{count(len(thaw(form)), 'byte')}>" if limits is _SHORT else repr(thaw(form))
    if tag == "s":
        return "<text that is not Unicode>" if limits is _SHORT else json.dumps(thaw(form))
    if tag == "o":
        plain = plain_of(form)
        return plain if isinstance(plain, str) else _text(plain, depth, limits)
    if is_map(form):
        keys = ((key if tag == "" else _text(key, depth + 1, limits), item) for key, item in pairs_of(form))
        return _fields(dict(keys), depth, limits, "{", ": ", "}")
    if is_structured(form):
        return _fields(fields_of(form), depth, limits, f"{tag}(", "=", ")")
    if tag or isinstance(form, list):
        begin, end = {"": ("[", "]"), "t": ("(", ")")}.get(tag, ("{", "}"))
        return f"{begin}{_items(items_of(form), depth, limits)}{end}"
    return repr(form)


def _items(items: list[Form], depth: int, limits: _Limits) -> str:
    if limits.depth is not None and depth >= limits.depth:
        return "..."
    shown = [_text(item, depth + 1, limits) for item in items[: limits.items]]
    return ", ".join(shown) + (f", ... {len(items)} in all" if len(items) > len(shown) else "")


def _fields(fields: dict[str, Form], depth: int, limits: _Limits, begin: str, joint: str, end: str) -> str:
    if limits.depth is not None and depth >= limits.depth:
        return f"{begin}...{end}"
    shown = [f"{name}{joint}{_text(item, depth + 1, limits)}" for name, item in list(fields.items())[: limits.items]]
    more = f", ... {len(fields)} in all" if len(fields) > len(shown) else ""
    return begin + ", ".join(shown) + more + end


# --- settings --------------------------------------------------------------------------------------------------------


def settings_fields(value: SettingsValue) -> dict[str, Form] | None:
    """The fields of a settings value by name; None when it has no such structure."""
    for form in (value.structured_value, value.repr_value):
        if is_map(form) and not tag_of(form):
            return fields_of(form)
    return None


def settings_text(
    value: SettingsValue, most: int | None = ITEMS_MAX, *, whole: bool = False, only: Collection[str] | None = None
) -> str:
    """``gain=2.0, mode="fast"``: all of a settings value; "" when it has no fields. ``most`` fields (None: all).

    An array tells its kind and first elements; with ``whole``, all of them. ``only`` fields of these names, where the
    value has any of them.
    """
    if settings_fields(value) is None:
        return "" if value.repr_value in (None, "") else value_text(kept(value).form, whole=whole)
    fields = parts(kept(value))
    fields = {name: item for name, item in fields.items() if only is not None and name in only} or fields
    shown = [f"{name}={kept_text(item, whole=whole)}" for name, item in list(fields.items())[:most]]
    return ", ".join(shown) + (f", ... {len(fields)} fields in all" if most is not None and len(fields) > most else "")


def misfit_text(value: SettingsValue, schema: Form = None, only: Collection[str] | None = None) -> str:
    """`` (does not fit its schema: gain: a text in a field of float)``; "" where nothing is known to be wrong.

    ``schema``: the one in force where the value has none of its own; ``only`` of these fields, if given.
    """
    schema = schema if value.settings_schema in (UNSET, None) else value.settings_schema
    found = value_misfits(schema, value).items()
    told = [f"{name}: {why}" if name else why for name, why in found if only is None or not name or name in only]
    return f" (does not fit its schema: {'; '.join(told)})" if told else ""


def kept_text(value: Kept, *, whole: bool = False) -> str:
    """Say a field of a settings value; of an array its kind and elements: ``float64 array of 2,000: 0.0, 0.5, ...``."""
    array = value.array
    if array is None:
        return value_text(value.form, whole=whole)
    return array.text(None if whole else ITEMS_MAX)


def settings_change(
    before: SettingsValue, after: SettingsValue, *, noise: bool = False, whole: bool = False
) -> list[FieldChange]:
    """The fields that differ, as values: see ``changes``.

    Where fields cannot be told apart, or none tells why the pickles differ, one entry with the path "" has both whole.
    """
    if settings_fields(before) is None or settings_fields(after) is None:
        return whole_change(before, after, noise=noise, whole=whole)
    return changes(before, after, deep=False, noise=noise, whole=whole)


def values_text(before: Form, after: Form, *, whole: bool = False) -> str:
    """``1.0 -> 2.0``. Two long texts are shown from where they begin to differ, unless the ``whole`` is wanted."""
    old, new = value_text(before, whole=whole), value_text(after, whole=whole)
    if old == new and type(before) is type(after) is str:
        place = next(place for place, (a, b) in enumerate(zip(before, after, strict=False)) if a != b)
        place = max(0, place - TEXT_MAX // 3)
        old, new = (f"... {value_text(each[place:])}" for each in (before, after))
    return f"{old} -> {new}"


def arrow_text(change: FieldChange, *, whole: bool = False) -> str:
    """``gain 1.0 -> 2.0``; what differs in words where the values do not show it."""
    name = f"{change.path} " if change.path else ""
    if change.note is not None:
        return f"{name}{change.note}"
    if change.missing == "before":
        return f"{name or 'now '}{'= ' if name else ''}{value_text(change.after, whole=whole)}"
    if change.missing == "after":
        before = value_text(change.before, whole=whole)
        return f"{name}{before} -> nothing" if name else f"no longer {before}"
    return f"{name}{values_text(change.before, change.after, whole=whole)}"


def change_text(change: FieldChange, *, whole: bool = False) -> str:
    """``gain=2.0 (was 1.0)``; what differs in words where the values do not show it."""
    if change.note is not None:
        return f"{change.path or 'settings'} {change.note}"
    joint = "=" if change.path else ""
    was = "new" if change.missing == "before" else f"was {value_text(change.before, whole=whole)}"
    return f"{change.path}{joint}{value_text(change.after, whole=whole)} ({was})"


def changes_text(changes: Sequence[FieldChange], most: int, *, whole: bool = False) -> str:
    """The changes of a value: ``gain=2.0 (was 1.0), mode="fast" (new); no longer rate, span``; "" of none.

    At most ``most`` fields are listed by name, of each kind.
    """
    there = [change_text(each, whole=whole) for each in changes if each.missing != "after"]
    gone = [each.path for each in changes if each.missing == "after"]
    told = [listed(there, most)] if there else []
    return "; ".join([*told, f"no longer {listed(gone, most)}"] if gone else told)
