"""ezmsg's metadata objects to value forms, and back.

On the way in, what ``pickles.loads`` made of a client's metadata or settings becomes the form that events hold (see
``ezmsg.ledger.values``), bounded in depth and size. On the way out, replies hold builtins, UUIDs and classes of the
installed ezmsg alone: foreign numbers and texts go out plain; classes and fields that it lacks are left out.
"""

from collections.abc import Callable
from dataclasses import MISSING, fields
from functools import partial
from math import isfinite
from typing import Any, NamedTuple, TypeAlias, get_origin, get_type_hints

import msgspec
from ezmsg.core import graphmeta
from msgspec import UNSET

from ezmsg.ledger import values
from ezmsg.ledger.codec import LINE_MAX
from ezmsg.ledger.events import SettingsValue
from ezmsg.ledger.pickles.stand_ins import OPAQUE_MAX, Global, Inert, opaque, scalar
from ezmsg.ledger.runtime.server.payloads import WrongType, is_text
from ezmsg.ledger.runtime.server.pickles import RECORDS
from ezmsg.ledger.runtime.server.wire.protocol import Malformed
from ezmsg.ledger.values import (
    MODELS,
    TAG,
    Form,
    Model,
    freeze,
    is_structured,
    items_of,
    model_fields,
    pairs_of,
    plain_of,
    tag_of,
    thaw,
)

FORM_MAX = LINE_MAX - 64 * 1024
"""Bytes that the form of metadata or settings may take in its event's line; the rest is for the other fields."""

ROOM = 4 * LINE_MAX
"""Bytes, by estimate, at which a value is given up while it is taken apart: a pickle of a kilobyte can share its parts
so often that it stands for a value of any size."""

ITEM_ROOM = 16
"""The estimate for a value inside another, beside its text."""

PART_ROOM = 256
"""The estimate for a container or object, beside its items: a quarter of a million of them is all that fits. A
component of a real system has about 20."""

EMIT_ROOM = 64
"""The estimate for a byte of a foreign object's pickle: the time that it takes to write one is worth as much."""

SETTINGS_KEPT = 64 * 1024
"""Bytes of one component's settings that are kept whatever happens; see ``graph_metadata``."""

EZMSG = "ezmsg.core."

Value: TypeAlias = Any

_LEAVES = frozenset({type(None), bool, int, float})
_PLAIN = frozenset({str, bytes, *_LEAVES})
_encode = msgspec.json.Encoder().encode


# --- in --------------------------------------------------------------------------------------------------------------


def to_form(value: object) -> Form:
    """The form of a value that ``pickles.loads`` returned.

    ezmsg's dataclasses, also those that only another ezmsg has, become structured values with all their fields; all
    else that is foreign becomes opaque. Raises Malformed when the value is too deep or too large, or a metadata object
    has not its shape. Cost: O(size with all sharing undone), about 0.3 us per value.
    """
    return _Inward().whole(value)


class Translated(NamedTuple):
    """The form of metadata, whether its pickle is to be kept too, and whether the form gives back the same object."""

    form: Form
    keep_raw: bool
    exact: bool


def graph_metadata(value: object, raw_size: int = 0) -> Translated:
    """The form of a GraphMetadata, and whether its pickle (of ``raw_size`` bytes) should be kept beside it.

    That is so when the form alone could not give back the same object: it holds foreign objects, classes that this
    version has no model for, or fields that this ezmsg lacks; and when both together fit in a line. Metadata whose form
    alone does not fit loses the settings of its largest components (a text says so in their place): a system with large
    settings still runs and is still recorded. Raises Malformed when it is not metadata, or does not fit even then.
    """
    if type(value) is not graphmeta.GraphMetadata:
        raise WrongType(f"a GraphMetadata was expected, not a {type(value).__name__}")
    inward = _Inward()
    form = inward.whole(value)
    _check_components(form)
    size = len(_encode(form))
    if size <= FORM_MAX:
        return Translated(form, not inward.exact and size + raw_size * 4 // 3 <= FORM_MAX, inward.exact)
    for component in form["components"].values():
        _leave_out_large_settings(component)
    size = len(_encode(form))
    if size > FORM_MAX:
        raise Malformed(f"metadata of {size} bytes does not fit in a line of the ledger", hint="Register less.")
    return Translated(form, False, False)


def settings_value(value: object) -> SettingsValue:
    """A SettingsSnapshotValue as what a ``settings.updated`` event holds.

    Values too large for a line are left out, and a text says so.
    Raises Malformed when it is not a settings value, or its fields are not of its shape.
    """
    if type(value) is not graphmeta.SettingsSnapshotValue:
        raise WrongType(f"a SettingsSnapshotValue was expected, not a {type(value).__name__}")
    had = vars(value)
    serialized, structured = had.get("serialized"), had.get("structured_value")
    if type(serialized) not in (bytes, type(None)):
        raise WrongType("SettingsSnapshotValue.serialized is neither bytes nor None")
    if type(structured) not in (dict, type(None)):
        raise WrongType("SettingsSnapshotValue.structured_value is neither a dict nor None")
    inward = _Inward()
    schema = inward.whole(had.get("settings_schema"))
    taken = SettingsValue(
        serialized, inward.whole(had.get("repr_value", "")), inward.whole(structured), settings_schema=schema
    )
    size = len(_encode(taken))
    return taken if size <= FORM_MAX else SettingsValue(serialized=None, repr_value=_left_out(size))


def _left_out(size: int) -> str:
    return f"<left out: settings of {size} bytes are more than a line of the ledger holds>"


def _leave_out_large_settings(component: dict[str, Any]) -> None:
    size = len(_encode(component["initial_settings"]))
    if size > SETTINGS_KEPT:
        component["initial_settings"] = freeze((None, _left_out(size)))
    if len(_encode(component.get("settings_schema"))) > SETTINGS_KEPT:
        component["settings_schema"] = None


def _check_components(form: dict[str, Any]) -> None:
    """Check what every fold relies on: addresses are texts, settings begin with (bytes or None, readable form)."""
    if not isinstance(form.get("root_name"), str | None):
        raise WrongType("GraphMetadata.root_name is not a text")
    components = form.get("components", {})
    if tag_of(components):  # not a plain map: its keys are not texts, not valid UTF-8, or "$"
        raise WrongType("the components of a GraphMetadata are not all keyed by addresses")
    for key, component in components.items():
        if not is_structured(component):
            raise WrongType(f"{key} is not a component")
        if type(component.get("address")) is not str or not component["address"]:
            raise WrongType(f"{key} has no address")
        initial = component.get("initial_settings")
        pair = items_of(initial) if tag_of(initial) == "t" else []
        if len(pair) != 2 or not (pair[0] is None or tag_of(pair[0]) == "b"):
            raise WrongType(f"{key}: initial_settings is not (bytes or None, readable form)")


class _Plan(msgspec.Struct):
    """A plan for taking apart the objects of one of ezmsg's classes.

    ``shapes``: the fields that must be a text, a dict or a list. ``exact``: the fields of the installed class, which
    come back as they were; None when the class is missing here.
    """

    shapes: tuple[tuple[str, type], ...]
    exact: frozenset[str] | None


def _plan(name: str, model: type[Model]) -> _Plan:
    hints = get_type_hints(model)
    shaped = ((field, get_origin(hints[field]) or hints[field]) for field in model_fields(model))
    cls: Any = getattr(graphmeta, name, None)
    exact = frozenset(field.name for field in fields(cls)) if cls in RECORDS else None
    return _Plan(tuple((field, shape) for field, shape in shaped if shape in (str, dict, list)), exact)


_PLANS = {name: _plan(name, model) for name, model in MODELS.items()}


class _Inward:
    """Takes one value apart. ``exact`` ends as whether the form can give back the same object."""

    def __init__(self) -> None:
        self.exact = True
        self._room = ROOM
        self._opaques: dict[int, tuple[Form, int]] = {}

    def whole(self, value: Any) -> Form:
        """The form of ``value``."""
        form = self.form(value, 0)
        self._spend(0)
        return form

    def form(self, value: Any, depth: int) -> Form:
        """The form of a part that lies ``depth`` levels inside the whole."""
        cls = type(value)
        if cls is str:
            self._spend(len(value))
            return value if value.isascii() else freeze(value)
        if cls is int or cls is float:
            exact = -values.EXACT_INT_MAX <= value <= values.EXACT_INT_MAX if cls is int else isfinite(value)
            return value if exact else freeze(value)
        if value is None or cls is bool:
            return value
        if depth > values.DEPTH_MAX:
            raise Malformed(f"a value nests deeper than {values.DEPTH_MAX} levels", hint="Flatten it.")
        if cls in RECORDS:
            return self._record(cls.__name__, vars(value), depth)
        if cls is dict:
            return self._dict(value, depth)
        if cls is bytes:
            self._spend(len(value) * 4 // 3)
            return freeze(value)
        if cls in values.SEQUENCES:
            self._spend(PART_ROOM + ITEM_ROOM * len(value))
            return values.sequence(cls, [self.form(item, depth + 1) for item in value])
        return self._foreign(value, depth)

    def _spend(self, size: int) -> None:
        self._room -= size
        if self._room < 0:
            raise Malformed(
                f"a value takes more than {ROOM} bytes when it is written out",
                hint="Keep large values out of settings and metadata.",
            )

    def _dict(self, value: dict[Any, Any], depth: int) -> Form:
        self._spend(PART_ROOM + 2 * ITEM_ROOM * len(value))
        if TAG not in value and all(map(is_text, value)):
            self._room -= sum(map(len, value))
            return {key: self.form(item, depth + 1) for key, item in value.items()}
        pairs = ((self.form(key, depth + 1), self.form(item, depth + 1)) for key, item in value.items())
        return values.map_of(pairs, tagged=True)

    def _record(self, name: str, had: dict[str, Any], depth: int) -> Form:
        self._spend(PART_ROOM + 2 * ITEM_ROOM * len(had))
        plan = _PLANS.get(name)
        if plan is None or had.keys() != plan.exact:
            self.exact = False
            _check_names(name, had)
        form: dict[str, Any] = {TAG: name}
        for field, item in had.items():
            cls = type(item)
            if item is None or cls is bool:
                form[field] = item
            elif cls is str and item.isascii():
                self._room -= len(item)
                form[field] = item
            else:
                form[field] = self.form(item, depth + 1)
        if plan is not None:
            for field, shape in plan.shapes:
                if field in had and (type(had[field]) is not shape or (shape is str and type(form[field]) is not str)):
                    form[field] = self._reshaped(f"{name}.{field}", had[field], shape)
        return form

    def _reshaped(self, what: str, value: Any, shape: type) -> Form:
        """A text of a foreign class (a StrEnum, numpy's) as a plain one; all else of another shape is refused."""
        text = scalar(value) if shape is str and type(value) is Inert else None
        if not is_text(text):
            wrong = "a text that is not valid UTF-8" if type(value) is str else f"a {type(value).__name__}"
            raise WrongType(f"{what} is {wrong}, where a {shape.__name__} belongs")
        return text

    def _foreign(self, value: Any, depth: int) -> Form:
        self.exact = False
        if type(value) is Inert and (known := _ezmsg_object(value)) is not None:
            return self._record(*known, depth)
        form, cost = self._opaques.get(id(value)) or self._opaque(value)
        self._spend(cost)
        return form

    def _opaque(self, value: Any) -> tuple[Form, int]:
        """The form of a foreign object, and what it costs; made once for each: an enum member comes again and again."""
        stand_in = opaque(value)
        made = self._opaques[id(value)] = freeze(stand_in), EMIT_ROOM * (len(stand_in.data) or OPAQUE_MAX)
        return made


def _check_names(name: str, had: dict[Any, Any]) -> None:
    for field in had:
        if not is_text(field) or not field.isidentifier():
            raise WrongType(f"a {name} with a field whose name is not an identifier")


def _ezmsg_object(value: Inert) -> tuple[str, dict[str, Any]] | None:
    """Class name and fields of an object of a class that only another ezmsg has; None for an object of another kind."""
    maker = value.maker
    if not isinstance(maker, Global) or not maker.module.startswith(EZMSG):
        return None
    if not value.new or value.args or value.kwargs:
        return None
    if not maker.name.isidentifier() or not maker.name.isascii() or not maker.name[0].isupper():
        return None
    state = value.state if len(value.steps) == 1 else None
    return (maker.name, state) if type(state) is dict else None


# --- out -------------------------------------------------------------------------------------------------------------


class _LeftOut:
    """Stands for what the installed ezmsg has no class for."""


def _fields(cls: Any) -> dict[str, Callable[[], Any]]:
    """A class's fields with what makes their values where there are none: the default, or None."""
    made: dict[str, Callable[[], Any]] = {}
    for field in fields(cls):
        value = None if field.default is MISSING else field.default
        made[field.name] = partial(_same, value) if field.default_factory is MISSING else field.default_factory
    return made


def _same(value: Any) -> Any:
    return value


_INSTALLED: dict[str, tuple[Any, dict[str, Callable[[], Any]]]] = {cls.__name__: (cls, _fields(cls)) for cls in RECORDS}


def form_to_ezmsg(form: Form) -> Any:
    """The value of a form as ezmsg's own objects and builtins, for a reply.

    Opaques give their plain value. What the installed ezmsg has no class for is left out: an entry of a dict, list or
    set vanishes, a field or the whole becomes None. Cost: O(size), about 0.3 us per value.
    """
    made = _outward(form)
    return None if made is _LeftOut else made


def settings_to_ezmsg(value: SettingsValue, schema_in_force: Form = None) -> graphmeta.SettingsSnapshotValue:
    """A settings value as ezmsg's class; ``schema_in_force`` is what a schema that is UNSET stands for."""
    schema = schema_in_force if value.settings_schema is UNSET else value.settings_schema
    return graphmeta.SettingsSnapshotValue(
        serialized=value.serialized,
        repr_value=form_to_ezmsg(value.repr_value),
        structured_value=form_to_ezmsg(value.structured_value),
        settings_schema=form_to_ezmsg(schema),
    )


def _outward(form: Form) -> Any:
    cls = type(form)
    if cls is list:
        return [item for item in map(_outward, form) if item is not _LeftOut]
    if cls is not dict:
        return form
    if TAG not in form:
        out = {key: item if type(item) in _PLAIN else _outward(item) for key, item in form.items()}
        return {key: item for key, item in out.items() if item is not _LeftOut} if _LeftOut in out.values() else out
    if is_structured(form):
        return _object(form)
    tag = tag_of(form)
    if tag == "o":
        return _outward(plain_of(form))
    if tag == "t":
        return tuple(map(form_to_ezmsg, items_of(form)))
    if tag == "m":
        pairs = ((_outward(key), _outward(item)) for key, item in pairs_of(form))
        return {key: item for key, item in pairs if key is not _LeftOut and item is not _LeftOut}
    if tag in ("set", "frozenset"):
        items = (item for item in map(_outward, items_of(form)) if item is not _LeftOut)
        return set(items) if tag == "set" else frozenset(items)
    return thaw(form)


def _object(form: dict[str, Any]) -> Any:
    installed = _INSTALLED.get(tag_of(form))
    if installed is None:
        return _LeftOut
    cls, default = installed
    made = object.__new__(cls)
    state = made.__dict__
    for field in default:
        item = form.get(field, _LeftOut)
        if type(item) not in _PLAIN:
            item = default[field]() if item is _LeftOut else form_to_ezmsg(item)
        state[field] = item
    return made
