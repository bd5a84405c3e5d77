"""Pickles put together from parts, so that a part which has not changed need not be pickled again.

A part is the body of a pickle: what pushes one value, without the opcodes that begin and end a pickle. In protocol 3
the memo's places are written out, so a part refers to places that it filled itself, wherever it stands: parts may
follow each other, though whoever puts them together must not use the memo. Nothing is shared between two parts.
"""

import struct
from collections.abc import Iterable

from ezmsg.ledger.runtime.server.pickles.writing import dumps

PROTOCOL = 3
"""The last one whose memo works like this; every Python that runs ezmsg reads it."""

HEAD, STOP = b"\x80\x03", b"."

_u32 = struct.Struct("<I").pack


def part(value: object) -> bytes:
    """Any value that can be pickled."""
    return body(dumps(value, PROTOCOL))


def text(value: str) -> bytes:
    """A text, without a place in the memo. UnicodeEncodeError when it is not valid UTF-8."""
    data = value.encode()
    return b"X" + _u32(len(data)) + data


def listed(items: Iterable[bytes]) -> bytes:
    """A list of parts."""
    return b"".join((b"](", *items, b"e"))


def mapped(items: Iterable[tuple[bytes, bytes]]) -> bytes:
    """A dict of parts."""
    return b"".join((b"}(", *(half for item in items for half in item), b"u"))


def named(cls: type) -> bytes:
    """A class or function, by its name."""
    return b"c" + cls.__module__.encode() + b"\n" + cls.__qualname__.encode() + b"\n"


def pair(cls: type) -> tuple[bytes, bytes]:
    """What stands before and behind the two fields of a named tuple of class ``cls``."""
    return named(cls), b"\x86\x81"


def record(cls: type, **fields: bytes) -> bytes:
    """An object of a plain dataclass."""
    state = mapped((text(name), value) for name, value in fields.items())
    return named(cls) + b")\x81" + state + b"b"


def whole(body: bytes) -> bytes:
    """The pickle of a part."""
    return HEAD + body + STOP


def body(data: bytes) -> bytes:
    """The part in a pickle of protocol 3."""
    return data[len(HEAD) : -len(STOP)]
