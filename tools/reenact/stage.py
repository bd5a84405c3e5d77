"""The recorded events, one after the other, as commands of connections that stand for the recorded ones."""

import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from ezmsg.core.graphmeta import ProcessOwnershipUpdate, ProcessRegistration, ProcessSettingsUpdate
from msgspec import UNSET

from ezmsg.ledger import events as ev
from ezmsg.ledger.projections.graph.state import GraphState
from ezmsg.ledger.runtime.client.line import Broken, Line
from ezmsg.ledger.runtime.server.pickles import dumps
from ezmsg.ledger.runtime.server.translate import form_to_ezmsg, settings_to_ezmsg
from ezmsg.ledger.runtime.server.wire.protocol import Command

GONE_TIMEOUT_S = 10.0
"""How long a server may take to notice that a connection has ended."""

GONE_POLL_S = 0.002

SILENT = (ev.ServerStarted, ev.Mark, ev.ClockRead, ev.Gap, ev.CommandRejected)
"""Events that no client's command brought about, or that changed nothing."""


class Stage:
    """Plays events to a server. ``state`` is the recorded state after the last one that was played.

    ``sessions`` and ``processes``: the connections that stand for the recorded ones, by recorded id. ``refused``: the
    seqs of events that the server refused; ``passed``: how many events of each type have no part in this (endpoints,
    requests, pauses: they belong to programs that run).
    """

    def __init__(self, address: str, observer: Line) -> None:
        self._address = address
        self._observer = observer
        self.state = GraphState()
        self.sessions: dict[int, Line] = {}
        self.processes: dict[int, Line] = {}
        self.refused: list[int] = []
        self.passed: Counter[str] = Counter()

    def play(self, event: ev.AnyEvent) -> None:
        """Play an event: it is commanded, then applied to ``state``. Raises Broken when the server fails."""
        act = _ACTS.get(type(event))
        if act is None:
            if not isinstance(event, SILENT):
                self.passed[ev.type_of(event)] += 1
        elif not act(self, event):
            self.refused.append(event.seq)
        self.state.apply(event)

    def leave(self) -> None:
        """End all connections that still are."""
        for line in (*self.sessions.values(), *self.processes.values()):
            line.close()

    # --- what has to be told to everybody ----------------------------------------------------------------------------

    def _await_gone(self, *ids: str) -> bool:
        """Return when the server has noticed that these connections ended: what comes next may build on it."""
        deadline = time.monotonic() + GONE_TIMEOUT_S
        while True:
            seen = self._observer.ask(Command.SESSION_SNAPSHOT)
            there = {*seen.sessions, *map(str, seen.processes)}
            if there.isdisjoint(ids):
                return True
            if time.monotonic() > deadline:
                raise Broken(f"after {GONE_TIMEOUT_S:g} s the server still shows connections that have ended")
            time.sleep(GONE_POLL_S)

    def _end(self, lines: list[Line]) -> bool:
        for line in lines:
            line.close()
        return self._await_gone(*(line.id for line in lines))

    def _run_ended(self, event: ev.ServerStopped | ev.ServerLost) -> bool:
        lines = [*self.sessions.values(), *self.processes.values()]
        self.sessions.clear()
        self.processes.clear()
        return self._end(lines) if lines else True

    # --- sessions and edges ------------------------------------------------------------------------------------------

    def _session_opened(self, event: ev.SessionOpened) -> bool:
        self.sessions[event.seq] = Line(self._address, Command.SESSION)
        return True

    def _session_cleared(self, event: ev.SessionCleared) -> bool:
        return self.sessions[event.session].say(Command.SESSION_CLEAR)

    def _session_closed(self, event: ev.SessionClosed) -> bool:
        return self._end([self.sessions.pop(event.session)])

    def _edge_connected(self, event: ev.EdgeConnected) -> bool:
        if event.owner is not None:
            return self.sessions[event.owner].say(Command.SESSION_CONNECT, event.from_topic, event.to_topic)
        return self._once(Command.CONNECT, event.from_topic, event.to_topic)

    def _edge_disconnected(self, event: ev.EdgeDisconnected) -> bool:
        if event.owner is not None:
            return self.sessions[event.owner].say(Command.SESSION_DISCONNECT, event.from_topic, event.to_topic)
        return self._once(Command.DISCONNECT, event.from_topic, event.to_topic)

    def _graph_cleared(self, event: ev.GraphCleared) -> bool:
        return all(self._once(Command.DISCONNECT, *edge) for edge in self.state.ownership.held(None))

    def _once(self, command: bytes, from_topic: str, to_topic: str) -> bool:
        with Line(self._address, command) as line:
            return line.say(command, from_topic, to_topic)

    def _metadata_registered(self, event: ev.MetadataRegistered) -> bool:
        # Never the raw pickle, where one is kept: a stock server would open it without an allow-list.
        payload = dumps(form_to_ezmsg(event.metadata))
        return self.sessions[event.session].say(Command.SESSION_REGISTER, payload=payload)

    # --- processes ---------------------------------------------------------------------------------------------------

    def _process_opened(self, event: ev.ProcessOpened) -> bool:
        self.processes[event.seq] = Line(self._address, Command.PROCESS)
        return True

    def _process_registered(self, event: ev.ProcessRegistered) -> bool:
        pid, host = event.pid if event.pid is not None else 0, event.host or ""
        payload = ProcessRegistration(pid=pid, host=host, units=list(event.units))
        return self._of_process(event.process, Command.PROCESS_REGISTER, payload)

    def _process_ownership_changed(self, event: ev.ProcessOwnershipChanged) -> bool:
        payload = ProcessOwnershipUpdate(added_units=list(event.added), removed_units=list(event.removed))
        return self._of_process(event.process, Command.PROCESS_UPDATE_OWNERSHIP, payload)

    def _process_closed(self, event: ev.ProcessClosed) -> bool:
        return self._end([self.processes.pop(event.process)])

    def _settings_updated(self, event: ev.SettingsUpdated) -> bool:
        before = self.state.settings.get(event.component)
        schema = None if before is None or before.value.settings_schema is UNSET else before.value.settings_schema
        reported = event.time if event.reported_at is None else event.reported_at
        payload = ProcessSettingsUpdate(
            component_address=event.component,
            value=settings_to_ezmsg(event.value, schema),
            timestamp=reported / 10**9,
        )
        return self._of_process(event.process, Command.PROCESS_SETTINGS_UPDATE, payload)

    def _of_process(self, process: int, command: bytes, payload: object) -> bool:
        return self.processes[process].say(command, payload=dumps(payload))


_ACTS: dict[type, Callable[[Stage, Any], bool]] = {
    ev.ServerStopped: Stage._run_ended,
    ev.ServerLost: Stage._run_ended,
    ev.SessionOpened: Stage._session_opened,
    ev.SessionCleared: Stage._session_cleared,
    ev.SessionClosed: Stage._session_closed,
    ev.EdgeConnected: Stage._edge_connected,
    ev.EdgeDisconnected: Stage._edge_disconnected,
    ev.GraphCleared: Stage._graph_cleared,
    ev.MetadataRegistered: Stage._metadata_registered,
    ev.ProcessOpened: Stage._process_opened,
    ev.ProcessRegistered: Stage._process_registered,
    ev.ProcessOwnershipChanged: Stage._process_ownership_changed,
    ev.ProcessClosed: Stage._process_closed,
    ev.SettingsUpdated: Stage._settings_updated,
}
