"""The value form: free Python values (settings, metadata, details) as JSON that round-trips type-identically.

What JSON says exactly stays as it is. Everything else is an object with the key ``"$"``: see docs/FORMAT.md for the
table and its test vectors. ``freeze`` makes the form, ``thaw`` reads it; both cost O(size).
"""

import base64
import enum
import math
import pickle
import struct
from collections.abc import Callable, Collection, Iterable
from typing import Any, TypeAlias, TypeVar

import msgspec

from ezmsg.ledger.errors import InvalidValue

Form: TypeAlias = Any
"""A tree of None, bool, int, float, str, list and dict[str, Form], as JSON has them."""

DEPTH_MAX = 64
"""Levels of nesting. Real settings nest below ten; a bound keeps a hostile value from exhausting the stack."""

SIZE_MAX = 16 * 2**20
"""The most that a value may weigh: each item of a container ITEM_WEIGHT, each text and each bytes its length.

No more fits in a line. It is weighed while it is frozen, because a pickle of a few hundred bytes can share one list so
often that written out it would fill the memory of any machine.
"""

ITEM_WEIGHT = 64
"""Bytes counted per item: about what its form takes in memory, so that SIZE_MAX bounds that (and the time) as well."""

EXACT_INT_MAX = 2**53 - 1
"""Beyond this, readers that keep numbers as doubles (jq, JavaScript) would change an integer silently."""

TAG = "$"

_NAN_BITS = "7ff8000000000000"
_PLAIN_TYPES = (bool, int, float, str)


class Opaque(msgspec.Struct, frozen=True):
    """An object of a class that the form does not know, kept without ever being opened.

    ``class_ref`` is ``module:qualname``; ``data`` the bytes that would rebuild it (a pickle; may be empty when there is
    none); ``plain`` what a person or a program without the class can use: the plain int, float or str of an enum
    member or a numpy scalar, else a repr.
    """

    class_ref: str
    data: bytes
    plain: Any


MODELS: "dict[str, type[Model]]" = {}
"""The classes that derive from Model, by their names, which are the tags of their forms."""


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """Base of the structured metadata models: what ``thaw`` returns for a form whose tag is the name of the class.

    A name starts with A to Z. ``extra`` holds fields that a newer ezmsg sent and that this version does not name; they
    survive a round trip.
    """

    extra: dict[str, Any] = {}

    def __init_subclass__(cls) -> None:
        MODELS[cls.__name__] = cls


class UnknownModel(msgspec.Struct, frozen=True):
    """A structured value of a class that this version has no model for: its name and all its fields."""

    name: str
    fields: dict[str, Any]


T = TypeVar("T")


def model_fields(cls: type[Model]) -> tuple[str, ...]:
    """The names of the fields that a model declares, in ezmsg's order, without ``extra``, which is the first."""
    return cls.__struct_fields__[1:]


# --- freeze ----------------------------------------------------------------------------------------------------------


def freeze(value: object) -> Form:
    """The form of ``value``.

    Raises InvalidValue when it nests deeper than DEPTH_MAX (a cyclic value always does), weighs more than SIZE_MAX, or
    is a Model or UnknownModel that ``thaw`` could not give back: with names that are taken.
    """
    return _freeze(value, 0, _Scale())


class _Scale:
    """Weighs a value while it is frozen, before the parts of a container are looked at."""

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = SIZE_MAX

    def add(self, weight: int) -> None:
        self.left -= weight
        if self.left < 0:
            raise InvalidValue(f"a value is larger than {SIZE_MAX} bytes", hint="Name a file in its place.")


def _freeze(value: Any, depth: int, scale: _Scale) -> Form:
    if depth > DEPTH_MAX:
        raise InvalidValue(f"a value nests deeper than {DEPTH_MAX} levels", hint="Flatten it, or break its cycle.")
    cls = type(value)
    if value is None or cls is bool:
        return value
    freezer = _FREEZERS.get(cls)
    if freezer is None:
        if not issubclass(cls, Model):
            return _freeze_opaque(opaque(value), depth, scale)
        freezer = _freeze_model
    return freezer(value, depth, scale)


def is_utf8(value: str) -> bool:
    """Whether a text can be written as UTF-8: whether it has no lone surrogates."""
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _freeze_str(value: str, depth: int, scale: _Scale) -> Form:
    scale.add(len(value))
    if value.isascii() or is_utf8(value):
        return value
    return {TAG: "s", "v": _b64(value.encode("utf-8", "surrogatepass"))}


def _freeze_int(value: int, depth: int, scale: _Scale) -> Form:
    if -EXACT_INT_MAX <= value <= EXACT_INT_MAX:
        return value
    scale.add(value.bit_length() // 4)
    return {TAG: "i", "v": hex(value)}


def _freeze_float(value: float, depth: int, scale: _Scale) -> Form:
    if math.isfinite(value):
        return value
    bits = struct.pack(">d", value).hex()
    return {TAG: "f", "v": repr(value) if math.isinf(value) or bits == _NAN_BITS else bits}


def _freeze_bytes(value: bytes, depth: int, scale: _Scale) -> Form:
    scale.add(len(value))
    return {TAG: "b", "v": _b64(value)}


def _freeze_list(value: Collection[Any], depth: int, scale: _Scale) -> list[Form]:
    scale.add(ITEM_WEIGHT * len(value))
    return [_freeze(item, depth + 1, scale) for item in value]


def _freeze_sequence(value: Collection[Any], depth: int, scale: _Scale) -> Form:
    return sequence(type(value), _freeze_list(value, depth, scale))


SEQUENCES: dict[type, str] = {list: "", tuple: "t", set: "set", frozenset: "frozenset"}
"""The types that have items in the value form, and their tags."""


def sequence(cls: type, items: list[Form]) -> Form:
    """The form of a list, tuple or set of the forms ``items``."""
    if cls is list:
        return items
    if cls is not tuple:
        items.sort(key=msgspec.json.encode)  # a set has no order of its own; bytes give one that never changes
    return {TAG: SEQUENCES[cls], "v": items}


def _freeze_dict(value: dict[Any, Any], depth: int, scale: _Scale) -> Form:
    scale.add(ITEM_WEIGHT * len(value))
    if TAG not in value and all(type(key) is str and (key.isascii() or is_utf8(key)) for key in value):
        scale.add(sum(map(len, value)))
        return {key: _freeze(item, depth + 1, scale) for key, item in value.items()}
    pairs = ((_freeze(key, depth + 1, scale), _freeze(item, depth + 1, scale)) for key, item in value.items())
    return map_of(pairs, tagged=True)


def _freeze_model(value: Model, depth: int, scale: _Scale) -> Form:
    cls = type(value)
    if MODELS.get(cls.__name__) is not cls:
        raise InvalidValue(f"another model is called {cls.__name__} as well", hint="Give each class its own name.")
    fields = [(name, getattr(value, name)) for name in model_fields(cls)]
    return _freeze_fields(cls.__name__, [*fields, *value.extra.items()], depth, scale)


def _freeze_unknown(value: UnknownModel, depth: int, scale: _Scale) -> Form:
    if not _is_model_name(value.name) or value.name in MODELS or not is_utf8(value.name):
        raise InvalidValue(
            f"no name for a model of an unknown class: {value.name!r}",
            hint="It starts with A to Z and is not that of a model; keep other objects as Opaque.",
        )
    return _freeze_fields(value.name, value.fields.items(), depth, scale)


def _freeze_fields(tag: str, fields: Iterable[tuple[Any, Any]], depth: int, scale: _Scale) -> Form:
    form: dict[str, Any] = {TAG: tag}
    for name, item in fields:
        if type(name) is not str or name in form or not is_utf8(name):
            raise InvalidValue(
                f"{tag} cannot have a field named {name!r} (again)",
                hint=f"Names of fields are texts, each given once, and not {TAG!r}.",
            )
        scale.add(ITEM_WEIGHT + len(name))
        form[name] = _freeze(item, depth + 1, scale)
    return form


def _freeze_opaque(value: Opaque, depth: int, scale: _Scale) -> Form:
    scale.add(len(value.data))
    plain_form = _freeze(value.plain, depth + 1, scale)
    return {TAG: "o", "class": _freeze_str(value.class_ref, depth, scale), "v": _b64(value.data), "as": plain_form}


_FREEZERS: dict[type, Callable[[Any, int, _Scale], Form]] = {
    str: _freeze_str,
    int: _freeze_int,
    float: _freeze_float,
    list: _freeze_list,
    dict: _freeze_dict,
    tuple: _freeze_sequence,
    set: _freeze_sequence,
    frozenset: _freeze_sequence,
    bytes: _freeze_bytes,
    Opaque: _freeze_opaque,
    UnknownModel: _freeze_unknown,
}


def opaque(value: object) -> Opaque:
    """An object of this process as an Opaque: its own pickle, and the plain value that it stands for."""
    cls = type(value)
    try:
        data = pickle.dumps(value, protocol=4)
    except Exception:  # whatever a foreign __reduce__ raises: such an object still has a class and a repr
        data = b""
    return Opaque(class_ref=f"{cls.__module__}:{cls.__qualname__}", data=data, plain=_plain(value))


def _plain(value: Any) -> bool | int | float | str:
    cls = type(value)
    if issubclass(cls, enum.Enum) and type(value._value_) in _PLAIN_TYPES:
        return value._value_  # type: ignore[no-any-return]
    # the base classes' own methods: a subclass (a StrEnum, say) may give another answer, or raise
    if issubclass(cls, int):
        return int.__int__(value)
    if issubclass(cls, float):
        return float.__float__(value)
    if issubclass(cls, str):
        return str.__str__(value)
    if cls.__module__ == "numpy" and getattr(value, "ndim", None) == 0:
        item = value.item()
        if type(item) in _PLAIN_TYPES:
            return item  # type: ignore[no-any-return]
    try:
        return str.__str__(repr(value))
    except Exception as error:  # a foreign __repr__ may raise anything
        return f"<{cls.__qualname__}: repr raised {type(error).__name__}>"


# --- thaw ------------------------------------------------------------------------------------------------------------


def thaw(form: Form) -> Any:
    """The value that ``freeze`` was given: Models for structured values, Opaque for objects of foreign classes.

    Raises InvalidValue when the form is not one that ``freeze`` makes. It tolerates keys beside those of a tag, which a
    newer version may have added, and other spellings of what a tag holds.
    """
    try:
        return _thaw(form, 0)
    except (KeyError, TypeError, ValueError, struct.error) as error:
        raise InvalidValue(f"not a value form: {type(error).__name__}: {error}", hint=_THAW_HINT) from error


_THAW_HINT = "A newer version of ezmsg-ledger may know it; else the line was written by something else."
_SCALARS = frozenset({str, int, float, bool, type(None)})


def _thaw(form: Form, depth: int) -> Any:
    if depth > DEPTH_MAX:
        raise ValueError(f"nests deeper than {DEPTH_MAX} levels")
    cls = type(form)
    if cls in _SCALARS:
        return form
    if cls is list:
        return [_thaw(item, depth + 1) for item in form]
    if cls is not dict:
        raise TypeError(f"JSON has no {cls.__name__}")
    if TAG not in form:
        return {_is(str, key): _thaw(item, depth + 1) for key, item in form.items()}
    tag = _is(str, form[TAG])
    thawer = _THAWERS.get(tag)
    if thawer is not None:
        return thawer(form, depth)
    if not _is_model_name(tag):
        raise ValueError(f"unknown tag {tag[:40]!r}")
    return _thaw_model(tag, {_is(str, name): _thaw(item, depth + 1) for name, item in form.items() if name != TAG})


def _is_model_name(name: str) -> bool:
    return "A" <= name[:1] <= "Z"  # all other tags are this module's own


def _thaw_model(name: str, fields: dict[str, Any]) -> Model | UnknownModel:
    cls = MODELS.get(name)
    if cls is None:
        from ezmsg.ledger import metadata  # noqa: F401 - the models, which are made of what is here

        cls = MODELS.get(name)
    if cls is None:
        return UnknownModel(name, fields)
    known = {field: fields.pop(field) for field in model_fields(cls) if field in fields}
    return cls(**known, extra=fields)


def _thaw_float(form: dict[str, Any], depth: int) -> float:
    text = _is(str, form["v"])
    if text in ("nan", "inf", "-inf"):
        return float(text)  # a new object each time: in a set, one NaN would swallow the others
    value: float = struct.unpack(">d", bytes.fromhex(text))[0]
    if not math.isnan(value):
        raise ValueError("a finite float in the place of a NaN's bits")
    return value


def _thaw_items(form: dict[str, Any], depth: int) -> list[Any]:
    return [_thaw(item, depth + 1) for item in _is(list, form["v"])]


def _thaw_map(form: dict[str, Any], depth: int) -> dict[Any, Any]:
    pairs = (_is(list, pair) for pair in _is(list, form["v"]))
    return {_thaw(key, depth + 1): _thaw(item, depth + 1) for key, item in pairs}


def _thaw_opaque(form: dict[str, Any], depth: int) -> Opaque:
    return Opaque(_is(str, _thaw(form["class"], depth)), _unb64(form["v"]), _thaw(form["as"], depth + 1))


_THAWERS: dict[str, Callable[[dict[str, Any], int], Any]] = {
    "f": _thaw_float,
    "b": lambda form, depth: _unb64(form["v"]),
    "i": lambda form, depth: int(_is(str, form["v"]), 16),
    "s": lambda form, depth: _unb64(form["v"]).decode("utf-8", "surrogatepass"),
    "t": lambda form, depth: tuple(_thaw_items(form, depth)),
    "set": lambda form, depth: set(_thaw_items(form, depth)),
    "frozenset": lambda form, depth: frozenset(_thaw_items(form, depth)),
    "m": _thaw_map,
    "o": _thaw_opaque,
}


def _is(cls: type[T], form: Form) -> T:
    if type(form) is not cls:
        raise TypeError(f"{cls.__name__} was expected, not {type(form).__name__}")
    return form


# --- look: a form's parts, without making values of them ------------------------------------------------------------


def tag_of(form: Form) -> str:
    """The kind of value that a form stands for: a tag of the table in docs/FORMAT.md, or a structured value's class.

    "" for what JSON says by itself.

    >>> from ezmsg.ledger.values import freeze
    >>> tag_of(freeze((1, 2))), tag_of(freeze([1, 2]))
    ('t', '')
    """
    return _is(str, form[TAG]) if type(form) is dict and TAG in form else ""


def is_structured(form: Form) -> bool:
    """Whether a form stands for an object with named fields: its tag is the name of a class then."""
    return _is_model_name(tag_of(form))


def items_of(form: Form) -> list[Form]:
    """The items of a list, tuple or set. Raises TypeError for any other form."""
    tag = tag_of(form)
    return _is(list, form["v"] if tag and tag in SEQUENCES.values() else form)


def is_map(form: Form) -> bool:
    """Whether a form stands for a dict, whatever its keys are."""
    return type(form) is dict and form.get(TAG, "m") == "m"


def pairs_of(form: Form) -> list[tuple[Form, Form]]:
    """The keys and items of a map. Raises TypeError for any other form."""
    if not is_map(form):
        raise TypeError(f"a map was expected, not {type(form).__name__} {tag_of(form)[:40]}")
    return [(key, item) for key, item in _is(list, form["v"])] if TAG in form else list(form.items())


def map_of(pairs: Iterable[tuple[Form, Form]], *, tagged: bool) -> Form:
    """The form of a map: ``tagged`` when one of its keys is not a text, or is ``"$"``."""
    return {TAG: "m", "v": [list(pair) for pair in pairs]} if tagged else dict(pairs)


def fields_of(form: Form) -> dict[str, Form]:
    """The named parts of a form: what a map has under keys that are texts, or the fields of a structured value.

    Empty for any other form.

    >>> from ezmsg.ledger.values import freeze
    >>> fields_of(freeze({"gain": 2.0, 7: "not named"}))
    {'gain': 2.0}
    """
    if tag_of(form) == "m":
        return {name: item for name, item in pairs_of(form) if type(name) is str}
    if is_structured(form):
        return {name: item for name, item in form.items() if name != TAG}
    return form if type(form) is dict and TAG not in form else {}


def plain_of(form: Form) -> Form:
    """The form of the plain value that an opaque object stands for. Raises KeyError for any other form."""
    return form["as"]


def text_map(form: Form) -> dict[str, Form]:
    """A map whose keys are texts, each once. Raises TypeError for any other form. Cost: O(1) unless a key is "$"."""
    if type(form) is dict and TAG not in form:
        return form
    pairs = pairs_of(form)
    if len(fields := fields_of(form)) != len(pairs):
        raise TypeError("the keys of a map are not texts, each once")
    return fields


def plain(value: Any) -> Any:
    """A thawed value with every Opaque in it replaced by its plain value: for programs without the classes."""
    cls = type(value)
    if cls is Opaque:
        return plain(value.plain)
    if cls is dict:
        return {plain(key): plain(item) for key, item in value.items()}
    if cls in (list, tuple, set, frozenset):
        return cls(plain(item) for item in value)
    if isinstance(value, Model | UnknownModel):
        return cls(**{name: plain(getattr(value, name)) for name in cls.__struct_fields__})
    return value


def same(a: Form, b: Form) -> bool:
    """Type-strict equality of two forms: ``1``, ``1.0`` and ``True`` differ; so do ``0.0`` and ``-0.0``.

    NaNs of the same bits are the same. As in Python, the order of a dict's keys does not count.
    """
    return a is b or _normal(a) == _normal(b)


def _normal(form: Form) -> bytes:
    data = msgspec.json.encode(form, order="sorted")
    if b'"$":"m"' in data:
        data = msgspec.json.encode(_sort_maps(form), order="sorted")
    return data


def _sort_maps(form: Form) -> Form:
    if type(form) is list:
        return [_sort_maps(item) for item in form]
    if type(form) is not dict:
        return form
    form = {key: _sort_maps(item) for key, item in form.items()}
    if form.get(TAG) == "m":
        form["v"].sort(key=lambda pair: msgspec.json.encode(pair, order="sorted"))
    return form


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _unb64(text: Form) -> bytes:
    return base64.b64decode(_is(str, text), validate=True)
