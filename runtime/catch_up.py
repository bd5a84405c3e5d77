"""From the state that was logged to the one that was lived, by ordinary events: what follows a gap that lost some."""

from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from ezmsg.ledger import events as ev
from ezmsg.ledger.projections.graph.closings import UNSEEN, closings
from ezmsg.ledger.projections.graph.records import Registration
from ezmsg.ledger.projections.graph.state import GraphState
from ezmsg.ledger.values import same


class CatchUp:
    """The events that lead from ``logged`` to a state like ``lived``.

    ``events`` are stamped with ``time`` and the seqs after ``logged.seq``; ``logged`` itself is folded on by each.
    ``ids`` gives the new id of each thing that was opened while nothing could be written: its old one is the seq of an
    event that is lost. Closings have the reason ``unseen``, openings ``observed``. What no event can say again stays
    lost: the label that a session had from a registration which is lost and was given up. ``first`` is said
    before all else. Cost: O(both states).
    """

    def __init__(self, logged: GraphState, lived: GraphState, time: int, first: Sequence[ev.Event] = ()) -> None:
        self.events: list[Any] = []
        self.ids: dict[int, int] = {}
        self._state = logged
        self._lived = lived
        self._time = time
        for event in first:
            self._emit(event)
        self._appear("runs", ev.ServerStarted)  # missing when the file itself was lost
        self._close()
        self._open()
        self._connect()
        self._run_units()
        self._register()
        self._set()
        if lived.paused != logged.paused:
            self._emit(ev.GraphPaused() if lived.paused else ev.GraphResumed())
        for key in logged.runs.keys() - lived.runs.keys() - set(self.ids.values()):
            self._emit(ev.ServerStopped(server=key, reason=UNSEEN))

    def _emit(self, event: ev.Event) -> int:
        stamped = replace(event, seq=self._state.seq + 1, time=self._time)
        self._state.apply(stamped)
        self.events.append(stamped)
        return int(stamped.seq)

    def _new(self, key: int) -> int:
        return self.ids.get(key, key)

    def _appear(self, table: str, kind: type[ev.Event], **fields: Any) -> None:
        """Open what is in a table of the lived state and not in that of the logged one."""
        there = getattr(self._state, table)
        for key, record in getattr(self._lived, table).items():
            if key not in there:
                self.ids[key] = self._emit(_event(kind, record, **fields))

    # --- what has ended, and what has come ---------------------------------------------------------------------------

    def _close(self) -> None:
        state, lived = self._state, self._lived
        for event in closings(state, lived):
            self._emit(event)
        for key, registration in list(state.registrations.items()):
            if not _same_registration(registration, lived.registrations.get(key)):
                self._emit(ev.SessionCleared(session=key))  # its edges come back below

    def _open(self) -> None:
        state, lived = self._state, self._lived
        self._appear("sessions", ev.SessionOpened, observed=True)
        self._appear("processes", ev.ProcessOpened, observed=True)
        for key, endpoint in lived.endpoints.items():
            if key not in state.endpoints:
                leads_to = {} if endpoint.publisher is None else {"publisher": self._new(endpoint.publisher)}
                self.ids[key] = self._emit(_event(_OPENINGS[endpoint.kind], endpoint, **leads_to, observed=True))
            if endpoint.stalled != state.endpoints[self._new(key)].stalled:
                kind = ev.SubscriberStalled if endpoint.stalled else ev.SubscriberRecovered
                self._emit(kind(endpoint=self._new(key), topic=endpoint.topic or ""))
        for key, request in lived.requests.items():
            if key not in state.requests:
                asked = None if request.process is None else self._new(request.process)
                routed = _event(ev.RequestRouted, request, session=self._new(request.session), process=asked)
                self.ids[key] = self._emit(routed)

    # --- edges, units, components, settings --------------------------------------------------------------------------

    def _connect(self) -> None:
        held = {(edge, owner) for edge, owners in self._state.ownership.edges() for owner in owners}
        nodes = self._lived.ownership.nodes
        wanted = {
            (edge, None if owner is None else self._new(owner))
            for edge, owners in self._lived.ownership.edges()
            for owner in owners
        }
        for edge, owner in sorted(held - wanted, key=_order):
            self._emit(ev.EdgeDisconnected(from_topic=edge[0], to_topic=edge[1], owner=owner, reason=UNSEEN))
        by_birth = sorted(
            wanted - held, key=lambda hold: (max(nodes[hold[0][0]].born, nodes[hold[0][1]].born), _order(hold))
        )
        for edge, owner in by_birth:
            self._emit(ev.EdgeConnected(from_topic=edge[0], to_topic=edge[1], owner=owner, observed=True))

    def _run_units(self) -> None:
        state = self._state
        differing = {
            self._new(key): record
            for key, record in self._lived.processes.items()
            if _who(record) != _who(state.processes[self._new(key)])
        }
        for key, record in differing.items():  # first let go: a unit may have moved from one process to another
            gone = tuple(sorted(set(state.processes[key].units) - set(record.units)))
            if gone:
                self._emit(ev.ProcessOwnershipChanged(process=key, added=(), removed=gone))
        for key, record in differing.items():
            self._emit(_event(ev.ProcessRegistered, record, process=key))

    def _register(self) -> None:
        for key, registration in self._lived.registrations.items():
            session = self._new(key)
            if not _same_registration(registration, self._state.registrations.get(session)):
                self._emit(_event(ev.MetadataRegistered, registration, session=session, observed=True))

    def _set(self) -> None:
        for component, setting in self._lived.settings.items():
            if setting.process is None:
                continue
            process = self._new(setting.process)
            before = self._state.settings.get(component)
            if before is None or before.process != process or not same(before.value, setting.value):
                self._emit(ev.SettingsUpdated(process=process, component=component, value=setting.value, observed=True))


_OPENINGS: dict[str, type[ev.Event]] = {
    "publisher": ev.PublisherOpened,
    "subscriber": ev.SubscriberOpened,
    "channel": ev.ChannelOpened,
}


def _event(kind: type[ev.Event], record: Any, **fields: Any) -> ev.Event:
    """The event of which ``record`` is what a state knows: its fields are those of the same names, and ``fields``."""
    known = {name: getattr(record, name) for name in kind.__struct_fields__ if hasattr(record, name)}
    return kind(**known | fields)


def _order(hold: tuple[tuple[str, str], int | None]) -> tuple[tuple[str, str], int]:
    return hold[0], hold[1] or 0


def _who(record: Any) -> tuple[Any, ...]:
    return record.pid, record.host, record.units


def _same_registration(a: Registration, b: Registration | None) -> bool:
    return b is not None and a.raw == b.raw and same(a.metadata, b.metadata)
