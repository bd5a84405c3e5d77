"""Digests of a graph state over a typed, length-prefixed encoding of its facts. docs/FORMAT.md has the vectors."""

import hashlib
import struct
from collections.abc import Iterable
from typing import Any

import msgspec

from ezmsg.ledger.errors import UnknownEvents
from ezmsg.ledger.projections.graph.ownership import in_order
from ezmsg.ledger.projections.graph.tables import GraphTables

VERSION = 1
"""The version of the encoding, part of every digest: its change can never pass for a change of state."""


def encode(value: Any) -> bytes:
    """The canonical bytes of a tree of None, bool, int, float, str, bytes, list, tuple, dict and records.

    One tag byte, then: int as decimal text, float as 8 bytes (IEEE 754, big-endian), text as UTF-8, each with a 4-byte
    big-endian length; a list its 4-byte count and items; a dict its count and pairs in its own order (the order is a
    fact); a record as a dict of its fields.
    """
    parts: list[bytes] = []
    _encode(value, parts.append)
    return b"".join(parts)


def _encode(value: Any, put: Any) -> None:
    cls = type(value)
    if value is None:
        put(b"n")
    elif cls is bool:
        put(b"T" if value else b"F")
    elif cls is int:
        _sized(b"i", str(value).encode("ascii"), put)
    elif cls is float:
        put(b"d" + struct.pack(">d", value))
    elif cls is str:
        _sized(b"s", value.encode("utf-8"), put)
    elif cls is bytes:
        _sized(b"b", value, put)
    elif cls in (list, tuple):
        put(b"l" + struct.pack(">I", len(value)))
        for item in value:
            _encode(item, put)
    elif cls is dict:
        put(b"m" + struct.pack(">I", len(value)))
        for key, item in value.items():
            _encode(key, put)
            _encode(item, put)
    elif isinstance(value, msgspec.Struct):
        _encode({name: getattr(value, name) for name in value.__struct_fields__}, put)
    else:
        raise TypeError(f"{cls.__name__} has no place in a graph state")


def _sized(tag: bytes, data: bytes, put: Any) -> None:
    put(tag + struct.pack(">I", len(data)))
    put(data)


def digest(state: GraphTables, *, allow_unknown: bool = False) -> str:
    """See ``GraphState.digest``."""
    _refuse_unknown(state, allow_unknown)
    return _sha256(
        {
            "digest": VERSION,
            "seq": state.seq,
            "rules": state.rules,
            "paused": state.paused,
            "topology": state.topology,
            "settings_changes": state.settings_changes,
            "nodes": list(state.ownership.nodes),
            "edges": [
                [edge, in_order(owners)] for edge, owners in sorted(state.ownership.edges(), key=lambda item: item[0])
            ],
            "runs": _by_id(state.runs),
            "sessions": _by_id(state.sessions),
            "registrations": _by_id(state.registrations),
            "settings": list(state.settings.items()),
            "processes": _by_id(state.processes),
            "endpoints": _by_id(state.endpoints),
            "requests": _by_id(state.requests),
        }
    )


def shape_digest(state: GraphTables) -> str:
    """See ``GraphState.shape_digest``: what is wired, registered, set and run, by name; who is who is left out."""
    edges = {edge: sorted(_owner_shape(state, owner) for owner in owners) for edge, owners in state.ownership.edges()}
    endpoints = [[record.kind, state.topic_of(key), record.stalled] for key, record in state.endpoints.items()]
    processes = [[record.host, record.units] for record in state.processes.values()]
    return _sha256(
        {
            "shape": VERSION,
            "paused": state.paused,
            "edges": sorted([edge, owners] for edge, owners in edges.items()),
            "sessions": _sorted(_session_shape(state, session) for session in state.sessions),
            "settings": sorted(
                (address, encode([record.value, record.process is not None]))
                for address, record in state.settings.items()
            ),
            "processes": _sorted(processes),
            "endpoints": _sorted(endpoints),
        }
    )


def _owner_shape(state: GraphTables, owner: int | None) -> str:
    return "persistent" if owner is None else f"session {state.sessions[owner].label or ''}"


def _session_shape(state: GraphTables, session: int) -> list[Any]:
    registration = state.registrations.get(session)
    metadata = None if registration is None else registration.metadata
    return [state.sessions[session].label, state.ownership.held(session), metadata]


def _sorted(items: Iterable[Any]) -> list[bytes]:
    return sorted(encode(item) for item in items)


def _by_id(records: dict[int, Any]) -> list[tuple[int, Any]]:
    return sorted(records.items())


def _sha256(facts: dict[str, Any]) -> str:
    return hashlib.sha256(encode(facts)).hexdigest()


def _refuse_unknown(state: GraphTables, allow_unknown: bool) -> None:
    if state.unknown and not allow_unknown:
        raise UnknownEvents(
            f"at seq {state.seq} events of an unknown type were passed over: the state may be incomplete"
        )
