"""Requests that are to change one field of a unit's settings, read from their payloads.

Ezmsg's clients send a pickle of an object with a field's path and a value. A ledger comes from anywhere: only what
builds plain values out of the bytes at hand is obeyed, and no class is ever looked up.
"""

import pickle
import pickletools
from io import BytesIO
from typing import Any, NamedTuple

from ezmsg.ledger.errors import InvalidValue
from ezmsg.ledger.values import Form, freeze

UPDATE = "UPDATE_SETTING_FIELD"
"""The operation with which a session asks a process to change one field."""

_NAME = ("ezmsg.core.graphmeta", "SettingsFieldUpdateRequest")

_OBEYED = frozenset(
    {
        *("PROTO", "FRAME", "STOP", "MEMOIZE", "BINPUT", "BINGET", "LONG_BINGET", "MARK", "GLOBAL"),
        *("STACK_GLOBAL", "NEWOBJ", "BUILD", "NONE", "NEWTRUE", "NEWFALSE", "BININT", "BININT1", "BININT2"),
        *("LONG1", "BINFLOAT", "SHORT_BINUNICODE", "BINUNICODE", "EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2"),
        *("TUPLE3", "EMPTY_LIST", "APPEND", "APPENDS", "EMPTY_DICT", "SETITEM", "SETITEMS"),
    }
)
"""The opcodes of plain values. None takes more memory than its bytes have, or calls anything but _Request."""


_UNREADABLE = (pickle.UnpicklingError, ArithmeticError, ValueError, TypeError, EOFError, LookupError, AttributeError)
"""The errors of pickle and pickletools for bytes that are not a pickle, or not all of one."""


class Wish(NamedTuple):
    """A request that ``field`` (a dotted path) be ``value``."""

    field: str
    value: Form


class _Request:
    field_path: Any = None
    value: Any = None


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) != _NAME:
            raise pickle.UnpicklingError(f"{module}.{name} is not looked up")
        return _Request


def wish(payload: bytes | None) -> Wish | None:
    """The change that a payload asks for; None for one that ezmsg's clients do not send, or without a plain value.

    Cost: O(size), in Python.
    """
    if payload is None:
        return None
    try:
        if any(code.name not in _OBEYED for code, _, _ in pickletools.genops(payload)):
            return None
        found = _Reader(BytesIO(payload)).load()
        if type(found) is not _Request or type(found.field_path) is not str:
            return None
        return Wish(found.field_path, freeze(found.value))
    except (*_UNREADABLE, InvalidValue):
        return None  # cut at its bound, or another program's
