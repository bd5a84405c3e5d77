"""Replies as pickles that every client can load, whichever ezmsg it has.

The server makes replies of the classes of the ezmsg beside it. A client with an older one lacks the newest of them, and
Python's unpickler gives up a whole reply for one name that it cannot find. Clients do not say which ezmsg they have, so
the pickle itself leaves it to them: a class that is not in the oldest ezmsg is looked up with another one to fall back
to, its nearest ancestor that all of them have.
"""

import argparse
import copyreg
import importlib
import io
import pickle
from collections.abc import Callable
from typing import Any

from ezmsg.ledger.runtime.server.pickles.allowed import MODULE, RECORDS

OLDEST = frozenset(
    {
        *("GraphMetadata", "ComponentMetadata", "CollectionMetadata", "UnitMetadata", "DynamicSettingsMetadata"),
        *("StreamMetadata", "InputStreamMetadata", "OutputStreamMetadata", "TaskMetadata", "TopicMetadata"),
        *("InputTopicMetadata", "OutputTopicMetadata", "InputRelayMetadata", "OutputRelayMetadata"),
        *("SettingsSchemaMetadata", "SettingsFieldMetadata", "SettingsSnapshotValue", "SettingsFieldUpdateRequest"),
        *("GraphSnapshot", "SnapshotSession", "SnapshotProcess", "SettingsChangedEvent", "TopologyChangedEvent"),
        *("ProcessRegistration", "ProcessOwnershipUpdate", "ProcessSettingsUpdate", "ProcessPing", "ProcessStats"),
        *("ProcessControlRequest", "ProcessControlResponse", "ProcessProfilingSnapshot", "ProcessProfilingTraceBatch"),
        *("ProfilingStreamControl", "ProfilingTraceControl", "ProfilingTraceSample", "ProfilingTraceStreamBatch"),
        *("PublisherProfileSnapshot", "SubscriberProfileSnapshot"),
    }
)
"""The dataclasses of ezmsg 3.9, the oldest whose clients are served."""

PROTOCOL = 4
"""The protocol that every Python knows which runs ezmsg."""

_reconstructor: Any = copyreg._reconstructor  # type: ignore[attr-defined]
"""The function with which old pickles make objects: ``object.__new__`` of a class that only the reader knows."""


class _Module:
    """Stands for ezmsg's module in a pickle."""

    def __reduce__(self) -> tuple[Any, ...]:
        return importlib.import_module, (MODULE,)


class _Class:
    """Stands for a newer class in a pickle: there it is the class of that name, or else ``fallback``."""

    def __init__(self, name: str, fallback: type) -> None:
        self._found = _MODULE, name, fallback

    def __reduce__(self) -> tuple[Any, ...]:
        return getattr, self._found


_MODULE = _Module()


def _reducers() -> dict[type, Callable[[Any], tuple[Any, ...]]]:
    return {cls: _reducer(cls) for cls in RECORDS if cls.__name__ not in OLDEST}


def _reducer(cls: type) -> Callable[[Any], tuple[Any, ...]]:
    ancestors = (base for base in cls.__mro__ if base in RECORDS and base.__name__ in OLDEST)
    # made once, so that a pickle that has many objects of the class names it once; a namespace can hold anything
    stand_in = _Class(cls.__name__, next(ancestors, argparse.Namespace))
    return lambda value: (_reconstructor, (stand_in, object, None), vars(value))


_NEWER: dict[type, Callable[[Any], Any]] = _reducers()


def dumps(value: object, protocol: int = PROTOCOL) -> bytes:
    """A reply as its pickle."""
    if not _NEWER:
        return pickle.dumps(value, protocol)
    sink = io.BytesIO()
    pickler = pickle.Pickler(sink, protocol)
    pickler.dispatch_table = {**copyreg.dispatch_table, **_NEWER}
    pickler.dump(value)
    return sink.getvalue()
