"""Pickles that come again and again with other numbers in them, read at the cost of a glance.

A unit whose settings are driven reports them a hundred times a second, and one report differs from the next in a few
numbers. The idea: where two pickles differ in nothing but the bytes of a number, or of a string of bytes, what is read
of them differs in that value alone. So when a pickle of some form comes a second time, the one reader that there is
reads a *probe* too: the same pickle with values that nothing else has. Where these come out, the values of later
pickles are put. Nothing is opened in a second way: what is not byte for byte of a known form goes to the reader. So
does a float that is not finite, and whatever has numbers as keys or in sets: there the values decide what is equal.
"""

import pickletools
import secrets
import struct
from collections.abc import Callable, Iterator
from math import isfinite
from operator import itemgetter
from typing import Any, TypeAlias

from ezmsg.ledger.errors import LedgerError
from ezmsg.ledger.values import TAG

SIZE_MAX = 4096
"""Bytes of a pickle that is remembered: a report of settings has a few hundred."""

FORMS_MAX = 32
"""Forms of one sender that are remembered."""

PROBED_MAX = 256
"""Times that a probe is made for one sender: one costs as much as reading a few pickles."""

BYTES_MIN = 16
"""Length of a string of bytes from which on one at random is like no other."""

Read: TypeAlias = Callable[[bytes], tuple[Any, ...]]
"""Reads a pickle: returns a tuple of plain values, dicts, lists and tuples."""

Fill: TypeAlias = Callable[[list[Any]], Any]
"""Makes a value with the values of a pickle in their places."""

_BY_VALUE = frozenset({"m", "set", "frozenset"})
"""The tags of forms whose order and size depend on the values in them."""

_FLOAT, _INT = "BINFLOAT", "BININT"
_HEADS = {"SHORT_BINBYTES": 2, "BINBYTES": 5, "BINBYTES8": 9}
"""The bytes before the string's own, in the opcodes of strings of bytes."""


class Repeated:
    """Reads the pickles of one sender with ``read``, and those of a form that it knows without."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self._forms: dict[int, list[_Form]] = {}  # by length
        self._seen: set[int] = set()
        self._known = self._probed = 0

    def read(self, data: bytes) -> tuple[Any, ...]:
        """The result of ``read`` for a pickle. Parts of it can be those of an earlier one: they must not be changed.

        Raises as ``read`` does. Cost: some 2 us for one of a known form.
        """
        size = len(data)
        for form in self._forms.get(size, ()):
            found = form.read(data)
            if found is not None:
                return found
        found = self._read(data)
        if size <= SIZE_MAX and self._known < FORMS_MAX and self._probed < PROBED_MAX:
            if size in self._seen:
                self._learn(data, found)
            self._seen.add(size)
        return found

    def _learn(self, data: bytes, found: tuple[Any, ...]) -> None:
        self._probed += 1
        form = _Form.of(data, found, self._read)
        if form is not None:
            self._known += 1
            self._forms.setdefault(len(data), []).append(form)


class _Form:
    """The bytes that all pickles of a form share, where their values stand, and what is made of these."""

    def __init__(self, layout: struct.Struct, data: bytes, ints: list[int], fill: Fill) -> None:
        self._unpack = layout.unpack
        self._fixed = self._unpack(data)[::2]
        self._ints = ints
        self._fill = fill

    def read(self, data: bytes) -> tuple[Any, ...] | None:
        """The result for a pickle of the same length; None when it is not of this form."""
        parts = self._unpack(data)
        if parts[::2] != self._fixed:
            return None
        values = list(parts[1::2])
        for place in self._ints:
            values[place] = int.from_bytes(values[place], "little", signed=True)
        for value in values:
            if type(value) is float and not isfinite(value):
                return None
        found: tuple[Any, ...] = self._fill(values)
        return found

    @classmethod
    def of(cls, data: bytes, found: tuple[Any, ...], read: Read) -> "_Form | None":
        """The form of a pickle of which ``found`` was read; None when it is not known where its values go."""
        probe, layout, ints, probes = bytearray(data), ">", [], {}
        end = 0
        for place, (kind, begin, size) in enumerate(_values(data)):
            value: Any
            if kind == _FLOAT:
                value = secrets.randbits(52) + 0.5
                code, written = "d", struct.pack(">d", value)
            elif kind == _INT:
                value = secrets.randbits(30) + 2**29
                code, written = "4s", struct.pack("<i", value)
                ints.append(place)
            else:
                value = written = secrets.token_bytes(size)
                code = f"{size}s"
            layout += f"{begin - end}s{code}"
            probe[begin : begin + size] = written
            probes[type(value), value] = place
            end = begin + size
        layout += f"{len(data) - end}s"
        try:
            shown = read(bytes(probe))
        except LedgerError:  # a value of which the rest depends
            return None
        came_out: set[int] = set()
        fill = _filler(shown, probes, came_out)
        if fill is None or len(came_out) < len(probes):
            return None
        form = cls(struct.Struct(layout), data, ints, fill)
        return form if form.read(data) == found else None


def _values(data: bytes) -> Iterator[tuple[str, int, int]]:
    """The numbers and strings of bytes in a pickle: the opcode, and where their own bytes begin and how many they are.

    The opcodes are only listed here: nothing is made of them.
    """
    for opcode, argument, at in pickletools.genops(data):
        assert at is not None
        if opcode.name == _FLOAT:
            yield _FLOAT, at + 1, 8
        elif opcode.name == _INT:
            yield _INT, at + 1, 4
        elif opcode.name in _HEADS and isinstance(argument, bytes) and len(argument) >= BYTES_MIN:
            yield opcode.name, at + _HEADS[opcode.name], len(argument)


def _filler(shown: Any, probes: dict[tuple[type, Any], int], came_out: set[int]) -> Fill | None:
    """A function that makes ``shown`` with other values in place of the probes, which are noted; None without any."""
    kind = type(shown)
    if kind in (float, int, bytes):
        place = probes.get((kind, shown))
        if place is None:
            return None
        came_out.add(place)
        return itemgetter(place)
    if kind is dict:
        if shown.get(TAG) in _BY_VALUE:
            return None  # a probe in it has not come out then
        return _in_place(dict, [(key, _filler(item, probes, came_out)) for key, item in shown.items()], shown)
    if kind in (list, tuple):
        parts = [(index, _filler(item, probes, came_out)) for index, item in enumerate(shown)]
        return _in_place(list, parts, list(shown)) if kind is list else _as_tuple(_in_place(list, parts, list(shown)))
    return None


def _in_place(copy: Callable[[Any], Any], parts: list[tuple[Any, Fill | None]], shown: Any) -> Fill | None:
    changing = [(key, fill) for key, fill in parts if fill is not None]
    if not changing:
        return None

    def make(values: list[Any]) -> Any:
        made = copy(shown)
        for key, fill in changing:
            made[key] = fill(values)
        return made

    return make


def _as_tuple(fill: Fill | None) -> Fill | None:
    return None if fill is None else lambda values: tuple(fill(values))
