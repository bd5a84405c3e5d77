"""Plain numpy arrays, read from what their pickles say of them, without numpy.

Two grammars are known: ``_reconstruct`` with a state (protocols up to 4) and ``_frombuffer`` (protocol 5). Everything
has to be as numpy writes it: a dtype of plain numbers, a shape, and exactly as many bytes as these take. Anything else,
arrays of objects, records or times above all, is not taken for an array.
"""

import struct
from math import prod
from typing import Any

import msgspec

from ezmsg.ledger.pickles.stand_ins import NUMPY_NAMES, Global, Inert, numpy_code

_RECONSTRUCT = frozenset({"numpy.core.multiarray:_reconstruct", "numpy._core.multiarray:_reconstruct"})
_FROM_BUFFER = frozenset({"numpy.core.numeric:_frombuffer", "numpy._core.numeric:_frombuffer"})

SHOWN_MAX = 3
"""Elements that a text about arrays names."""


class Array(msgspec.Struct, frozen=True, eq=False):
    """An array of numbers. ``dtype``: numpy's name of it, such as ``float64``; ``order``: C, or F of Fortran's.

    ``format`` is that of one element in ``struct``, with its byte order; ``data`` holds the elements in ``order``.
    """

    dtype: str
    shape: tuple[int, ...]
    order: str
    format: str
    data: bytes

    @property
    def size(self) -> int:
        """The number of elements."""
        return prod(self.shape)

    def text(self, most: int | None = None) -> str:
        """``float64 array of 3: 0.0, 0.5, 1.0``: its kind and its elements, or the first ``most`` of them."""
        items = self.items()
        shown = ", ".join(map(str, items if most is None else items[:most]))
        more = ", ..." if most is not None and len(items) > most else ""
        return f"{self.kind}: {shown}{more}" if items else self.kind

    @property
    def kind(self) -> str:
        """``float64 array of 1,000 x 3``, without its elements."""
        return f"{self.dtype} array of {' x '.join(f'{each:,}' for each in self.shape) or 'no dimension'}"

    def items(self) -> list[Any]:
        """All elements as numbers, in the order of C. Cost: O(size)."""
        found = [each for (each,) in struct.iter_unpack(self.format, self.data)]
        if self.order == "C" or len(self.shape) < 2:
            return found
        strides = [prod(self.shape[:axis]) for axis in range(len(self.shape))]
        places = [0]
        for length, stride in zip(self.shape, strides, strict=True):
            places = [place + step * stride for place in places for step in range(length)]
        return [found[place] for place in places]

    def index(self, place: int) -> list[int]:
        """The index of the element at a place in the order of C."""
        found = []
        for length in reversed(self.shape):
            place, rest = divmod(place, length)
            found.append(rest)
        return found[::-1]


def array_of(value: Any) -> Array | None:
    """The array that a stand-in describes; None for anything else.

    >>> array_of("no array") is None
    True
    """
    if type(value) is not Inert or type(value.maker) is not Global or value.new or value.kwargs:
        return None
    if value.maker.ref in _RECONSTRUCT:
        shape, dtype, order, data = _reconstructed(value)
    elif value.maker.ref in _FROM_BUFFER and len(value.args) == 4 and not value.steps:
        data, dtype, shape, order = value.args
    else:
        return None
    if type(shape) is not tuple or not all(type(each) is int and each >= 0 for each in shape):
        return None
    if type(order) is not str or order not in ("C", "F"):
        return None
    if type(data) not in (bytes, bytearray) or type(dtype) is not Inert:
        return None
    code = numpy_code(dtype)
    if code is None or code[0] not in NUMPY_NAMES:
        return None
    name, letter = NUMPY_NAMES[code[0]]
    form = f"{'>' if code[1] == '>' else '<'}{letter}"  # numpy writes "<" or "|" on all machines of today
    if prod(shape) * struct.calcsize(form) != len(data):
        return None
    return Array(name, shape, order, form, bytes(data))


def _reconstructed(value: Inert) -> tuple[Any, Any, Any, Any]:
    """Shape, dtype, order and bytes from the state that follows a ``_reconstruct``."""
    state = value.state if len(value.steps) == 1 else None
    of = value.args[0] if value.args else None
    plain = type(of) is Global and of.ref == "numpy:ndarray"
    if not plain or type(state) is not tuple or len(state) != 5 or state[0] != 1 or type(state[3]) is not bool:
        return None, None, None, None
    _, shape, dtype, fortran, data = state
    return shape, dtype, "F" if fortran else "C", data


def difference(before: Array, after: Array, *, whole: bool = False) -> str:
    """The difference between two arrays in words; "" where there is none, whatever their order and byte order.

    ``2 of 5,000 elements differ: [3] 0.0 -> 1.0, [7] 0.0 -> 2.0``: SHOWN_MAX of them, or with ``whole`` every one.
    Cost: O(size) where the bytes differ.
    """
    if (before.dtype, before.shape) != (after.dtype, after.shape):
        return f"{before.kind} -> {after.kind}"
    if (before.data, before.order, before.format) == (after.data, after.order, after.format):
        return ""
    pairs = enumerate(zip(before.items(), after.items(), strict=True))
    differing = [(place, old, new) for place, (old, new) in pairs if old != new and not (old != old and new != new)]
    if not differing:
        return ""
    named = differing if whole else differing[:SHOWN_MAX]
    shown = [f"{before.index(place)} {old} -> {new}" for place, old, new in named]
    more = ", ..." if len(differing) > len(named) else ""
    verb = "differs" if len(differing) == 1 else "differ"
    return f"{len(differing):,} of {before.size:,} elements {verb}: {', '.join(shown)}{more}"
