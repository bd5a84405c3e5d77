"""The tables of a graph: all that is known after an event. ``GraphState`` folds events into them."""

from typing import TypeVar

from ezmsg.ledger.projections.graph.ownership import Ownership
from ezmsg.ledger.projections.graph.records import (
    EndpointRecord,
    ProcessRecord,
    Registration,
    RequestRecord,
    RunRecord,
    SessionRecord,
    SettingRecord,
)

RECORDS = {"run": "runs", "session": "sessions", "process": "processes", "endpoint": "endpoints", "request": "requests"}
"""The tables of records by id, by the kind of fact that each of them holds."""


AnyTables = TypeVar("AnyTables", bound="GraphTables")
"""A graph state of whichever class is given."""


class GraphTables:
    """The graph after event ``seq``: edges with their owners, sessions, components, settings, processes, runs.

    Everything is keyed by id (the seq of the opening event), components, settings and units by their address. ``time``
    (ns since the epoch, UTC) is that of the event, ``rules`` are those of folding in force, ``unknown`` says whether an
    event of an unknown type was passed over. ``topology`` and ``settings_changes`` count the entries that ezmsg's two
    feeds have had.
    """

    def __init__(self) -> None:
        self.seq = 0
        self.time = 0
        self.rules = 1
        self.unknown = False
        self.paused = False
        self.ownership = Ownership()
        self.runs: dict[int, RunRecord] = {}
        self.sessions: dict[int, SessionRecord] = {}
        self.registrations: dict[int, Registration] = {}
        self.components: dict[str, int] = {}
        self.settings: dict[str, SettingRecord] = {}
        self.processes: dict[int, ProcessRecord] = {}
        self.units: dict[str, int] = {}
        self.endpoints: dict[int, EndpointRecord] = {}
        self.requests: dict[int, RequestRecord] = {}
        self.topology = 0
        self.settings_changes = 0

    @property
    def run(self) -> tuple[int, RunRecord] | None:
        """The run of the server that is on, as (id, record); None between runs."""
        return next(reversed(self.runs.items()), None)

    def topic_of(self, endpoint: int) -> str | None:
        """The topic of an open endpoint; of a channel that of its publisher, None when that is gone."""
        record = self.endpoints[endpoint]
        if record.publisher is None:
            return record.topic
        publisher = self.endpoints.get(record.publisher)
        return None if publisher is None else publisher.topic
