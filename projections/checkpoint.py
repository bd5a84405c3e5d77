"""A graph state as a few lines of JSON, and back: where a fold can start that does not have the events before."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from ezmsg.ledger.errors import EventError
from ezmsg.ledger.projections.facts import Key, Position, facts, from_facts, position
from ezmsg.ledger.projections.records import (
    EndpointRecord,
    ProcessRecord,
    RequestRecord,
    RunRecord,
    SessionRecord,
    SettingRecord,
)
from ezmsg.ledger.projections.state import GraphState

PART = 2**20
"""Bytes from which on the next part is begun: far below what a line may have, unless a single fact is large."""

_RECORDS: dict[str, Any] = {
    "run": RunRecord,
    "session": SessionRecord,
    "process": ProcessRecord,
    "endpoint": EndpointRecord,
    "request": RequestRecord,
    "setting": SettingRecord,
    "registration": tuple[Any, list[str], bool, bytes | None],
    "component": tuple[int, Any],
}
"""What the value of a fact is, by its kind; of all others it is what JSON gives back."""


def encode(state: GraphState) -> list[bytes]:
    """``state`` in parts, each one JSON value: its position, then lists of facts, each ``[[kind, about, ...], value]``.

    docs/FORMAT.md describes them. Cost: O(state).
    """
    parts = [msgspec.json.encode(position(state))]
    pending: list[bytes] = []
    size = 0
    for fact in facts(state).items():
        item = msgspec.json.encode(fact)
        pending.append(item)
        size += len(item)
        if size >= PART:
            parts.append(_list(pending))
            pending, size = [], 0
    return [*parts, _list(pending)] if pending else parts


def _list(items: Sequence[bytes]) -> bytes:
    return b"[" + b",".join(items) + b"]"


def decode(parts: Sequence[bytes]) -> GraphState:
    """The state that ``parts`` were made of. Raises EventError when they are none. Cost: O(state log state)."""
    try:
        at = msgspec.json.decode(parts[0], type=Position)
        return from_facts(at, dict(_facts(parts[1:])))
    except (msgspec.MsgspecError, UnicodeDecodeError, LookupError, TypeError, ValueError, AttributeError) as error:
        raise EventError(
            f"a checkpoint does not hold the facts of a graph: {error!r}",
            hint="It was written by a newer version, or by another program: read the segments before it, too.",
        ) from error


def _facts(parts: Iterable[bytes]) -> Iterable[tuple[Key, Any]]:
    for part in parts:
        for key, value in msgspec.json.decode(part, type=list[tuple[list[Any], Any]]):
            form = _RECORDS.get(key[0])
            yield tuple(key), value if form is None else msgspec.convert(value, form)
