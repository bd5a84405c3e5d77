"""A graph state as bytes, and back: everything that a fold needs to go on from there.

One JSON object on one line, without a newline: it can be a field of a line of a ledger, or stand in a file of its own.
Equal states give equal bytes. docs/FORMAT.md describes it.
"""

from typing import Any

import msgspec

from ezmsg.ledger.errors import InvalidValue, NewerFormat
from ezmsg.ledger.projections.graph.records import (
    EndpointRecord,
    ProcessRecord,
    Registration,
    RequestRecord,
    RunRecord,
    SessionRecord,
    SettingRecord,
)
from ezmsg.ledger.projections.graph.state import GraphState

VERSION = 1
"""The version of this encoding. A field that is added has a default; anything else is a new version."""

_HINT = "A checkpoint is derived: make it again from the ledger."


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True):
    """A graph state, spelled out.

    ``nodes`` are [topic, rank of its birth] in ezmsg's order; ``edges`` are [from, to, owners], the topics by their
    place in ``nodes``, sorted; owners are sorted, the persistent one (null) first. Tables are by id, settings in
    ezmsg's order. What can be derived from these (components, units, numbers of edges) is left out.
    """

    version: int
    seq: int
    time: int
    rules: int
    unknown: bool
    paused: bool
    topology: int
    settings_changes: int
    nodes: list[tuple[str, int]]
    edges: list[tuple[int, int, list[int | None]]]
    runs: dict[int, RunRecord]
    sessions: dict[int, SessionRecord]
    registrations: dict[int, Registration]
    settings: list[tuple[str, SettingRecord]]
    processes: dict[int, ProcessRecord]
    endpoints: dict[int, EndpointRecord]
    requests: dict[int, RequestRecord]


_PLAIN = ("seq", "time", "rules", "unknown", "paused", "topology", "settings_changes")
_TABLES = ("runs", "sessions", "registrations", "processes", "endpoints", "requests")
"""The fields that a checkpoint has as the state has them, and the tables of records by id."""


class _Versioned(msgspec.Struct):
    version: int


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Checkpoint)
_version = msgspec.json.Decoder(_Versioned)


def encode(state: GraphState) -> bytes:
    """The bytes of ``state``. Cost: O(state log state)."""
    return _encoder.encode(checkpoint(state))


def decode(data: bytes | memoryview) -> GraphState:
    """The state that ``encode`` was given: equal digest, equal answers, and it goes on equally. Cost: O(state).

    Raises NewerFormat when a newer version wrote it, InvalidValue when it is not what ``encode`` writes.
    """
    try:
        version = _version.decode(data).version
        if version > VERSION:
            raise NewerFormat(f"a checkpoint of version {version}; this version knows those up to {VERSION}")
        return restore(_decoder.decode(data))
    except (msgspec.MsgspecError, UnicodeDecodeError, LookupError, TypeError, ValueError) as error:
        raise InvalidValue(f"not a checkpoint: {type(error).__name__}: {error}", hint=_HINT) from error


def checkpoint(state: GraphState) -> Checkpoint:
    """``state``, spelled out; the records are shared with it. Cost: O(state log state)."""
    nodes, edges = state.ownership.spelled()
    return Checkpoint(
        version=VERSION,
        nodes=nodes,
        edges=edges,
        settings=list(state.settings.items()),
        **{name: getattr(state, name) for name in _PLAIN},
        **{name: _by_id(getattr(state, name)) for name in _TABLES},
    )


def restore(kept: Checkpoint) -> GraphState:
    """The state that ``checkpoint`` was taken of. Raises LookupError, TypeError or ValueError when it cannot be."""
    state = GraphState()
    for name in _PLAIN:
        setattr(state, name, getattr(kept, name))
    for name in _TABLES:
        getattr(state, name).update(getattr(kept, name))
    state.ownership.load(kept.nodes, kept.edges, kept.sessions)
    state.settings.update(kept.settings)
    for session, registration in kept.registrations.items():
        state.components.update(dict.fromkeys(registration.components, session))
    state.units.update((unit, process) for process, record in kept.processes.items() for unit in record.units)
    return state


def _by_id(table: Any) -> Any:
    return dict(sorted(table.items()))
