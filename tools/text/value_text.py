"""Values and settings as people would write them, from the forms in which the ledger keeps them."""

import json

from ezmsg.ledger.errors import InvalidValue
from ezmsg.ledger.events import SettingsValue
from ezmsg.ledger.values import Form, fields_of, is_map, is_structured, items_of, pairs_of, plain_of, same, tag_of, thaw

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


def settings_text(value: SettingsValue, most: int | None = ITEMS_MAX) -> str:
    """``gain=2.0, mode="fast"``: all of a settings value; "" when it has no fields. ``most`` fields (None: all)."""
    fields = settings_fields(value)
    if fields is None:
        return "" if value.repr_value in (None, "") else value_text(value.repr_value)
    shown = [f"{name}={value_text(item)}" for name, item in list(fields.items())[:most]]
    return ", ".join(shown) + (f", ... {len(fields)} fields in all" if most is not None and len(fields) > most else "")


def settings_change(before: SettingsValue, after: SettingsValue) -> list[tuple[str, Form, Form]]:
    """The fields that differ, as (field, value before, value after); None stands for a field that is not there.

    Where fields cannot be told apart, one entry with the field "" has both values whole.
    """
    old, new = settings_fields(before), settings_fields(after)
    if old is None or new is None:
        if same(before.repr_value, after.repr_value):
            return []
        return [("", before.repr_value, after.repr_value)]
    return [
        (name, old.get(name), new.get(name))
        for name in dict.fromkeys((*old, *new))
        if name not in old or name not in new or not same(old[name], new[name])
    ]


def change_text(change: tuple[str, Form, Form]) -> str:
    """``gain=2.0 (was 1.0)``."""
    name, old, new = change
    return f"{name}{'=' if name else ''}{value_text(new)} (was {value_text(old)})"
