"""The entries of ezmsg's two feeds, topology and settings, as the fold gives them out."""

from typing import TypeAlias

import msgspec

from ezmsg.ledger.events import SettingsValue

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
