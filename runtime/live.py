"""The one place where a command is decided: checked against the graph state, appended, applied."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, TypeAlias
from uuid import uuid1

from msgspec import UNSET
from msgspec.structs import replace

from ezmsg.ledger import events as ev
from ezmsg.ledger.errors import (
    AddressCollision,
    CycleError,
    InvalidEvent,
    InvalidValue,
    OwnershipConflict,
)
from ezmsg.ledger.log import Ledger
from ezmsg.ledger.projections.graph.dag import DAG
from ezmsg.ledger.projections.graph.records import ProcessRecord, Registration, RequestRecord, SessionRecord
from ezmsg.ledger.projections.graph.views.snapshot import owner_names
from ezmsg.ledger.projections.questions.settings.change_request import UPDATE
from ezmsg.ledger.runtime.recorded_graph import RecordedGraph
from ezmsg.ledger.runtime.refusal_limit import Refusals
from ezmsg.ledger.runtime.session import Session
from ezmsg.ledger.values import Form, freeze, same

PAYLOAD_KEPT = 64 * 1024
"""Bytes of the payload of a routed request, or of an answer, that are recorded; real ones are a few hundred."""

ERROR_KEPT = 1000
"""Characters of the reason that a process gives for refusing a request."""

HOLDERS_MAX = 3
"""Sessions in the way that the record of a refusal describes; it names them all."""

LISTED_MAX = 100
"""Items of a list that the record of a refusal names: a cycle may run through a hundred thousand topics."""


Rerouted: TypeAlias = tuple[str, ...]
"""The topics, sorted, whose downstream subscribers hear other publishers because of a command."""


class LiveGraph(RecordedGraph):
    """A live graph: a ledger, the state that is the fold of it, and the decisions that extend both.

        >>> from ezmsg.ledger import Ledger
        >>> live = LiveGraph(Ledger.memory())
        >>> live.connect("SOURCE", "SINK")
        ('SINK',)
        >>> live.state.seq  # the two events before it begin the run: a reading of the clocks, and who records
        3
        >>> live.close()

    Every method decides without waiting and without a lock: it checks the command against ``state``, appends what was
    decided, applies it, and returns. A refused command raises a CommandRefused, which is recorded too; one that names
    what is not there, or is malformed, raises InvalidEvent and leaves no trace: what is in the ledger can be folded.
    Opening appends ``clock.read`` and ``server.started``, after a ``server.lost`` when the run before never said that
    it ended; ``close`` ends the run, and every command after it raises LedgerClosed. One thread at a time.

    ``served``: a pipeline depends on it. Then no command waits or fails for the disk's sake: while the ledger cannot be
    written, decisions go on and their events wait (``degraded``); ``tend``, called now and then, writes them when that
    works again. Otherwise a command at level ``commit`` returns when it is on the disk, and WriteFailed is raised.
    """

    def __init__(
        self,
        ledger: Ledger,
        *,
        kind: str = "embedded",
        name: str = "ezmsg-ledger",
        address: str | None = None,
        served: bool = False,
    ) -> None:
        super().__init__(ledger, kind=kind, name=name, address=address, served=served)
        self._refusals = Refusals()
        self.who_holds: Callable[[str], list[dict[str, Any]]] = lambda peer: []
        """The processes (``pid``, ``name``) that hold the connection from a peer, where that is known."""
        self.dag = DAG()
        for edge in sorted(edge for edge, _ in self.state.ownership.edges()):
            self.dag.add(*edge)

    # --- refusals ----------------------------------------------------------------------------------------------------

    def reject(
        self, actor: int | None, peer: str | None, command: str, arguments: Any, reason: str, cause: Any = None
    ) -> bool:
        """Record that ``command``, as ezmsg calls it, was refused; False when it is only counted, as one of many.

        ``arguments`` and ``cause`` may be any values.
        """
        actor = None if actor is None else self.current(actor)
        recorded = self._refusals.admit(
            ev.CommandRejected(
                actor=actor,
                peer=peer,
                command=command,
                arguments=freeze(arguments),
                reason=reason,
                cause=freeze(cause),
            )
        )
        if recorded:
            self._commit(*recorded)
        return bool(recorded)

    # --- sessions ----------------------------------------------------------------------------------------------------

    def session(self, label: str | None = None) -> Session:
        """A session of this process, as a context manager: it clears what it owns at the end."""
        return Session(self, self.open_session(label=label))

    def open_session(self, peer: str | None = None, label: str | None = None) -> int:
        """A new session; returns its id."""
        return int(self._commit(ev.SessionOpened(uuid=str(uuid1()), peer=peer, label=label))[0].seq)

    def close_session(self, session: int, reason: str | None = None, detail: str | None = None) -> Rerouted:
        """End a session and all it owns. ``reason`` is found when not given: lost if it held something, else closed."""
        session = self.current(session)
        self._session(session)
        held = self.state.ownership.held(session)
        vanished = self._alone(held)
        if reason is None:
            reason = "lost" if held or session in self.state.registrations else "closed"
        failed = self._fail("SESSION_CLOSED", lambda request: request.session == session)
        counted = self._refusals.flush(session)
        self._commit(*counted, *failed, ev.SessionClosed(session=session, reason=reason, detail=detail))
        return self._gone(vanished)

    def clear(self, session: int) -> Rerouted:
        """Take all that a session owns away from it, at once. Nothing is recorded when it owns nothing."""
        session = self.current(session)
        self._session(session)
        held = self.state.ownership.held(session)
        if not held and session not in self.state.registrations:
            return ()
        vanished = self._alone(held)
        self._commit(ev.SessionCleared(session=session))
        return self._gone(vanished)

    def _session(self, session: int) -> SessionRecord:
        record = self.state.sessions.get(session)
        if record is None:
            raise InvalidEvent(f"there is no open session {session}")
        return record

    def _alone(self, held: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
        """The edges of an owner that no other owner holds."""
        return [edge for edge in held if len(self.state.ownership.owners(edge)) == 1]

    def _gone(self, vanished: Sequence[tuple[str, str]]) -> Rerouted:
        for from_topic, to_topic in vanished:
            self.dag.remove(from_topic, to_topic)
        return tuple(sorted({to_topic for _, to_topic in vanished}))

    # --- edges -------------------------------------------------------------------------------------------------------

    def connect(self, from_topic: str, to_topic: str, owner: int | None = None, by: str | None = None) -> Rerouted:
        """Give ``owner`` (None: the persistent one) the edge. A second connect by the same owner changes nothing.

        Raises CycleError when the edge would close a cycle. Cost: O(1), plus the cycle test for a new edge.
        """
        owner = None if owner is None else self.current(owner)
        edge = (from_topic, to_topic)
        if owner is not None:
            self._session(owner)
        owners = self.state.ownership.owners(edge)
        if owner in owners:
            return ()
        if not owners:
            self._add_edge(edge, owner, by)
        try:
            self._commit(ev.EdgeConnected(from_topic=from_topic, to_topic=to_topic, owner=owner, by=by))
        except BaseException:
            if edge not in self.state.ownership:
                self.dag.remove(from_topic, to_topic)
            raise
        return () if owners else (to_topic,)

    def _add_edge(self, edge: tuple[str, str], owner: int | None, by: str | None) -> None:
        try:
            self.dag.add(*edge)
        except CycleError as error:
            names = {key: record.uuid for key, record in self.state.sessions.items()}
            path = error.path[:LISTED_MAX]
            owners = [owner_names(self.state.ownership.owners(step), names) for step in pairwise(path)]
            cause: dict[str, Any] = {"path": list(path), "owners": owners}
            if len(error.path) > LISTED_MAX:
                cause["left_out"] = len(error.path) - LISTED_MAX
            peer = by if owner is None else self.state.sessions[owner].peer
            self.reject(owner, peer, "CONNECT" if owner is None else "SESSION_CONNECT", list(edge), "cycle", cause)
            raise

    def disconnect(self, from_topic: str, to_topic: str, owner: int | None = None, by: str | None = None) -> Rerouted:
        """Take the edge from ``owner``. Nothing changes when it does not hold it."""
        owner = None if owner is None else self.current(owner)
        edge = (from_topic, to_topic)
        if owner is not None:
            self._session(owner)
        owners = self.state.ownership.owners(edge)
        if owner not in owners:
            return ()
        self._commit(ev.EdgeDisconnected(from_topic=from_topic, to_topic=to_topic, owner=owner, by=by))
        return self._gone([edge]) if len(owners) == 1 else ()

    def clear_persistent(self, by: str | None = None) -> Rerouted:
        """Drop all persistent edges at once."""
        held = self.state.ownership.held(None)
        if not held:
            return ()
        vanished = self._alone(held)
        self._commit(ev.GraphCleared(by=by))
        return self._gone(vanished)

    # --- metadata and settings ---------------------------------------------------------------------------------------

    def register(self, session: int, metadata: Form, raw: bytes | None = None) -> None:
        """Register a session's components (the form of a GraphMetadata), in place of those it had.

        Raises AddressCollision when another session holds one of the component addresses, InvalidEvent when this is not
        what a GraphMetadata gives; then nothing changes.
        """
        session = self.current(session)
        peer = self._session(session).peer
        registration = Registration(metadata, raw)
        try:
            keys = registration.components
            registration.settings()
        except (AttributeError, KeyError, TypeError, ValueError, InvalidValue) as error:
            raise InvalidEvent(f"malformed metadata: {error!r}", hint=_METADATA_HINT) from error
        holders = {key: self.state.components.get(key, session) for key in keys}
        collisions = tuple(sorted(key for key, holder in holders.items() if holder != session))
        if collisions:
            others = sorted({self.state.sessions[holders[key]].uuid for key in collisions})
            named = [self._holder(key) for key in list(dict.fromkeys(holders[key] for key in collisions))[:HOLDERS_MAX]]
            self.reject(
                session,
                peer,
                "SESSION_REGISTER",
                {"root_name": metadata.get("root_name"), "components": len(keys)},
                "collision",
                {"addresses": list(collisions[:LISTED_MAX]), "sessions": others, "holders": named},
            )
            first = named[0]
            behind = "".join(f", process {each['pid']} ({each['name']})" for each in first["processes"])
            raise AddressCollision(collisions, first["session"], f" from {first['peer']}{behind}")
        self._commit(ev.MetadataRegistered(session=session, metadata=metadata, raw=raw))

    def _holder(self, session: int) -> dict[str, Any]:
        """A session that is in the way, as a refusal names it."""
        record = self.state.sessions[session]
        return {
            "session": session,
            "uuid": record.uuid,
            "label": record.label,
            "peer": record.peer,
            "processes": [] if record.peer is None else self.who_holds(record.peer),
        }

    def update_settings(
        self, process: int, component: str, value: ev.SettingsValue, reported_at: int | None = None
    ) -> None:
        """A process reports the settings of a component that it runs. ``reported_at``: ns, by its clock.

        Raises OwnershipConflict when the process does not own the component.
        """
        process = self.current(process)
        peer = self._process(process).peer
        if self.state.units.get(component) != process:
            self.reject(process, peer, "PROCESS_SETTINGS_UPDATE", {"component": component}, "not_owner")
            raise OwnershipConflict(f"process {process} does not own {component}, whose settings it reports")
        before = self.state.settings.get(component)
        schema = value.settings_schema
        if before is not None and schema is not UNSET and same(schema, before.value.settings_schema):
            value = replace(value, settings_schema=UNSET)
        self._commit(ev.SettingsUpdated(process=process, component=component, value=value, reported_at=reported_at))

    # --- processes ---------------------------------------------------------------------------------------------------

    def open_process(self, peer: str | None = None) -> int:
        """A new backend process; returns its id."""
        return int(self._commit(ev.ProcessOpened(uuid=str(uuid1()), peer=peer))[0].seq)

    def register_process(self, process: int, pid: int | None, host: str | None, units: Sequence[str]) -> None:
        """A process says who it is; its whole unit set is replaced. Raises OwnershipConflict for others' units."""
        process = self.current(process)
        self._refuse_conflicts(process, "PROCESS_REGISTER", units)
        record = self._process(process)
        if (pid, host, set(units)) == (record.pid, record.host, set(record.units)):
            return
        self._commit(ev.ProcessRegistered(process=process, pid=pid, host=host, units=_unique(units)))

    def change_units(self, process: int, added: Sequence[str], removed: Sequence[str]) -> None:
        """A process adds, then removes units. Raises OwnershipConflict when another owns one that is added."""
        process = self.current(process)
        self._refuse_conflicts(process, "PROCESS_UPDATE_OWNERSHIP", added)
        before = set(self._process(process).units)
        if (before | set(added)) - set(removed) == before:
            return
        self._commit(ev.ProcessOwnershipChanged(process=process, added=_unique(added), removed=_unique(removed)))

    def _process(self, process: int) -> ProcessRecord:
        record = self.state.processes.get(process)
        if record is None:
            raise InvalidEvent(f"there is no open process {process}")
        return record

    def _refuse_conflicts(self, process: int, command: str, units: Sequence[str]) -> None:
        peer = self._process(process).peer
        owners = {unit: self.state.units.get(unit, process) for unit in units}
        conflicts = {unit: owner for unit, owner in sorted(owners.items()) if owner != process}
        if conflicts:
            uuids = {unit: self.state.processes[conflicts[unit]].uuid for unit in list(conflicts)[:LISTED_MAX]}
            self.reject(process, peer, command, {"units": list(units[:LISTED_MAX])}, "conflict", {"units": uuids})
            raise OwnershipConflict(f"unit(s) of another process: {', '.join(conflicts)}")

    def close_process(self, process: int, reason: str = "closed", detail: str | None = None) -> None:
        """End a process: its units are free, its settings fall back, its unanswered requests fail."""
        process = self.current(process)
        failed = self._fail("PROCESS_DISCONNECTED", lambda request: request.process == process)
        self._process(process)
        counted = self._refusals.flush(process)
        self._commit(*counted, *failed, ev.ProcessClosed(process=process, reason=reason, detail=detail))

    def route_request(
        self, session: int, uuid: str, unit: str, operation: str, payload: bytes | None
    ) -> tuple[int, str | None]:
        """A session asks something of a unit. Returns the request's id and the UUID of the process that runs it."""
        session = self.current(session)
        self._session(session)
        process = self.state.units.get(unit)
        routed = ev.RequestRouted(
            uuid=uuid,
            session=session,
            unit=unit,
            operation=operation,
            process=process,
            payload=None if payload is None else payload[:PAYLOAD_KEPT],
            size=len(payload or b""),
        )
        if process is not None:
            return int(self._commit(routed)[0].seq), self.state.processes[process].uuid
        stored = self._commit(
            routed, then=lambda first: ev.RequestAnswered(request=first, ok=False, error_code="UNROUTABLE_UNIT")
        )
        return int(stored[0].seq), None

    def answer_request(
        self,
        request: int,
        ok: bool,
        error_code: str | None,
        took: int,
        error: str | None = None,
        payload: bytes | None = None,
    ) -> None:
        """A routed request ended. ``took``: ns. Nothing is recorded when it had ended already.

        The answer itself (``payload``) is recorded where it tells of settings: a profile comes every other second.
        """
        request = self.current(request)
        record = self.state.requests.get(request)
        if record is None:
            return
        kept = payload if record.operation == UPDATE else None
        self._commit(
            ev.RequestAnswered(
                request=request,
                ok=ok,
                error_code=error_code,
                took=took,
                error=None if error is None else error[:ERROR_KEPT].encode("utf-8", "backslashreplace").decode(),
                payload=None if kept is None else kept[:PAYLOAD_KEPT],
                size=len(kept or b""),
            )
        )

    def _fail(self, code: str, concerns: Callable[[RequestRecord], bool]) -> list[ev.Event]:
        """The answers to all requests that something which ends leaves unanswered."""
        requests = self.state.requests.items()
        return [ev.RequestAnswered(request=key, ok=False, error_code=code) for key, each in requests if concerns(each)]

    # --- endpoints ---------------------------------------------------------------------------------------------------

    def open_endpoint(self, event: ev.PublisherOpened | ev.SubscriberOpened | ev.ChannelOpened) -> int:
        """A publisher, subscriber or channel is there; returns its id."""
        if isinstance(event, ev.ChannelOpened):
            event = replace(event, publisher=self.current(event.publisher))
        return int(self._commit(event)[0].seq)

    def close_endpoint(self, endpoint: int, reason: str = "closed") -> None:
        """An endpoint ended."""
        endpoint = self.current(endpoint)
        self._commit(ev.EndpointClosed(endpoint=endpoint, reason=reason))

    def set_stalled(self, endpoint: int, stalled: bool) -> None:
        """A subscriber did (not) apply its routing update in time. Recorded when that is new."""
        endpoint = self.current(endpoint)
        record = self.state.endpoints.get(endpoint)
        if record is None or record.stalled == stalled:
            return
        kind = ev.SubscriberStalled if stalled else ev.SubscriberRecovered
        self._commit(kind(endpoint=endpoint, topic=record.topic or ""))

    def note(self, event: ev.GraphPaused | ev.GraphResumed | ev.GraphSynced | ev.Mark) -> None:
        """Record what happened to the graph as a whole, or a person's mark."""
        self._commit(event)

    # --- the end -----------------------------------------------------------------------------------------------------

    def close(
        self,
        reason: str = "stopped",
        by: str | None = None,
        exit_code: int | None = None,
        signal: str | None = None,
    ) -> None:
        """End the run: everything that is still open ends with it, in one append. Idempotent; the ledger stays open.

        ``exit_code`` or ``signal``: how the script ended that was run recorded, where that is known.
        """
        if self.run not in self.state.runs:
            return
        state = self.state
        self._commit(
            *self.clocks.readings("stop"),
            *self._refusals.flush(everything=True),
            *self._fail("SERVER_STOPPED", lambda request: True),
            *(ev.SessionClosed(session=key, reason="server_stopped") for key in state.sessions),
            *(ev.ProcessClosed(process=key, reason="server_stopped") for key in state.processes),
            *(ev.EndpointClosed(endpoint=key, reason="server_stopped") for key in state.endpoints),
            ev.ServerStopped(server=self.run, reason=reason, by=by, exit_code=exit_code, signal=signal),
        )
        for from_topic, to_topic in list(self.dag.edges()):
            if (from_topic, to_topic) not in state.ownership:
                self.dag.remove(from_topic, to_topic)

    def check(self) -> None:
        """Assert every invariant, those between the state and the live indexes too. Cost: O(state)."""
        self.state.check()
        self.dag.check()
        live, kept = set(self.dag.edges()), {edge for edge, _ in self.state.ownership.edges()}
        assert live == kept, f"the cycle test and the state differ in {live ^ kept}"
        assert self.state.seq == self.spool.head, f"state at {self.state.seq}, spool at {self.spool.head}"
        if self.degraded is None:
            written = self.state.seq - self.spool.held
            assert written == self.ledger.head, f"state at {written} without what is held, ledger at {self.ledger.head}"


_METADATA_HINT = "A component has a text as its address, and bytes or None beside a value as its initial settings."


def _unique(units: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(units))

