"""Whether a value fits what a component's recorded schema says of the field: only what is certain is said.

ezmsg does not hold settings to the types of their fields; a text in a field of floats is taken as it is. The schema has
names of types (``builtins.float``, ``float | None``), choices and bounds; since ezmsg 3.10, beside pydantic, also a
JSON schema. Of a type that is not one of Python's plain ones nothing is said.
"""

from typing import Any

from ezmsg.ledger.events import SettingsValue
from ezmsg.ledger.projections.copies.digests import is_marker
from ezmsg.ledger.projections.questions.settings.stored_value import kept, parts
from ezmsg.ledger.projections.questions.value_comparison import bare
from ezmsg.ledger.values import Form, fields_of, items_of, tag_of, thaw

_KINDS: dict[str, tuple[type, ...]] = {
    "bool": (bool,),
    "int": (int,),
    "float": (int, float),
    "str": (str,),
    "None": (type(None),),
    "NoneType": (type(None),),
}
"""The types of the values that a field can hold, by the name of its plain type."""

_JSON_KINDS: dict[str, tuple[type, ...]] = {
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
    "string": (str,),
    "null": (type(None),),
}


_PLAIN = {
    bool: "a truth value",
    int: "an integer",
    float: "a float",
    str: "a text",
    bytes: "bytes",
    list: "a list",
    tuple: "a tuple",
    set: "a set",
    dict: "a dict",
}
"""Names of the types of values that are not an object of a settings class."""


def value_misfits(schema: Form, value: SettingsValue) -> dict[str, str]:
    """The fields of a settings value that the schema cannot mean, with the reasons; by "" the value as a whole, where
    it is not an object of the settings class at all. Cost: O(bytes of its pickle)."""
    whole = kept(value)
    settings_type = fields_of(schema).get("settings_type")
    if type(settings_type) is str and settings_type and not settings_type.startswith("builtins."):
        what = _PLAIN.get(type(bare(whole.held)))
        if what is not None:
            return {"": f"{what} in place of {settings_type.rpartition('.')[2]}"}
    return misfits(schema, {name: each.form for name, each in parts(whole).items()})


def misfits(schema: Form, fields: dict[str, Form]) -> dict[str, str]:
    """The fields whose values the schema cannot mean, each with the reason in words. Cost: O(fields).

    >>> field = {"$": "SettingsFieldMetadata", "name": "gain", "field_type": "builtins.float"}
    >>> misfits({"$": "SettingsSchemaMetadata", "fields": [field]}, {"gain": "loud"})
    {'gain': 'a text in a field of float'}
    """
    found = {}
    described = {each.get("name"): each for each in _items(fields_of(schema).get("fields")) if type(each) is dict}
    json_schema = fields_of(fields_of(schema).get("json_schema"))
    properties = fields_of(json_schema.get("properties"))
    for name, form in fields.items():
        if not _is_plain(form) or is_marker(form):
            continue
        value = thaw(form)
        why = _against_field(described.get(name, {}), value) or _against_json(fields_of(properties.get(name)), value)
        if why:
            found[name] = why
    return found


def _is_plain(form: Form) -> bool:
    return type(form) in (type(None), bool, int, float, str) or tag_of(form) in ("f", "i")


def _items(form: Form) -> list[Form]:
    try:
        return items_of(form)
    except TypeError:
        return []


def _against_field(field: Form, value: Any) -> str:
    kind = field.get("field_type")
    if type(kind) is not str:
        return ""
    names = [name.strip().removeprefix("builtins.") for name in kind.split("|")]
    if all(name in _KINDS for name in names) and not any(_holds(_KINDS[name], value) for name in names):
        return f"{_what(value)} in a field of {' | '.join(names)}"
    choices = _items(field.get("choices"))
    if choices and kind.startswith("typing.Literal") and not any(_equal(value, choice) for choice in choices):
        return f"{value!r} is not one of {', '.join(map(repr, choices))}"
    return ""


def _against_json(field: dict[str, Form], value: Any) -> str:
    kind = field.get("type")
    if type(kind) is str and kind in _JSON_KINDS and not _holds(_JSON_KINDS[kind], value):
        return f"{_what(value)} in a field of {kind}"
    if type(value) in (int, float):
        for name, wrong, words in (
            ("minimum", value.__lt__, "less than"),
            ("exclusiveMinimum", value.__le__, "not more than"),
            ("maximum", value.__gt__, "more than"),
            ("exclusiveMaximum", value.__ge__, "not less than"),
        ):
            bound = field.get(name)
            if type(bound) in (int, float) and wrong(bound) is True:
                return f"{value} is {words} {bound}"
    choices = _items(field.get("enum"))
    if choices and not any(_equal(value, choice) for choice in choices):
        return f"{value!r} is not one of {', '.join(map(repr, choices))}"
    return ""


def _holds(kinds: tuple[type, ...], value: Any) -> bool:
    return type(value) in kinds


def _equal(value: Any, choice: Any) -> bool:
    return bool(value == choice) and (type(value) is bool) == (type(choice) is bool)


def _what(value: Any) -> str:
    names = {str: "a text", bool: "a truth value", int: "an integer", float: "a float", type(None): "nothing"}
    return names[type(value)]
