"""The state before an event as far as sentences about edges and sessions need it, without folding one."""

from ezmsg.ledger import events as ev
from ezmsg.ledger.projections.graph.ownership import EdgeKey, Owner
from ezmsg.ledger.projections.lifetimes.columns import PERSISTENT
from ezmsg.ledger.projections.lifetimes.landmarks import SessionMark
from ezmsg.ledger.projections.lifetimes.lifetimes import Lifetimes

TOLD: frozenset[type] = frozenset(
    {ev.EdgeConnected, ev.EdgeDisconnected, ev.SessionOpened, ev.SessionCleared, ev.SessionClosed, ev.Mark}
)
"""The events that can be told from it: nearly all of a long history."""


class NeedsState(Exception):
    """The sentence needs to know more than this: the state itself has to be found."""


class Past:
    """Stands in for the graph state after event ``seq``: who holds what is looked up in the lifetimes.

    A state is found by replaying thousands of events; this costs nothing to make, and some microseconds for each
    question. It answers the same, or raises NeedsState: of a session that registered, a label may be younger.
    """

    def __init__(self, lifetimes: Lifetimes, seq: int) -> None:
        self._lifetimes = lifetimes
        self.seq = seq
        self.time = lifetimes.time_of(seq)
        self.ownership = self
        self.sessions = _Sessions(lifetimes)
        self.registrations = _Registrations(self.sessions)

    def apply(self, event: ev.Event) -> None:
        """Go on to the state after ``event``. Raises NeedsState when that cannot be told, or lies beyond them."""
        if type(event) not in TOLD or event.seq > self._lifetimes.seq:
            raise NeedsState
        self.seq, self.time = event.seq, event.time

    def owners(self, edge: EdgeKey) -> frozenset[Owner]:
        """The owners of an edge. Cost: O(holds that it ever had)."""
        return self._lifetimes.owners_at(edge, self.seq)

    def held(self, owner: Owner) -> list[EdgeKey]:
        """The edges that an owner holds, sorted. Cost: that of ``holds_at``."""
        lifetimes, wanted = self._lifetimes, owner or PERSISTENT
        rows = lifetimes.holds_at(self.seq)
        held = (row for row, by in zip(rows, lifetimes.column("hold.owner").take(rows), strict=True) if by == wanted)
        return sorted(lifetimes.edge(place) for place in lifetimes.column("hold.edge").take(list(held)))


class _Sessions:
    """The sessions that never registered anything, so that their names never changed."""

    def __init__(self, lifetimes: Lifetimes) -> None:
        self._marks = lifetimes.landmarks.sessions
        self._registered = frozenset(lifetimes.names("registration"))

    def get(self, session: int) -> SessionMark | None:
        self.unregistered(session)
        return self._marks.get(session)

    def unregistered(self, session: int) -> None:
        """Raise NeedsState for a session that ever registered."""
        if session in self._registered:
            raise NeedsState


class _Registrations:
    """The registrations of sessions that registered nothing."""

    def __init__(self, sessions: _Sessions) -> None:
        self._sessions = sessions

    def get(self, session: int) -> None:
        self._sessions.unregistered(session)
