"""A graph state as a flat map of facts, which a difference compares, and back."""

from typing import Any, TypeAlias

import msgspec

from ezmsg.ledger.projections.graph.ownership import Node
from ezmsg.ledger.projections.graph.records import Registration
from ezmsg.ledger.projections.graph.tables import RECORDS, AnyTables, GraphTables
from ezmsg.ledger.values import map_of, tag_of

Key: TypeAlias = tuple[Any, ...]
"""First the kind of the fact, then what it is about: ``("edge", from, to, owner)``, ``("session", id)``, ..."""


class Position(msgspec.Struct, frozen=True):
    """The place of a state in its history: no facts of the graph, but needed to go on from it."""

    seq: int
    time: int
    rules: int
    unknown: bool
    topology: int
    settings_changes: int


def position(state: GraphTables) -> Position:
    """The position of ``state``."""
    return Position(state.seq, state.time, state.rules, state.unknown, state.topology, state.settings_changes)


def facts(state: GraphTables) -> dict[Key, Any]:
    """Every fact of ``state``, one entry each. Cost: O(state).

    ``edge`` -> True; ``node`` -> rank of its birth; ``setting`` -> SettingRecord by component address; ``registration``
    -> (metadata without components, raw); ``component`` -> (place, form) by session and key; others -> their records.
    """
    out: dict[Key, Any] = {}
    if state.paused:
        out["paused",] = True
    for topic, node in state.ownership.nodes.items():
        out["node", topic] = node.born
    for (from_topic, to_topic), owners in state.ownership.edges():
        for owner in owners:
            out["edge", from_topic, to_topic, owner] = True
    for kind, table in RECORDS.items():
        out.update(((kind, key), record) for key, record in getattr(state, table).items())
    for session, registration in state.registrations.items():
        _put_registration(out, session, registration)
    for address, setting in state.settings.items():
        out["setting", address] = setting
    return out


def _put_registration(out: dict[Key, Any], session: int, registration: Registration) -> None:
    rest = {name: item for name, item in registration.metadata.items() if name != "components"}
    names = list(registration.metadata)
    tagged = tag_of(registration.metadata.get("components")) == "m"
    out["registration", session] = (rest, names, tagged, registration.raw)
    for place, (key, component) in enumerate(registration.components.items()):
        out["component", session, key] = (place, component)


def from_facts(at: Position, table: dict[Key, Any], into: AnyTables) -> AnyTables:
    """``into``, an empty state, made the one that ``facts`` was taken of. Cost: O(state log state)."""
    state = into
    for name in at.__struct_fields__:
        setattr(state, name, getattr(at, name))
    state.paused = ("paused",) in table
    kinds: dict[str, list[tuple[Key, Any]]] = {}
    for key, value in table.items():
        kinds.setdefault(key[0], []).append((key, value))
    for kind, name in RECORDS.items():
        getattr(state, name).update(sorted((key[1], record) for key, record in kinds.get(kind, ())))
    _restore_edges(state, kinds)
    _restore_registrations(state, kinds)
    by_rank = sorted(kinds.get("setting", ()), key=lambda item: item[1].rank)
    state.settings.update((key[1], record) for key, record in by_rank)
    state.units.update((unit, process) for process, record in state.processes.items() for unit in record.units)
    return state


def _restore_edges(state: GraphTables, kinds: dict[str, list[tuple[Key, Any]]]) -> None:
    births = {key[1]: rank for key, rank in kinds.get("node", ())}
    for topic in sorted(births, key=births.__getitem__):
        state.ownership.nodes[topic] = Node(topic, births[topic])
    for session in state.sessions:
        state.ownership.open(session)
    for key, _ in kinds.get("edge", ()):
        state.ownership.put((key[1], key[2]), key[3], births)


def _restore_registrations(state: GraphTables, kinds: dict[str, list[tuple[Key, Any]]]) -> None:
    components: dict[int, list[tuple[int, str, Any]]] = {}
    for key, (place, form) in kinds.get("component", ()):
        components.setdefault(key[1], []).append((place, key[2], form))
    for key, (rest, names, tagged, raw) in sorted(kinds.get("registration", ()), key=lambda item: item[0][1]):
        pairs = [(name, form) for _, name, form in sorted(components.get(key[1], ()), key=lambda item: item[0])]
        whole = map_of(pairs, tagged=tagged)
        metadata = {name: whole if name == "components" else rest[name] for name in names}
        state.registrations[key[1]] = Registration(metadata, raw)
        state.components.update((name, key[1]) for name, _ in pairs)
