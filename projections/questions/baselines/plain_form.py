"""Values as JSON that is the same in each run of an unchanged program, and easy to read beside another one.

The idea: two values that ``value_comparison.alike`` takes for the same one get equal forms, so that forms can be kept
in a file without the pickles. Addresses of objects are taken out of texts, members of sets are sorted, an enum member
or a scalar of numpy is the number or text that it holds, a tuple is a list. An object of a foreign class is its class
and what it was made of. What is too large to be read by people is a digest of that.
"""

import hashlib
from typing import Any

import msgspec

from ezmsg.ledger.errors import InvalidValue
from ezmsg.ledger.pickles.arrays import Array
from ezmsg.ledger.pickles.stand_ins import Global, Inert, class_of
from ezmsg.ledger.projections.questions.value_comparison import bare, members, without_addresses
from ezmsg.ledger.values import TAG, Form, Model, Opaque, UnknownModel, freeze, thaw

PARTS_MAX = 100_000
"""Parts of one value that are looked at. Objects that share parts can name very many of them in a few bytes."""

SHOWN_MAX = 400
"""Bytes of an object's parts, or of an array's elements, that stand in the form; of more it has a digest."""

DIGITS = 16
"""Hexadecimal digits of a digest: 64 bits tell two values of one setting apart."""


def plain_form(value: Any) -> Form:
    """The form of a value that was thawed, or that ``pickles.loads`` returned. Cost: O(size).

    >>> plain_form({"labels": {"b", "a"}, "by": "<function f at 0x7f3210aa5b60>"})
    {'by': '<function f at 0x...>', 'labels': {'$': 'set', 'v': ['a', 'b']}}
    """
    return _Forming().form(value)


def plain_of_form(form: Form) -> Form:
    """The plain form of a value that is given as its value form; that form itself where it cannot be thawed."""
    try:
        return plain_form(thaw(form))
    except InvalidValue:
        return form


def digest(form: Form) -> str:
    """A short digest of a plain form: equal for equal ones."""
    return f"sha256:{hashlib.sha256(_encoded(form)).hexdigest()[:DIGITS]}"


def same_plain(a: Form, b: Form) -> bool:
    """Whether two plain forms are the same: 40 is 40.0, but true is not 1. Cost: O(size).

    >>> same_plain([40], [40.0]), same_plain(True, 1)
    (True, False)
    """
    if type(a) is dict and type(b) is dict:
        return a.keys() == b.keys() and all(same_plain(item, b[key]) for key, item in a.items())
    if type(a) is list and type(b) is list:
        return len(a) == len(b) and all(map(same_plain, a, b))
    return (type(a) is bool) == (type(b) is bool) and bool(a == b)


def _encoded(form: Form) -> bytes:
    return msgspec.json.encode(_numbers_alike(form), order="sorted")


def _numbers_alike(form: Form) -> Form:
    """A form in which a float without a fraction is the integer."""
    if type(form) is float and form.is_integer():
        return int(form)
    if type(form) is list:
        return [_numbers_alike(each) for each in form]
    if type(form) is dict:
        return {key: _numbers_alike(item) for key, item in form.items()}
    return form


class _Forming:
    """One value that is put into its form; ``parts`` counts what was looked at."""

    def __init__(self) -> None:
        self.parts = 0
        self.around: set[int] = set()  # ids of the values that the one in hand is inside of

    def form(self, value: Any) -> Form:
        value = bare(value)
        self.parts += 1
        if self.parts > PARTS_MAX or id(value) in self.around:
            return {TAG: "again"}
        if value is None or type(value) in (bool, int, float, bytes):
            return freeze(value)
        if isinstance(value, str):
            return freeze(without_addresses(str(value)))
        self.around.add(id(value))
        try:
            return self._whole(value)
        finally:
            self.around.discard(id(value))

    def _whole(self, value: Any) -> Form:
        if isinstance(value, list | tuple):
            return [self.form(each) for each in value]
        if isinstance(value, set | frozenset):
            return self._set(value)
        if isinstance(value, dict):
            return self._map(value)
        if type(value) is Array:
            return self._array(value)
        if type(value) is Global:
            return {TAG: "name", "v": value.ref}
        if type(value) is Inert:
            return self._object(value)
        if isinstance(value, Model):
            fields = {name: getattr(value, name) for name in value.__struct_fields__}
            return self._named(type(value).__name__, {**fields.pop("extra"), **fields})
        if isinstance(value, UnknownModel):
            return self._named(value.name, value.fields)
        if isinstance(value, Opaque):
            return self.form(value.plain)
        return {TAG: type(value).__name__, "v": without_addresses(repr(value))}

    def _named(self, name: str, fields: dict[str, Any]) -> Form:
        return {TAG: name, **{key: self.form(item) for key, item in sorted(fields.items())}}

    def _set(self, found: Any) -> Form:
        return {TAG: "set", "v": sorted(map(self.form, found), key=_encoded)}

    def _map(self, found: dict[Any, Any]) -> Form:
        if all(type(key) is str and key != TAG for key in found):
            return {key: self.form(item) for key, item in sorted(found.items())}
        pairs = [[self.form(key), self.form(item)] for key, item in found.items()]
        return {TAG: "m", "v": sorted(pairs, key=_encoded)}

    def _array(self, array: Array) -> Form:
        items = [freeze(each + 0 if type(each) is float else each) for each in array.items()]
        about = {TAG: f"{array.dtype} array", "shape": list(array.shape)}
        shown = len(msgspec.json.encode(items)) <= SHOWN_MAX
        return {**about, "v": items} if shown else {**about, "digest": digest(items)}

    def _object(self, value: Inert) -> Form:
        name = class_of(value).ref
        inside = members(value)
        if inside is not None:
            return {**self._set(inside), TAG: name}
        made: dict[str, Any] = {
            "by": None if type(value.maker) is Global and value.maker.ref == name else value.maker,
            "args": list(value.args),
            "kwargs": value.kwargs or {},
            "steps": [list(step) for step in value.steps],
        }
        parts = {key: self.form(part) for key, part in made.items() if part}
        if len(msgspec.json.encode(parts)) > SHOWN_MAX:
            return {TAG: name, "digest": digest(parts)}
        return {TAG: name, **parts}
