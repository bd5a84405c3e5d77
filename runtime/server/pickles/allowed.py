"""The allow-list of pickles: ezmsg's classes of which real objects are made, beside Python's own values."""

import enum
from dataclasses import is_dataclass

from ezmsg.core import graphmeta

from ezmsg.ledger.pickles.builtin import BUILTINS
from ezmsg.ledger.pickles.stand_ins import Global

MODULE = graphmeta.__name__

HOOKS = ("__slots__", "__new__", "__setstate__", "__getattr__", "__setattr__", "__reduce__", "__reduce_ex__")
"""Attributes with which a class could run code, or store elsewhere, when one of its objects is rebuilt."""


def _is_plain(cls: type) -> bool:
    """Whether a class is a dataclass whose objects are their ``__dict__`` and no more."""
    return is_dataclass(cls) and not any(hook in vars(base) for base in cls.__mro__[:-1] for hook in HOOKS)


def _allowed() -> dict[tuple[str, str], Global]:
    known = dict(BUILTINS)
    for name, cls in vars(graphmeta).items():
        if not isinstance(cls, type) or cls.__module__ != MODULE:
            continue
        if issubclass(cls, enum.Enum):
            known[MODULE, name] = Global(MODULE, name, "enum", cls)
        elif _is_plain(cls):
            known[MODULE, name] = Global(MODULE, name, "record", cls)
    known[MODULE, "Edge"] = Global(MODULE, "Edge", "pair", graphmeta.Edge)
    return known


KNOWN = _allowed()
"""Every name that is more than a name here. ``kind`` selects the maker, ``target`` is the real class."""

RECORDS = frozenset(known.target for known in KNOWN.values() if known.kind == "record")
"""The classes whose objects get their state as it stands."""
