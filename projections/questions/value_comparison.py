"""Values compared as what they are, in whatever form they were recorded.

A member of an IntEnum or a str-Enum is the number or text that it holds, and so is a numpy scalar; 40 is 40.0; a tuple
is the list of its items; a set has no order. True is not 1, and a text is never a number. Beyond that, what a pickle
says of an object is compared part by part: its class, and what it was made of.
"""

import operator
import re
from collections.abc import Callable, Iterable
from typing import Any

from ezmsg.ledger.errors import InvalidValue
from ezmsg.ledger.pickles.arrays import Array, array_of, difference
from ezmsg.ledger.pickles.stand_ins import Global, Inert, scalar
from ezmsg.ledger.values import Form, Model, Opaque, UnknownModel, same, thaw

DEPTH_MAX = 200
"""Levels that are compared; deeper ones, such as those of an object that holds itself, are taken as alike."""

_ADDRESS = re.compile(r"\b0x[0-9a-fA-F]{6,16}\b")
"""An object's address in memory, as ``repr`` shows it: another one in each run of an unchanged program."""

ORDERS: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def compare(sign: str, a: Form, b: Form) -> bool:
    """Whether two value forms compare so, as what they are. Numbers and texts have an order."""
    if sign in ("==", "!="):
        return alike_forms(a, b) == (sign == "==")
    a, b = bare(thaw(a)), bare(thaw(b))
    ordered = any(type(a) in kind and type(b) in kind for kind in ((int, float), (str,)))
    return ordered and ORDERS[sign](a, b)


def alike_forms(a: Form, b: Form, *, noise: bool = False) -> bool:
    """Whether two value forms stand for the same value. With ``noise``, addresses in texts do not count.

    >>> alike_forms(40, 40.0), alike_forms(True, 1), alike_forms({"$": "t", "v": [1]}, [1])
    (True, False, True)
    """
    if same(a, b):
        return True
    try:
        return alike(thaw(a), thaw(b), noise=noise)
    except InvalidValue:
        return False


def alike(a: Any, b: Any, *, noise: bool = False) -> bool:
    """Whether two values are the same as what they are: thawed ones, or those that ``pickles.loads`` returned."""
    return _alike(bare(a), bare(b), noise, 0)


def bare(value: Any) -> Any:
    """The number or text of a value that holds nothing else; the array of a stand-in; else the value itself."""
    if type(value) is Inert:
        found = scalar(value)
        return found if found is not None else array_of(value) or value
    if type(value) is Opaque:
        return bare(value.plain)
    return value


def without_addresses(text: str) -> str:
    """A text in which no address of an object stands: ``<function f at 0x...>``."""
    return _ADDRESS.sub("0x...", text)


def _alike(a: Any, b: Any, noise: bool, depth: int) -> bool:
    if a is b or depth > DEPTH_MAX:
        return True
    for kinds, compare in _KINDS:
        if isinstance(a, kinds) or isinstance(b, kinds):
            both = isinstance(a, kinds) and isinstance(b, kinds)
            return both and compare(bare(a), bare(b), noise, depth + 1)
    return type(a) is type(b) and bool(a == b)


def _same(a: Any, b: Any, noise: bool, depth: int) -> bool:
    return bool(a == b)


def _numbers(a: Any, b: Any, noise: bool, depth: int) -> bool:
    return bool(a == b) or (a != a and b != b)


def _texts(a: str, b: str, noise: bool, depth: int) -> bool:
    return a == b or (noise and without_addresses(a) == without_addresses(b))


def _lists(a: Any, b: Any, noise: bool, depth: int) -> bool:
    pairs = zip(a, b, strict=False)
    return len(a) == len(b) and all(_alike(bare(old), bare(new), noise, depth) for old, new in pairs)


def _sets(a: Any, b: Any, noise: bool, depth: int) -> bool:
    return len(a) == len(b) and _unordered(a, b, noise, depth)


def _unordered(a: Iterable[Any], b: Iterable[Any], noise: bool, depth: int) -> bool:
    left = [bare(each) for each in b]
    for old in map(bare, a):
        place = next((place for place, new in enumerate(left) if _alike(old, new, noise, depth)), None)
        if place is None:
            return False
        del left[place]
    return True


def _maps(a: dict[Any, Any], b: dict[Any, Any], noise: bool, depth: int) -> bool:
    if len(a) != len(b):
        return False
    if all(type(key) is str and key in b for key in a):
        return all(_alike(bare(item), bare(b[key]), noise, depth) for key, item in a.items())
    return _unordered(a.items(), b.items(), noise, depth)


def _arrays(a: Array, b: Array, noise: bool, depth: int) -> bool:
    return not difference(a, b)


def _globals(a: Global, b: Global, noise: bool, depth: int) -> bool:
    return a.ref == b.ref


def _objects(a: Inert, b: Inert, noise: bool, depth: int) -> bool:
    """Two objects of foreign classes: made by the same, of the same, and then treated alike."""
    if len(a.steps) != len(b.steps) or not _alike(a.maker, b.maker, noise, depth):
        return False
    inside = members(a), members(b)
    if None not in inside:
        return _sets(*inside, noise, depth)
    old = [a.args, a.kwargs, *(part for step in a.steps for part in step)]
    new = [b.args, b.kwargs, *(part for step in b.steps for part in step)]
    return _lists(old, new, noise, depth)


def members(value: Inert) -> Any:
    """The members of an object of a class that is a set of Python's own by another name; None for any other."""
    steps = [payload for kind, payload in value.steps if kind == "add"]
    return [each for payload in steps for each in payload] if steps and len(steps) == len(value.steps) else None


def _models(a: Any, b: Any, noise: bool, depth: int) -> bool:
    if type(a) is not type(b):
        return False
    old, new = ({name: getattr(each, name) for name in each.__struct_fields__} for each in (a, b))
    return _maps(old, new, noise, depth)


_KINDS: tuple[tuple[Any, Any], ...] = (
    (bool, _same),
    (int | float, _numbers),
    (str, _texts),
    (list | tuple, _lists),
    (set | frozenset, _sets),
    (dict, _maps),
    (Array, _arrays),
    (Global, _globals),
    (Inert, _objects),
    (Model | UnknownModel, _models),
)
"""The comparisons by kind, the first that one of two values is of."""
