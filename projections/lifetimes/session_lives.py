"""The lives of sessions and of runs: how each began and ended, what it held, and what was refused to it.

The idea: one fold makes them, of all events or on from an index. While an index grows, edges are counted by the holds
that it notes anyway (``take``): then this fold sees only the few events that are not about edges.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Any

import msgspec

from ezmsg.ledger import events as ev
from ezmsg.ledger.projections.graph.records import Registration
from ezmsg.ledger.projections.graph.state import GraphState
from ezmsg.ledger.projections.projection import contradiction, dispatch

_encoder = msgspec.json.Encoder()


class SessionLife(msgspec.Struct):
    """A session from its opening to its end. Times: ns since the epoch, UTC; ``run``: the run's number.

    ``reason`` is that of its end: closed, lost, server_stopped, server_lost, error, unseen; None while it is open.
    ``edges`` and ``components`` are what it held last, before its end took that away; the maxima are of all its life.
    """

    id: int
    uuid: str
    label: str | None
    peer: str | None
    run: int
    opened: int
    ended: int | None = None
    ended_seq: int | None = None
    reason: str | None = None
    detail: str | None = None
    edges: int = 0
    edges_max: int = 0
    components: int = 0
    components_max: int = 0
    refusals: int = 0

    @property
    def last_seq(self) -> int:
        """The event by whose reading of the clocks ``ended`` is to be taken: of a lost run its last one."""
        seq = self.ended_seq or self.id
        return seq - 1 if self.reason == "server_lost" else seq


class RunLife(msgspec.Struct):
    """A run from its start to its end. Times: ns since the epoch, UTC.

    ``reason``: stopped, shutdown, signal, orphaned, ..., lost; None while it goes on. ``exit_code`` or ``signal``: how
    the script ended that was run recorded, where that is known.
    """

    started: int
    ended: int | None = None
    reason: str | None = None
    exit_code: int | None = None
    signal: str | None = None


class SessionLives:
    """All sessions of a ledger up to event ``seq``, by id, and its runs. Applying one event costs O(1).

    >>> from ezmsg.ledger import Ledger, events
    >>> from ezmsg.ledger.projections import fold
    >>> ledger = Ledger.memory()
    >>> _ = ledger.append([events.SessionOpened(uuid="u"), events.EdgeConnected(from_topic="A", to_topic="B", owner=1)])
    >>> life = fold(ledger.read(), SessionLives()).lives[1]
    >>> life.edges, life.reason
    (1, None)
    """

    def __init__(self) -> None:
        self.seq = 0
        self.lives: dict[int, SessionLife] = {}
        self.runs: dict[int, RunLife] = {}  # by the events with which they began
        self._open: dict[int, SessionLife] = {}

    @classmethod
    def load(cls, lives: bytes, still: bytes, seq: int) -> "SessionLives":
        """The lives up to ``seq`` of which an index has these parts. Raises MsgspecError when they are something else.

        ``lives``: the lines that ``take`` gave; ``still``: what ``still_open`` gave. Cost: O(sessions), 1 us each.
        """
        found = cls()
        found.seq = seq
        kept = msgspec.json.decode(still, type=_Open)
        found.runs = kept.runs
        found._open = {life.id: life for life in kept.sessions}
        ended: list[SessionLife] = _life_lines.decode_lines(lives)
        found.lives = {life.id: life for life in sorted([*ended, *kept.sessions], key=_id_of)}
        return found

    def begin(self, state: GraphState) -> None:
        """Start after ``state``, when what came before it is gone: those that are still open then are known."""
        self.seq = state.seq
        for run, record in state.runs.items():
            self.runs[run] = RunLife(record.started)
        for key, session in state.sessions.items():
            life = SessionLife(key, session.uuid, session.label, session.peer, len(self.runs), session.opened)
            life.edges = life.edges_max = len(state.ownership.held(key))
            registration = state.registrations.get(key)
            life.components = life.components_max = 0 if registration is None else len(registration.components)
            self.lives[key] = self._open[key] = life

    def apply(self, event: Any) -> None:
        """Note one event. Raises OutOfOrder when it does not follow."""
        self.apply_batch((event,))

    def apply_batch(self, events: Sequence[Any]) -> None:
        """Note events in order; the same as ``apply`` on each."""
        dispatch(self, events, _HANDLERS)

    def take(self, events: Iterable[Any], let_go: Mapping[Any, tuple[int, int]]) -> bytes:
        """Note events that are not about edges, which another fold has seen to follow; JSON lines of those that ended.

        These are forgotten here. ``let_go`` has, for each of them, the edges that it held last, and at most.
        """
        for event in events:
            handler = _HANDLERS.get(type(event))
            if handler is not None:
                try:
                    handler(self, event)
                except KeyError as error:
                    raise contradiction(event.seq, error) from error
            self.seq = event.seq
        ended = []
        for session, (edges, most) in let_go.items():
            life = self.lives.pop(session)
            life.edges, life.edges_max = edges, most
            ended.append(life)
        return _encoder.encode_lines(ended)

    def still_open(self, holding: Callable[[int], tuple[int, int]]) -> bytes:
        """The runs, and the sessions that are open, as JSON. ``holding`` tells what one holds, and held at most."""
        for life in self._open.values():
            life.edges, life.edges_max = holding(life.id)
        return _encoder.encode(_Open(self.runs, list(self._open.values())))

    @property
    def open(self) -> Iterable[SessionLife]:
        """The sessions that are open."""
        return self._open.values()

    def _server_started(self, event: ev.ServerStarted) -> None:
        self.runs[event.seq] = RunLife(event.time)

    def _server_ended(self, event: ev.ServerStopped | ev.ServerLost) -> None:
        run = self.runs.get(event.server) or RunLife(0)  # of one that the gap before it swallowed
        if isinstance(event, ev.ServerLost):
            reason, seen, run.reason = "server_lost", event.last_seen, "lost"
        else:
            reason, seen, run.reason = "server_stopped", event.ended, event.reason
            run.exit_code, run.signal = event.exit_code, event.signal
        run.ended = seen if seen is not None else event.time
        for life in list(self._open.values()):
            self._end(life, event, run.ended, reason, None)

    def _session_opened(self, event: ev.SessionOpened) -> None:
        life = SessionLife(event.seq, event.uuid, event.label, event.peer, len(self.runs), event.time)
        self.lives[event.seq] = self._open[event.seq] = life

    def _session_cleared(self, event: ev.SessionCleared) -> None:
        life = self._open[event.session]
        life.edges = life.components = 0

    def _session_closed(self, event: ev.SessionClosed) -> None:
        self._end(self._open[event.session], event, event.time, event.reason, event.detail)

    def _end(self, life: SessionLife, event: Any, time: int, reason: str, detail: str | None) -> None:
        life.ended, life.ended_seq, life.reason, life.detail = time, event.seq, reason, detail
        del self._open[life.id]

    def _edge_connected(self, event: ev.EdgeConnected) -> None:
        if event.owner is not None:
            life = self._open[event.owner]
            life.edges += 1
            life.edges_max = max(life.edges_max, life.edges)

    def _edge_disconnected(self, event: ev.EdgeDisconnected) -> None:
        if event.owner is not None:
            self._open[event.owner].edges -= 1

    def _metadata_registered(self, event: ev.MetadataRegistered) -> None:
        life = self._open[event.session]
        registration = Registration(event.metadata, event.raw)
        life.label = life.label or registration.label
        life.components = len(registration.components)
        life.components_max = max(life.components_max, life.components)

    def _command_rejected(self, event: ev.CommandRejected) -> None:
        if event.actor in self._open:
            self._open[event.actor].refusals += event.repeated


_HANDLERS: dict[type, Callable[[SessionLives, Any], None]] = {
    ev.ServerStarted: SessionLives._server_started,
    ev.ServerStopped: SessionLives._server_ended,
    ev.ServerLost: SessionLives._server_ended,
    ev.SessionOpened: SessionLives._session_opened,
    ev.SessionCleared: SessionLives._session_cleared,
    ev.SessionClosed: SessionLives._session_closed,
    ev.EdgeConnected: SessionLives._edge_connected,
    ev.EdgeDisconnected: SessionLives._edge_disconnected,
    ev.MetadataRegistered: SessionLives._metadata_registered,
    ev.CommandRejected: SessionLives._command_rejected,
}


class _Open(msgspec.Struct):
    runs: dict[int, RunLife]
    sessions: list[SessionLife]


_life_lines = msgspec.json.Decoder(SessionLife)
_id_of = attrgetter("id")
