"""The pickled messages of clients, opened and checked field by field.

What ``load`` returns is a fresh object of ezmsg's class that holds builtins, UUIDs and ezmsg's enum members alone, so
that it can be sent on to other clients. Metadata and settings values are the exception: translate.py takes those apart.
"""

import math
from collections.abc import Callable
from dataclasses import MISSING, fields
from typing import Any, TypeAlias, TypeVar
from uuid import UUID

from ezmsg.core.graphmeta import (
    GraphMetadata,
    ProcessControlErrorCode,
    ProcessControlResponse,
    ProcessOwnershipUpdate,
    ProcessProfilingTraceBatch,
    ProcessRegistration,
    ProcessSettingsUpdate,
    ProfileChannelType,
    ProfilingStreamControl,
    ProfilingTraceSample,
    SettingsSnapshotValue,
)

from ezmsg.ledger.events import INT_MAX
from ezmsg.ledger.pickles.stand_ins import Global, Inert, class_of, scalar
from ezmsg.ledger.runtime.server.pickles import loads
from ezmsg.ledger.runtime.server.wire.protocol import Malformed
from ezmsg.ledger.values import is_utf8

T = TypeVar("T")

Check: TypeAlias = Callable[[Any], Any]
"""Returns the value to go on with, or _Wrong."""

NS_PER_S = 10**9
"""An int, for only the division of ints gives back the very float that a client sent."""

TIME_MAX_S = 9_223_372_036
"""Seconds since the epoch whose nanoseconds still fit in 64 bits: the year 2262."""


class WrongType(Malformed):
    """A pickle that holds something else than the command takes, or a field of another type."""


class _Wrong:
    """The result of a check that failed."""


def load(data: bytes, cls: type[T]) -> T:
    """The object of ``cls`` in a pickle, with every field of the type that ezmsg gives it.

    Raises BadPickle when the pickle is not sound, WrongType when it holds something else. Numbers and texts of foreign
    classes (numpy scalars, members of IntEnum) become plain ones; fields that this ezmsg does not know are dropped.
    """
    value = loads(data)
    if type(value) is not cls:
        raise WrongType(f"a {cls.__name__} was expected, not {_what(value)}")
    return value if cls in _AS_THEY_ARE else _checked(value)


def nanoseconds(seconds: float) -> int | None:
    """A client's ``time.time()`` in ns; None for a number that is not a time.

    ``result / NS_PER_S`` gives back the float of a time in whole ns. (``/ 1e9`` would round twice, beyond 2^53 ns.)
    """
    if not math.isfinite(seconds) or abs(seconds) > TIME_MAX_S:
        return None
    numerator, denominator = seconds.as_integer_ratio()
    return (numerator * NS_PER_S + denominator // 2) // denominator  # a product of floats would be off by 128 ns


def _what(value: Any) -> str:
    return f"a {class_of(value).ref}" if isinstance(value, Inert | Global) else f"a {type(value).__name__}"


def _checked(value: Any) -> Any:
    cls = type(value)
    had = vars(value)
    clean = {}
    for name, (check, default) in _FIELDS[cls].items():
        given = had.get(name, default)
        if type(given) is Inert and (found := scalar(given)) is not None:
            given = found
        taken = _Wrong if given is MISSING else check(given)
        if taken is _Wrong:
            raise WrongType(f"{cls.__name__}.{name} is not what it should be, but {_what(had.get(name))}")
        clean[name] = taken
    return cls(**clean)


# --- checks ----------------------------------------------------------------------------------------------------------


def is_text(value: Any) -> bool:
    """Whether ``value`` is a str that is valid UTF-8, as topics, units and addresses must be."""
    return type(value) is str and (value.isascii() or is_utf8(value))


def _text(value: Any) -> Any:
    return value if is_text(value) else _Wrong


def _texts(value: Any) -> Any:
    if type(value) not in (list, tuple, set, frozenset):
        return _Wrong
    texts = [scalar(item) if type(item) is Inert else item for item in value]
    return texts if all(map(is_text, texts)) else _Wrong


def _of(*classes: type) -> Check:
    def check(value: Any) -> Any:
        return value if type(value) in classes else _Wrong

    return check


def _optional(check: Check) -> Check:
    return lambda value: None if value is None else check(value)


def _known_member(cls: type) -> Check:
    """A member of one of ezmsg's enums; None for one that only a newer ezmsg has."""
    return lambda value: value if type(value) is cls else None


def _uuids(value: Any) -> Any:
    if type(value) not in (list, tuple, set, frozenset) or not all(type(item) is UUID for item in value):
        return _Wrong
    return list(value)


def _samples(value: Any) -> Any:
    if type(value) not in (list, tuple) or not all(type(item) is ProfilingTraceSample for item in value):
        return _Wrong
    return [item if _is_clean_sample(vars(item)) else _checked(item) for item in value]


def _is_clean_sample(had: dict[str, Any]) -> bool:
    """Whether a sample can stay as it is: they come by the thousands."""
    kinds = tuple(map(type, had.values()))
    return kinds in _CLEAN_SAMPLES and tuple(had) == _SAMPLE_FIELDS


def _integer(value: Any) -> Any:
    return value if type(value) is int and -INT_MAX <= value <= INT_MAX else _Wrong


def _number(value: Any) -> Any:
    return value if type(value) is float else _integer(value)


_CHECKS: dict[type, dict[str, Check]] = {
    ProcessRegistration: {"pid": _optional(_integer), "host": _optional(_text), "units": _texts},
    ProcessOwnershipUpdate: {"added_units": _texts, "removed_units": _texts},
    ProcessSettingsUpdate: {"component_address": _text, "value": _of(SettingsSnapshotValue), "timestamp": _number},
    ProcessControlResponse: {
        "request_id": _text,
        "ok": _of(bool),
        "payload": _optional(_of(bytes)),
        "error": _optional(_of(str)),
        "error_code": _known_member(ProcessControlErrorCode),
        "process_id": _optional(_of(UUID)),
    },
    ProcessProfilingTraceBatch: {
        "process_id": _optional(_of(UUID, int, str)),
        "pid": _optional(_integer),
        "host": _optional(_text),
        "timestamp": _number,
        "samples": _samples,
    },
    ProfilingTraceSample: {
        "timestamp": _number,
        "endpoint_id": _of(str),
        "topic": _of(str),
        "metric": _of(str),
        "value": _number,
        "channel_kind": _known_member(ProfileChannelType),
        "sample_seq": _optional(_integer),
    },
    ProfilingStreamControl: {
        "interval": _number,
        "max_samples": _integer,
        "process_ids": _optional(_uuids),
        "include_empty_batches": _of(bool),
    },
}


_DEFAULTS = {cls: {field.name: field.default for field in fields(cls)} for cls in _CHECKS}
_FIELDS = {
    cls: {name: (check, _DEFAULTS[cls].get(name, MISSING)) for name, check in checks.items()}
    for cls, checks in _CHECKS.items()
}
"""The checks by class and field, and the field's value where a client's ezmsg has no such field."""

_AS_THEY_ARE = frozenset({GraphMetadata, SettingsSnapshotValue})

_SAMPLE_FIELDS = tuple(_CHECKS[ProfilingTraceSample])
_CLEAN_SAMPLES = frozenset(
    (float, str, str, str, float, kind, number)
    for kind in (ProfileChannelType, type(None))
    for number in (int, type(None))
)
"""The types of the fields of nearly every sample."""
