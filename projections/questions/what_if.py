"""A history without one session. Nothing is decided anew: the facts whose actor it was go, all others stay."""

from typing import Any

from ezmsg.ledger import events as ev
from ezmsg.ledger.errors import HistoryDropped
from ezmsg.ledger.projections.graph.ownership import EdgeKey
from ezmsg.ledger.projections.lifetimes.landmarks import SessionMark
from ezmsg.ledger.projections.natural_order import natural_edge
from ezmsg.ledger.projections.questions.answers import Doubt, Without
from ezmsg.ledger.projections.questions.evidence import Evidence
from ezmsg.ledger.projections.questions.moments.moments import Moment
from ezmsg.ledger.values import plain, thaw

SAID_MAX = 200
"""Characters of a refused command's arguments in a sentence."""


def without(evidence: Evidence, session: SessionMark, moment: Moment) -> Without:
    """See ``Timeline.without``."""
    if session.seq < evidence.ledger.first:
        raise HistoryDropped(f"session {evidence.name(session.seq)} opened before the first event that is left")
    state, was = evidence.at(min(session.seq - 1, moment.seq)), evidence.at(moment.seq)
    subtraction = _Subtraction(session)
    for batch in evidence.ledger.read(state.seq, moment.seq):
        state.apply_batch([subtraction.keep(event) for event in batch])
    edges = {edge for edge, _ in state.ownership.edges()}
    return Without(
        session=session.seq,
        label=evidence.name(session.seq),
        moment=moment,
        events=subtraction.taken,
        gone_edges=sorted((edge for edge, _ in was.ownership.edges() if edge not in edges), key=natural_edge),
        gone_topics=[topic for topic in was.ownership.nodes if topic not in state.ownership.nodes],
        gone_components=[key for key in was.components if key not in state.components],
        gone_settings=[address for address in was.settings if address not in state.settings],
        doubts=subtraction.doubts,
        state=state,
    )


class _Subtraction:
    """A filter that takes out the events whose actor the session was.

    A mark takes the place of each of them, so that seqs stay as they were.
    """

    def __init__(self, session: SessionMark) -> None:
        self._id, self._uuid, self._peer = session.seq, session.uuid, session.peer
        self._requests: dict[int, str] = {}
        self._absent: set[EdgeKey] = set()
        self._lasting: set[EdgeKey] = set()
        self.taken = 0
        self.doubts: list[Doubt] = []

    def keep(self, event: Any) -> Any:
        if self._is_its(event):
            self.taken += 1
            return ev.Mark(seq=event.seq, time=event.time, name="without")
        self._doubt(event)
        return event

    def _is_its(self, event: Any) -> bool:
        cls = type(event)
        if cls is ev.EdgeConnected or cls is ev.EdgeDisconnected:
            return event.owner == self._id or (event.owner is None and self._persistent(event, cls))
        if cls is ev.SessionOpened:
            return bool(event.seq == self._id)
        if cls is ev.RequestRouted and event.session == self._id:
            self._requests[event.seq] = event.unit
            return True
        if cls is ev.RequestAnswered:
            return event.request in self._requests
        if cls is ev.CommandRejected:
            return bool(event.actor == self._id)
        if cls is ev.GraphPaused or cls is ev.GraphResumed or cls is ev.GraphSynced:
            return self._peer is not None and event.by == self._peer
        return getattr(event, "session", None) == self._id

    def _persistent(self, event: Any, cls: type) -> bool:
        """Whether the session's own connection asked for a change of persistent edges, or one follows from that."""
        edge = (event.from_topic, event.to_topic)
        its = self._peer is not None and event.by == self._peer
        came, others = (self._absent, self._lasting) if cls is ev.EdgeConnected else (self._lasting, self._absent)
        if edge in others:  # it stood, or was missing, all the time: nothing changes now
            others.discard(edge)
            return True
        if its:
            came.add(edge)
        return its

    def _doubt(self, event: Any) -> None:
        cls = type(event)
        if cls is ev.CommandRejected:
            cause = plain(thaw(event.cause))
            named = [*_flat(cause.get("owners", ())), *_flat(cause.get("sessions", ()))] if type(cause) is dict else []
            if self._uuid in named or (type(cause) is dict and cause.get("session") in (self._id, self._uuid)):
                text = f"{event.command} {_said(event.arguments)} was refused ({event.reason}), in which it had a part"
                self.doubts.append(Doubt(event.seq, event.time, "refusal", text))
        elif cls is ev.SettingsUpdated and event.component in self._requests.values():
            text = f"the settings of {event.component} may have been changed at its request"
            self.doubts.append(Doubt(event.seq, event.time, "setting", text))


def _said(arguments: Any) -> str:
    values = plain(thaw(arguments))
    said = ", ".join(map(str, values)) if type(values) in (list, tuple) else "" if values is None else str(values)
    return said if len(said) <= SAID_MAX else f"{said[:SAID_MAX]}..."


def _flat(names: Any) -> list[Any]:
    return [each for name in names for each in (name if type(name) in (list, tuple) else [name])]
