"""The entries of ezmsg's two feeds, topology and settings, as the fold gives them out."""

from collections.abc import Mapping
from typing import Any, TypeAlias

import msgspec

from ezmsg.ledger.events import SettingsValue
from ezmsg.ledger.projections.graph.tables import GraphTables

INITIAL_SETTINGS = "INITIAL_SETTINGS"
SETTINGS_UPDATED = "SETTINGS_UPDATED"
GRAPH_CHANGED = "GRAPH_CHANGED"
PROCESS_CHANGED = "PROCESS_CHANGED"


class TopologyChanged(msgspec.Struct, frozen=True):
    """An entry of the topology feed. ``number`` is the feed's own seq, from 1; ``time``: ns; sources are UUIDs."""

    number: int
    time: int
    kind: str
    topics: list[str]
    session: str | None
    process: str | None


class SettingsChanged(msgspec.Struct, frozen=True):
    """An entry of the settings feed. ``number`` is the feed's own seq, from 1; ``time``: ns; sources are UUIDs."""

    number: int
    time: int
    kind: str
    component: str
    value: SettingsValue
    session: str | None
    process: str | None


FeedEntry: TypeAlias = TopologyChanged | SettingsChanged


def topology_changed(
    tables: GraphTables, number: int, event: Any, topics: list[str], session: int | None, process: int | None
) -> TopologyChanged:
    """The entry with this number for a change of the topology by ``event``, whose actors are given by id."""
    kind = GRAPH_CHANGED if process is None else PROCESS_CHANGED
    sources = _uuid(tables.sessions, session), _uuid(tables.processes, process)
    return TopologyChanged(number, event.time, kind, topics, *sources)


def settings_changed(
    tables: GraphTables,
    kind: str,
    component: str,
    value: SettingsValue,
    time: int,
    session: int | None,
    process: int | None,
) -> SettingsChanged:
    """The entry for settings that came into force at ``time`` for a component; the last that the feed has come to."""
    sources = _uuid(tables.sessions, session), _uuid(tables.processes, process)
    return SettingsChanged(tables.settings_changes, time, kind, component, value, *sources)


def _uuid(records: Mapping[int, Any], key: int | None) -> str | None:
    return None if key is None else records[key].uuid
