"""Pickles put together from parts, so that a part which has not changed need not be pickled again.

A part is the body of a pickle: what pushes one value, without the opcodes that begin and end a pickle. In protocol 3
the memo's places are written out, so a part refers to places that it filled itself, wherever it stands: parts may
follow each other, though code that puts them together may use the memo only up to the next of them (``naming``).
Nothing else is shared between two parts.
"""

import struct
from collections.abc import Iterable

from ezmsg.ledger.runtime.server.pickles.writing import dumps

PROTOCOL = 3
"""The last one whose memo works like this; every Python that runs ezmsg reads it."""

HEAD, STOP = b"\x80\x03", b"."

_u32 = struct.Struct("<I").pack


def part(value: object) -> bytes:
    """Pickle any value that can be pickled."""
    return body(dumps(value, PROTOCOL))


def text(value: str) -> bytes:
    """A text, without a place in the memo. UnicodeEncodeError when it is not valid UTF-8."""
    data = value.encode()
    return b"X" + _u32(len(data)) + data


def listed(items: Iterable[bytes]) -> bytes:
    """A list of parts. Several that follow each other may be given as one."""
    return b"".join((b"](", *items, b"e"))


def mapped(items: Iterable[bytes]) -> bytes:
    """A dict of parts: key, value, key, value, ... Several that follow each other may be given as one."""
    return b"".join((b"}(", *items, b"u"))


def named(cls: type) -> bytes:
    """A class or function, by its name."""
    return b"c" + cls.__module__.encode() + b"\n" + cls.__qualname__.encode() + b"\n"


def naming(cls: type, value: bytes) -> bytes:
    """``value``, a part in which ``pair`` makes objects of ``cls``; no ``part`` may stand in it before one of these.

    A reader looks the class up once, and not for each of its objects.
    """
    return named(cls) + b"q\x000" + value


def pair(first: bytes, second: bytes) -> bytes:
    """A named tuple of two fields, of the class that is named around it."""
    return b"h\x00" + first + second + b"\x86\x81"


def record(cls: type, **fields: bytes) -> bytes:
    """An object of a plain dataclass."""
    state = (half for name, value in fields.items() for half in (text(name), value))
    return b"".join((named(cls), b")\x81}(", *state, b"ub"))  # one copy: parts can be large


def whole(body: bytes) -> bytes:
    """The pickle of a part."""
    return b"".join((HEAD, body, STOP))


def body(data: bytes) -> bytes:
    """The part in a pickle of protocol 3."""
    return data[len(HEAD) : -len(STOP)]
