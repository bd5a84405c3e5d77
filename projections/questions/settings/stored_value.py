"""Settings as a ledger keeps them: the shown form of ezmsg beside the pickle, field by field.

The shown form leaves things out. It abbreviates arrays of more than 1,000 elements, gives numpy's numbers and enum
members as texts, makes lists of sets and tuples; and beside pydantic one field that cannot be dumped changes how all of
them are shown. The pickle has the values themselves. It is read as data, and nothing that it names is imported or
called; where it cannot be read, only the shown form counts.
"""

from functools import lru_cache
from typing import Any, NamedTuple

from ezmsg.ledger.errors import InvalidValue
from ezmsg.ledger.events import SettingsValue
from ezmsg.ledger.pickles import UnsoundPickle, loads
from ezmsg.ledger.pickles.arrays import Array, difference
from ezmsg.ledger.pickles.stand_ins import Inert
from ezmsg.ledger.projections.questions.answers import FieldChange
from ezmsg.ledger.projections.questions.value_comparison import alike, alike_forms, bare
from ezmsg.ledger.values import DEPTH_MAX, Form, fields_of, freeze, same

HIDDEN = "changed, in a way its shown form does not tell"
"""Said of a value whose pickle is another one, where it cannot be seen in what."""


class _Unknown:
    """Stands for a value of which the pickle tells nothing."""


class Kept(NamedTuple):
    """A value as it is shown, and as the pickle has it (the class _Unknown, where that does not tell)."""

    shown: Form
    held: Any = _Unknown

    @property
    def form(self) -> Form:
        """The value itself where it is a number, a text or the like; else the shown form."""
        value = bare(self.held)
        if value is None or type(value) in (bool, int, float, str):
            return freeze(value)
        return self.shown

    @property
    def array(self) -> Array | None:
        """The array that it is; None when it is something else."""
        value = bare(self.held)
        return value if type(value) is Array else None

    @property
    def is_known(self) -> bool:
        """Whether the pickle tells the value."""
        return self.held is not _Unknown


def shown_form(value: SettingsValue) -> Form:
    """The form in which ezmsg shows settings: the structure where it has one, else the readable form."""
    return value.repr_value if value.structured_value is None else value.structured_value


def kept(value: SettingsValue) -> Kept:
    """A settings value, whole. Cost: O(bytes of the pickle)."""
    return Kept(shown_form(value), _unpickled(value.serialized))


@lru_cache(maxsize=64)  # each value is compared with the one before it and the one after it
def _unpickled(data: bytes | None) -> Any:
    if data is None:
        return _Unknown
    try:
        return loads(data)
    except UnsoundPickle:
        return _Unknown


def parts(value: Kept) -> dict[str, Kept]:
    """The fields of a value, by name: those that are shown, each with what the pickle has of it."""
    held = attributes(value.held)
    return {name: Kept(form, held.get(name, _Unknown)) for name, form in fields_of(value.shown).items()}


def attributes(held: Any) -> dict[str, Any]:
    """The attributes of an object that a pickle describes: a dataclass, with or without slots, or a pydantic model."""
    if type(held) is dict:
        return {str(bare(name)): item for name, item in held.items()}
    if type(held) is not Inert or len(held.steps) != 1:
        return {}
    found: dict[str, Any] = {}
    states = held.state if type(held.state) is tuple else (held.state,)
    for state in states:
        if type(state) is dict:
            inner = state.get("__dict__")
            found |= inner if type(inner) is dict else state
    return {name: item for name, item in found.items() if type(name) is str}


def leaves(value: Kept, path: str = "") -> dict[str, Kept]:
    """The fields of a value by their dotted paths, as deep as its shown form has fields; by "" one without any."""
    inner = parts(value)
    if not inner:
        return {path: value} if path or value.shown not in (None, {}) else {}
    found: dict[str, Kept] = {}
    for name, item in inner.items():
        found |= leaves(item, f"{path}.{name}" if path else name)
    return found


def changes(
    before: SettingsValue | None,
    after: SettingsValue,
    *,
    deep: bool = True,
    noise: bool = False,
    whole: bool = False,
) -> list[FieldChange]:
    """The changes between two settings values; with ``deep``, by dotted paths, else by the fields at the top.

    With ``noise`` the values are from two runs: addresses of objects in shown texts do not count. With ``whole`` the
    notes on arrays have every element.

    A field whose values are alike did not change, however it is shown. Where the pickles differ and no field tells why,
    one change says so. Cost: O(bytes of both).
    """
    old = {} if before is None else _named(kept(before), deep)
    new = _named(kept(after), deep)
    found = []
    for path in dict.fromkeys([*old, *new]):
        if path not in new or path not in old:
            missing = "after" if path in old else "before"
            one, other = (each[path].form if path in each else None for each in (old, new))
            array = new[path].array if path in new else None
            note = None if array is None else f"= {array.text() if whole else array.kind}"
            found.append(FieldChange(path, one, other, missing, note))
        elif (note := differ(old[path], new[path], noise, whole)) is not None:
            found.append(FieldChange(path, old[path].form, new[path].form, note=note or None))
    if before is not None and not found and _differ_unseen(before, after):
        found.append(FieldChange("", shown_form(before), shown_form(after), note=HIDDEN))
    return found


def whole_change(
    before: SettingsValue, after: SettingsValue, *, noise: bool = False, whole: bool = False
) -> list[FieldChange]:
    """The one change between two values without fields, or of which one has none; nothing where they are alike."""
    old, new = kept(before), kept(after)
    note = differ(old, new, noise, whole)
    return [] if note is None else [FieldChange("", old.form, new.form, note=note or None)]


def _named(value: Kept, deep: bool) -> dict[str, Kept]:
    if deep:
        return leaves(value)
    return parts(value) or ({"": value} if value.shown not in (None, {}, "") else {})


def differ(before: Kept, after: Kept, noise: bool = False, whole: bool = False) -> str | None:
    """Whether two values differ: None where they are alike, else what differs in words ("": their forms show it)."""
    if before.is_known and after.is_known:
        if alike(before.held, after.held, noise=noise):
            return None
        old, new = before.array, after.array
        if old is not None and new is not None:
            return difference(old, new, whole=whole)
        return HIDDEN if same(before.form, after.form) else ""
    return None if alike_forms(before.form, after.form, noise=noise) else ""


def _differ_unseen(before: SettingsValue, after: SettingsValue) -> bool:
    """Whether the pickles differ although no field does."""
    if before.serialized is None or after.serialized is None or before.serialized == after.serialized:
        return False
    old, new = kept(before), kept(after)
    return not (old.is_known and new.is_known and alike(old.held, new.held))


def same_settings(a: SettingsValue, b: SettingsValue, *, noise: bool = False) -> bool:
    """Whether two settings values are alike; with ``noise``, addresses in shown texts do not count."""
    one, other = kept(a), kept(b)
    if one.is_known and other.is_known:
        return alike(one.held, other.held, noise=noise)
    return alike_forms(one.shown, other.shown, noise=noise)


def form_of(value: Any) -> Form:
    """The form of a plain value that ``pickles.loads`` returned, its parts bare; else raises InvalidValue."""
    return freeze(_thawed(value, 0))


def _thawed(value: Any, depth: int) -> Any:
    if depth > DEPTH_MAX:
        raise InvalidValue(f"a value nests deeper than {DEPTH_MAX} levels")
    value = bare(value)
    if type(value) in (list, tuple):
        return type(value)(_thawed(each, depth + 1) for each in value)
    if type(value) is dict:
        return {_thawed(key, depth + 1): _thawed(item, depth + 1) for key, item in value.items()}
    if value is None or type(value) in (bool, int, float, str, bytes):
        return value
    raise InvalidValue(f"a {type(value).__name__} is not a plain value")
