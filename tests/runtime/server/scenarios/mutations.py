"""Ways to spoil a stream of the protocol: some that damage it anywhere, some that know where it hurts."""

import pickle
import re
import struct
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

LENGTHS = (0, 1, 2, 255, *(2**bits + more for bits in (16, 24, 28, 31, 32, 63) for more in (-1, 0, 1)), 2**64 - 1)
"""What a length field may claim: at the bounds of the server, just beyond, and where integers end."""

_PICKLE = re.compile(rb"\x80[\x02-\x05]")


class Hostile:
    """Pickles as a call of ``function``, which whoever loads it makes."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.function = function
        self.arguments = arguments

    def __reduce__(self) -> tuple[Any, ...]:
        return self.function, self.arguments


def hostile(canary: str) -> list[bytes]:
    """Pickles that would make the file ``canary``, import a module, or take memory or time, when they are opened."""
    call = f"open({canary!r}, 'w').close()"
    calls = [
        Hostile(exec, call),
        Hostile(eval, call),
        Hostile(open, canary, "w"),
        Hostile(getattr, Hostile(__import__, "this"), "s"),
        {"gain": Hostile(exec, call)},
        [Hostile(exec, call)] * 3,
        Hostile(bytearray, 2**40),
        Hostile(range, 2**62),
    ]
    made = [pickle.dumps(value, protocol) for value in calls for protocol in (2, 4, 5)]
    system = b"\x80\x04\x8c\x05posix\x8c\x06system\x93\x8c" + bytes([6 + len(canary)]) + b"touch " + canary.encode()
    return [
        *made,
        system + b"\x85R.",
        b"cos\nsystem\n(S'touch " + canary.encode() + b"'\ntR.",
        b"(S'touch " + canary.encode() + b"'\nios\nsystem\n.",
        b"\x80\x04cthis\ns\n.",
        b"\x80\x04" + b"]" * 100_000 + b".",
        b"\x80\x04" + b"(" * 100_000 + b".",
        b"\x80\x04]" + b"\x94h\x00a" * 3 + b".",
        b"\x80\x04\x8e" + struct.pack("<Q", 2**62) + b"x.",
        b"\x80\x04\x8b" + struct.pack("<I", 2**31 - 1) + b"1.",
        b"\x80\x04r" + struct.pack("<I", 2**32 - 1) + b".",
        b"(lp0\n" + b"".join(b"(lp%d\n" % number + b"g%d\na" % (number - 1) * 2 for number in range(1, 40)) + b".",
        b"",
        b".",
    ]


def _place(data: st.DataObject, stream: bytearray) -> int:
    return data.draw(st.integers(0, len(stream)), "place")


def _flip(data: st.DataObject, stream: bytearray) -> None:
    if stream:
        place = min(_place(data, stream), len(stream) - 1)
        stream[place] ^= 1 << data.draw(st.integers(0, 7), "bit")


def _cut(data: st.DataObject, stream: bytearray) -> None:
    del stream[_place(data, stream) :]


def _remove(data: st.DataObject, stream: bytearray) -> None:
    place = _place(data, stream)
    del stream[place : place + data.draw(st.integers(1, 16), "length")]


def _insert(data: st.DataObject, stream: bytearray) -> None:
    place = _place(data, stream)
    stream[place:place] = data.draw(st.binary(min_size=1, max_size=32), "bytes")


def _duplicate(data: st.DataObject, stream: bytearray) -> None:
    begin, end = sorted((_place(data, stream), _place(data, stream)))
    stream[end:end] = stream[begin:end]


def _swap(data: st.DataObject, stream: bytearray) -> None:
    first, second, third = sorted(_place(data, stream) for _ in range(3))
    stream[first:third] = stream[second:third] + stream[first:second]


def _lie(data: st.DataObject, stream: bytearray) -> None:
    """A length field claims something else."""
    fields = [place for place in range(1, len(stream) - 7) if stream[place + 3 : place + 8] == bytes(5)]
    if fields:
        place = data.draw(st.sampled_from(fields), "field")
        stream[place : place + 8] = struct.pack("<Q", data.draw(st.sampled_from(LENGTHS), "claim"))


def _replace_pickle(data: st.DataObject, stream: bytearray, hostile: list[bytes]) -> None:
    """A pickle becomes another one, with its true length before it."""
    found = [(match.start(), int.from_bytes(stream[match.start() - 8 : match.start()], "little"))
             for match in _PICKLE.finditer(stream) if match.start() >= 9]  # fmt: skip
    found = [(begin, size) for begin, size in found if size and begin + size <= len(stream)]
    if found:
        begin, size = data.draw(st.sampled_from(found), "pickle")
        other = data.draw(st.sampled_from(hostile), "hostile")
        stream[begin - 8 : begin + size] = struct.pack("<Q", len(other)) + other


_SPOIL = (_flip, _cut, _remove, _insert, _duplicate, _swap, _lie)


def mutated(data: st.DataObject, stream: bytes, hostile: list[bytes]) -> bytes:
    """``stream``, spoiled in one to four ways."""
    spoiled = bytearray(stream)
    for way in data.draw(st.lists(st.sampled_from((*_SPOIL, None, None)), min_size=1, max_size=4), "ways"):
        if way is None:
            _replace_pickle(data, spoiled, hostile)
        else:
            way(data, spoiled)
    return bytes(spoiled)
