"""Values and settings as people would write them, from the forms in which the ledger keeps them."""

import json
from collections.abc import Collection

from msgspec import UNSET

from ezmsg.ledger.errors import InvalidValue
from ezmsg.ledger.events import SettingsValue
from ezmsg.ledger.projections.questions.answers import FieldChange
from ezmsg.ledger.projections.questions.settings.schema import misfits
from ezmsg.ledger.projections.questions.settings.stored_value import Kept, changes, kept, parts, whole_change
from ezmsg.ledger.values import Form, fields_of, is_map, is_structured, items_of, pairs_of, plain_of, tag_of, thaw

TEXT_MAX = 60
"""Characters of one value in a sentence; `--json` has all of it."""

ITEMS_MAX = 6
"""Items of one list, or fields of one settings object, in a sentence."""

DEPTH_MAX = 3
"""Levels of nesting in a sentence."""


def value_text(form: Form, most: int = TEXT_MAX) -> str:
    """A value form in a few words, cut at ``most`` characters. Cost: O(what is shown)."""
    try:
        text = _text(form, 0)
    except (KeyError, TypeError, ValueError, InvalidValue):  # not a value form, or of a tag of a newer version
        text = json.dumps(form)
    return text if len(text) <= most else text[: most - 3] + "..."


def _text(form: Form, depth: int) -> str:
    tag = tag_of(form)
    if isinstance(form, str):
        shown = form if len(form) <= TEXT_MAX else form[:TEXT_MAX] + "..."
        return json.dumps(shown, ensure_ascii=False)
    if tag in ("f", "i"):
        return str(thaw(form))
    if tag == "b":
        return f"<{len(thaw(form))} bytes>"
    if tag == "s":
        return "<text that is not Unicode>"
    if tag == "o":
        plain = plain_of(form)
        return plain if isinstance(plain, str) else _text(plain, depth)
    if is_map(form):
        keys = ((key if tag == "" else _text(key, depth + 1), item) for key, item in pairs_of(form))
        return _fields(dict(keys), depth, "{", ": ", "}")
    if is_structured(form):
        return _fields(fields_of(form), depth, f"{tag}(", "=", ")")
    if tag or isinstance(form, list):
        begin, end = {"": ("[", "]"), "t": ("(", ")")}.get(tag, ("{", "}"))
        return f"{begin}{_items(items_of(form), depth)}{end}"
    return repr(form)


def _items(items: list[Form], depth: int) -> str:
    if depth >= DEPTH_MAX:
        return "..."
    shown = [_text(item, depth + 1) for item in items[:ITEMS_MAX]]
    return ", ".join(shown) + (f", ... {len(items)} in all" if len(items) > ITEMS_MAX else "")


def _fields(fields: dict[str, Form], depth: int, begin: str, joint: str, end: str) -> str:
    if depth >= DEPTH_MAX:
        return f"{begin}...{end}"
    shown = [f"{name}{joint}{_text(item, depth + 1)}" for name, item in list(fields.items())[:ITEMS_MAX]]
    more = f", ... {len(fields)} in all" if len(fields) > ITEMS_MAX else ""
    return begin + ", ".join(shown) + more + end


# --- settings --------------------------------------------------------------------------------------------------------


def settings_fields(value: SettingsValue) -> dict[str, Form] | None:
    """The fields of a settings value by name; None when it has no such structure."""
    for form in (value.structured_value, value.repr_value):
        if is_map(form) and not tag_of(form):
            return fields_of(form)
    return None


def settings_text(value: SettingsValue, most: int | None = ITEMS_MAX, *, whole: bool = False) -> str:
    """``gain=2.0, mode="fast"``: all of a settings value; "" when it has no fields. ``most`` fields (None: all).

    An array tells its kind and first elements; with ``whole``, all of them.
    """
    if settings_fields(value) is None:
        return "" if value.repr_value in (None, "") else value_text(value.repr_value)
    fields = parts(kept(value))
    shown = [f"{name}={kept_text(item, whole=whole)}" for name, item in list(fields.items())[:most]]
    return ", ".join(shown) + (f", ... {len(fields)} fields in all" if most is not None and len(fields) > most else "")


def misfit_text(value: SettingsValue, schema: Form = None, only: Collection[str] | None = None) -> str:
    """`` (does not fit its schema: gain: a text in a field of float)``; "" where nothing is known to be wrong.

    ``schema``: the one in force where the value has none of its own; ``only`` of these fields, if given.
    """
    schema = schema if value.settings_schema is UNSET else value.settings_schema
    fields = {name: each.form for name, each in parts(kept(value)).items()}
    found = [f"{name}: {why}" for name, why in misfits(schema, fields).items() if only is None or name in only]
    return f" (does not fit its schema: {'; '.join(found)})" if found else ""


def kept_text(value: Kept, *, whole: bool = False) -> str:
    """One field of a settings value; of an array its kind and elements: ``float64 array of 2,000: 0.0, 0.5, ...``."""
    array = value.array
    if array is None:
        return value_text(value.form)
    items = array.items() if whole or array.size <= ITEMS_MAX else array.items()[:ITEMS_MAX]
    shown = ", ".join(map(str, items)) + ("" if len(items) == array.size else ", ...")
    return f"{array.kind}: {shown}" if shown else array.kind


def settings_change(before: SettingsValue, after: SettingsValue, *, noise: bool = False) -> list[FieldChange]:
    """The fields that differ, as values: see ``changes``.

    Where fields cannot be told apart, or none tells why the pickles differ, one entry with the path "" has both whole.
    """
    if settings_fields(before) is None or settings_fields(after) is None:
        return whole_change(before, after, noise=noise)
    return changes(before, after, deep=False, noise=noise)


def values_text(before: Form, after: Form) -> str:
    """``1.0 -> 2.0``. Two long texts are shown from where they begin to differ."""
    old, new = value_text(before), value_text(after)
    if old == new and type(before) is type(after) is str:
        place = next(place for place, (a, b) in enumerate(zip(before, after, strict=False)) if a != b)
        place = max(0, place - TEXT_MAX // 3)
        old, new = (f"... {value_text(each[place:])}" for each in (before, after))
    return f"{old} -> {new}"


def change_text(change: FieldChange) -> str:
    """``gain=2.0 (was 1.0)``; what differs in words where the values do not show it."""
    if change.note is not None:
        return f"{change.path or 'settings'} {change.note}"
    joint = "=" if change.path else ""
    return f"{change.path}{joint}{value_text(change.after)} (was {value_text(change.before)})"
