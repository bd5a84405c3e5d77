"""The fold of events into a graph state, one short method for each type of event.

Edge events, which are nearly all of a long ledger, go to ``Ownership.run`` in runs of their own.
"""

from collections.abc import Callable, Sequence
from typing import Any

from msgspec import UNSET
from msgspec.structs import replace

from ezmsg.ledger import events as ev
from ezmsg.ledger.errors import InvalidValue, NewerFormat
from ezmsg.ledger.metadata import GraphSnapshot
from ezmsg.ledger.projections.graph.invariants import check
from ezmsg.ledger.projections.graph.ownership import EdgeKey
from ezmsg.ledger.projections.graph.records import (
    EndpointRecord,
    ProcessRecord,
    Registration,
    RequestRecord,
    RunRecord,
    SessionRecord,
    SettingRecord,
    initial_settings,
)
from ezmsg.ledger.projections.graph.tables import GraphTables
from ezmsg.ledger.projections.graph.views.digest import digest, shape_digest
from ezmsg.ledger.projections.graph.views.feed_entries import (
    INITIAL_SETTINGS,
    SETTINGS_UPDATED,
    FeedEntry,
    settings_changed,
    topology_changed,
)
from ezmsg.ledger.projections.graph.views.snapshot import snapshot
from ezmsg.ledger.projections.projection import contradiction, follows
from ezmsg.ledger.wording import count


class GraphState(GraphTables):
    """The graph after an event: a fold of a ledger's events, which starts empty at seq 0.

    The tables are those of GraphTables. Entries of ezmsg's two feeds are put into the list ``watch``, when one is
    given. Applying an event costs O(1), the end of a session, process or run O(what it held).

    >>> from ezmsg.ledger import Ledger, events
    >>> ledger = Ledger.memory()
    >>> _ = ledger.append([events.EdgeConnected(from_topic="A", to_topic="B", owner=None)])
    >>> state = GraphState()
    >>> state.apply_batch(list(ledger.entries()))
    >>> state.snapshot().graph
    {'A': ['B'], 'B': []}
    """

    def __init__(self, watch: list[FeedEntry] | None = None) -> None:
        super().__init__()
        self.watch = watch

    # --- folding -----------------------------------------------------------------------------------------------------

    def apply(self, event: Any) -> None:
        """Apply one event. Raises OutOfOrder when it does not follow, InvalidEvent when it contradicts the state."""
        self.apply_batch((event,))

    def apply_batch(self, events: Sequence[Any]) -> None:
        """Apply events in order: the same as ``apply`` on each, but faster.

        After OutOfOrder the state stands at the last event that followed; after InvalidEvent it is of no further use.
        """
        index = 0
        end = len(events)
        while index < end:
            if type(events[index]) in _EDGES:
                changed: list[Any] | None = None if self.watch is None else []
                seq, changes = self.ownership.run(events, index, self.seq, changed)
                if seq > self.seq:
                    index += seq - self.seq
                    self.seq, self.time = seq, events[index - 1].time
                    self.topology += changes
                    if changed:
                        self._report_edges(changed)
            if index < end:
                self._apply_other(events[index])
                index += 1

    def _apply_other(self, event: Any) -> None:
        follows(event, self.seq)
        self.time = event.time
        handler = _HANDLERS.get(type(event))
        if handler is not None:
            try:
                handler(self, event)
            except (KeyError, ValueError, TypeError, AttributeError, InvalidValue) as error:
                raise contradiction(event.seq, error) from error
        elif type(event) is ev.UnknownEvent:
            self.unknown = True
        self.seq = event.seq

    # --- runs --------------------------------------------------------------------------------------------------------

    def _server_started(self, event: ev.ServerStarted) -> None:
        if event.rules > ev.RULES:
            raise NewerFormat(
                f"event {event.seq} is folded by rules {event.rules}; this version knows rules up to {ev.RULES}",
                hint="Upgrade ezmsg-ledger to read this ledger.",
            )
        self.rules = event.rules
        self.runs[event.seq] = RunRecord(
            uuid=event.uuid,
            kind=event.kind,
            name=event.name,
            host=event.host,
            pid=event.pid,
            address=event.address,
            versions=event.versions,
            rules=event.rules,
            durability=event.durability,
            started=event.time,
            topology_start=self.topology,
            settings_start=self.settings_changes,
        )

    def _server_ended(self, event: ev.ServerStopped | ev.ServerLost) -> None:
        del self.runs[event.server]
        # Sessions first: a setting then goes with its process, and is not restored for a session that ends as well.
        for session in list(self.sessions):
            self._end_session(session, event)
        for process in list(self.processes):
            self._end_process(process, event)
        self.endpoints.clear()
        self.requests.clear()
        self.paused = False

    def _gap(self, event: ev.Gap) -> None:
        self.topology = max(self.topology, event.topology)
        self.settings_changes = max(self.settings_changes, event.settings)

    # --- sessions ----------------------------------------------------------------------------------------------------

    def _session_opened(self, event: ev.SessionOpened) -> None:
        self.sessions[event.seq] = SessionRecord(event.uuid, event.peer, event.label, event.time)
        self.ownership.open(event.seq)

    def _session_cleared(self, event: ev.SessionCleared) -> None:
        self._release_session(event.session, event)

    def _session_closed(self, event: ev.SessionClosed) -> None:
        self._end_session(event.session, event)

    def _end_session(self, session: int, event: Any) -> None:
        self._release_session(session, event)
        self.ownership.close(session)
        del self.sessions[session]

    def _release_session(self, session: int, event: Any) -> None:
        vanished = self.ownership.release(session)
        registered = self._forget_registration(session)
        if vanished or (registered and self.rules >= 2):
            self._report_topology(event, vanished, session=session)

    def _graph_cleared(self, event: ev.GraphCleared) -> None:
        vanished = self.ownership.release(None)
        if vanished:
            self._report_topology(event, vanished)

    # --- metadata and settings ---------------------------------------------------------------------------------------

    def _metadata_registered(self, event: ev.MetadataRegistered) -> None:
        session = event.session
        record = self.sessions[session]
        self._forget_registration(session)
        registration = Registration(event.metadata, event.raw)
        self.registrations[session] = registration
        if registration.label is not None and not record.label:
            self.sessions[session] = replace(record, label=registration.label)
        for key in registration.components:
            if key in self.components:
                raise ValueError(f"{key} is registered by session {self.components[key]}")
            self.components[key] = session
        for index, (address, value) in enumerate(registration.settings()):
            self._register_setting(event, index, address, value)
        if self.rules >= 2:
            self._report_topology(event, [], session=session)

    def _register_setting(
        self, event: ev.MetadataRegistered, index: int, address: str, value: ev.SettingsValue
    ) -> None:
        before = self.settings.get(address)
        if before is not None and before.process is not None:
            self.settings[address] = replace(before, session=event.session)
        else:
            rank = before.rank if before is not None else (event.seq, index)
            self.settings[address] = SettingRecord(value, event.session, None, event.seq, rank)
        self._report_setting(INITIAL_SETTINGS, address, value, event.time, event.session, None)

    def _forget_registration(self, session: int) -> bool:
        registration = self.registrations.pop(session, None)
        if registration is None:
            return False
        for key, component in registration.components.items():
            del self.components[key]
            # A process may have reported a component by its key where that is not its address: neither may outlive it.
            for name in dict.fromkeys((component["address"], key)):
                setting = self.settings.get(name)
                if setting is None or setting.session != session:
                    continue
                if setting.process is None:
                    del self.settings[name]
                else:
                    self.settings[name] = replace(setting, session=None)
        return True

    def _settings_updated(self, event: ev.SettingsUpdated) -> None:
        if event.process not in self.processes:
            raise ValueError(f"process {event.process} is not open")
        before = self.settings.get(event.component)
        session = self.components.get(event.component)
        if session is None and before is not None:
            session = before.session
        value = event.value
        if value.settings_schema is UNSET:
            value = replace(value, settings_schema=None if before is None else before.value.settings_schema)
        rank = before.rank if before is not None else (event.seq, 0)
        self.settings[event.component] = SettingRecord(value, session, event.process, event.seq, rank)
        reported = event.time if event.reported_at is None else event.reported_at
        self._report_setting(SETTINGS_UPDATED, event.component, value, reported, session, event.process)

    # --- processes ---------------------------------------------------------------------------------------------------

    def _process_opened(self, event: ev.ProcessOpened) -> None:
        self.processes[event.seq] = ProcessRecord(event.uuid, event.peer, None, None, (), event.time)

    def _process_registered(self, event: ev.ProcessRegistered) -> None:
        record = self.processes[event.process]
        self.processes[event.process] = replace(record, pid=event.pid, host=event.host)
        self._set_units(event, set(event.units))

    def _process_ownership_changed(self, event: ev.ProcessOwnershipChanged) -> None:
        units = set(self.processes[event.process].units)
        units.update(event.added)
        units.difference_update(event.removed)
        self._set_units(event, units)

    def _set_units(self, event: ev.ProcessRegistered | ev.ProcessOwnershipChanged, units: set[str]) -> None:
        record = self.processes[event.process]
        if units == set(record.units):
            return
        for unit in record.units:
            del self.units[unit]
        for unit in units:
            if unit in self.units:
                raise ValueError(f"{unit} is owned by process {self.units[unit]}")
            self.units[unit] = event.process
        self.processes[event.process] = replace(record, units=tuple(sorted(units)))
        self._report_topology(event, [], process=event.process)

    def _process_closed(self, event: ev.ProcessClosed) -> None:
        self._end_process(event.process, event)

    def _end_process(self, process: int, event: Any) -> None:
        record = self.processes[process]
        for address, setting in list(self.settings.items()):
            if setting.process == process:
                self._fall_back(address, setting, event)
        self._report_topology(event, [], process=process)
        for unit in record.units:
            del self.units[unit]
        del self.processes[process]

    def _fall_back(self, address: str, setting: SettingRecord, event: Any) -> None:
        """Give a setting its initial value again, or none, after the end of the process that reported it."""
        registration = None if setting.session is None else self.registrations.get(setting.session)
        component = None if registration is None else registration.components.get(address)
        if component is None:
            del self.settings[address]
            return
        value = initial_settings(component)
        self.settings[address] = replace(setting, value=value, process=None, since=event.seq)
        self._report_setting(SETTINGS_UPDATED, address, value, event.time, setting.session, None)

    def _request_routed(self, event: ev.RequestRouted) -> None:
        if event.session not in self.sessions or not (event.process is None or event.process in self.processes):
            raise ValueError(f"a request from session {event.session} to process {event.process}")
        self.requests[event.seq] = RequestRecord(
            event.uuid, event.session, event.unit, event.operation, event.process, event.time
        )

    def _request_answered(self, event: ev.RequestAnswered) -> None:
        del self.requests[event.request]

    # --- endpoints ---------------------------------------------------------------------------------------------------

    def _endpoint_opened(self, event: ev.PublisherOpened | ev.SubscriberOpened | ev.ChannelOpened) -> None:
        self.endpoints[event.seq] = EndpointRecord(
            kind=_ENDPOINTS[type(event)],
            uuid=event.uuid,
            topic=getattr(event, "topic", None),
            publisher=getattr(event, "publisher", None),
            declared=getattr(event, "declared", None),
            advertised=getattr(event, "advertised", None),
            peer=event.peer,
            stalled=False,
            opened=event.time,
        )

    def _endpoint_closed(self, event: ev.EndpointClosed) -> None:
        del self.endpoints[event.endpoint]

    def _subscriber_stalled(self, event: ev.SubscriberStalled | ev.SubscriberRecovered) -> None:
        stalled = type(event) is ev.SubscriberStalled
        self.endpoints[event.endpoint] = replace(self.endpoints[event.endpoint], stalled=stalled)

    def _graph_paused(self, event: ev.GraphPaused | ev.GraphResumed) -> None:
        self.paused = type(event) is ev.GraphPaused

    # --- ezmsg's feeds -----------------------------------------------------------------------------------------------

    def _report_edges(self, changed: list[Any]) -> None:
        assert self.watch is not None
        for number, event in enumerate(changed, self.topology - len(changed) + 1):
            self.watch.append(topology_changed(self, number, event, [event.to_topic], event.owner, None))

    def _report_topology(
        self, event: Any, vanished: list[EdgeKey], session: int | None = None, process: int | None = None
    ) -> None:
        self.topology += 1
        if self.watch is not None:
            topics = sorted({to_topic for _, to_topic in vanished})
            self.watch.append(topology_changed(self, self.topology, event, topics, session, process))

    def _report_setting(
        self, kind: str, address: str, value: ev.SettingsValue, time: int, session: int | None, process: int | None
    ) -> None:
        self.settings_changes += 1
        if self.watch is not None:
            self.watch.append(settings_changed(self, kind, address, value, time, session, process))

    # --- answers -----------------------------------------------------------------------------------------------------

    def snapshot(self) -> GraphSnapshot:
        """The graph under ezmsg's names and in its orders. Cost: O(state log state)."""
        return snapshot(self)

    def digest(self, *, allow_unknown: bool = False) -> str:
        """SHA-256 (hex) over all facts, ids included: equal states have equal digests, on every machine and version.

        Raises UnknownEvents when events of a newer version were passed over, unless ``allow_unknown``. Cost: O(state).
        """
        return digest(self, allow_unknown=allow_unknown)

    def shape_digest(self) -> str:
        """SHA-256 (hex) without ids, UUIDs, times and pids: equal for two runs of the same system. Cost: O(state)."""
        return shape_digest(self)

    def check(self) -> None:
        """Assert every invariant; the AssertionError says what is broken. Cost: O(state)."""
        check(self)

    def __repr__(self) -> str:
        edges = sum(1 for _ in self.ownership.edges())
        return (
            f"<GraphState at seq {self.seq}: {count(edges, 'edge')}, {count(len(self.sessions), 'session')}, "
            f"{count(len(self.processes), 'process', 'processes')}, "
            f"{count(len(self.components), 'component')}>"
        )

    def _repr_html_(self) -> str:
        """A picture of the graph, for notebooks."""
        from ezmsg.ledger.projections.drawing.figure import state_html  # no fold waits for a painter

        return state_html(self)


_EDGES = frozenset({ev.EdgeConnected, ev.EdgeDisconnected})

_ENDPOINTS = {ev.PublisherOpened: "publisher", ev.SubscriberOpened: "subscriber", ev.ChannelOpened: "channel"}

_HANDLERS: dict[type, Callable[[GraphState, Any], None]] = {
    ev.ServerStarted: GraphState._server_started,
    ev.ServerStopped: GraphState._server_ended,
    ev.ServerLost: GraphState._server_ended,
    ev.SessionOpened: GraphState._session_opened,
    ev.SessionCleared: GraphState._session_cleared,
    ev.SessionClosed: GraphState._session_closed,
    ev.GraphCleared: GraphState._graph_cleared,
    ev.MetadataRegistered: GraphState._metadata_registered,
    ev.ProcessOpened: GraphState._process_opened,
    ev.ProcessRegistered: GraphState._process_registered,
    ev.ProcessOwnershipChanged: GraphState._process_ownership_changed,
    ev.ProcessClosed: GraphState._process_closed,
    ev.SettingsUpdated: GraphState._settings_updated,
    ev.RequestRouted: GraphState._request_routed,
    ev.RequestAnswered: GraphState._request_answered,
    ev.PublisherOpened: GraphState._endpoint_opened,
    ev.SubscriberOpened: GraphState._endpoint_opened,
    ev.ChannelOpened: GraphState._endpoint_opened,
    ev.EndpointClosed: GraphState._endpoint_closed,
    ev.SubscriberStalled: GraphState._subscriber_stalled,
    ev.SubscriberRecovered: GraphState._subscriber_stalled,
    ev.Gap: GraphState._gap,
    ev.GraphPaused: GraphState._graph_paused,
    ev.GraphResumed: GraphState._graph_paused,
}
