"""The wiring that a new run begins with: edges that stood in another ledger at a moment."""

import msgspec

from ezmsg.ledger import events as ev
from ezmsg.ledger.projections.graph.ownership import EdgeKey
from ezmsg.ledger.projections.graph.state import GraphState
from ezmsg.ledger.runtime.live import LiveGraph
from ezmsg.ledger.wording import count

LABEL = "restored"
"""The label of the session that holds edges whose owner is not there, and the name of the mark that says so."""


class Wiring(msgspec.Struct, frozen=True, kw_only=True):
    """Edges to begin with, in the order in which their topics came: ``persistent`` ones, and those that a session of
    the run's own is to hold. ``source``: ``LEDGER-ID:SEQ``, the event after which they stood so.

    >>> from ezmsg.ledger import Ledger
    >>> from ezmsg.ledger.runtime import LiveGraph
    >>> live = LiveGraph(Ledger.memory())
    >>> _ = live.connect("A", "B"), live.connect("B", "C", live.open_session(label="rig"))
    >>> Wiring.of(live.state, "some-ledger:5", hold=True).edges
    [(('A', 'B'), True), (('B', 'C'), False)]
    """

    edges: list[tuple[EdgeKey, bool]]
    source: str

    @classmethod
    def of(cls, state: GraphState, source: str, *, hold: bool) -> "Wiring":
        """The persistent edges of a state; with ``hold`` all others too. Cost: O(edges log edges)."""
        born = {topic: node.born for topic, node in state.ownership.nodes.items()}
        edges = sorted(state.ownership.edges(), key=lambda item: (max(born[topic] for topic in item[0]), item[0]))
        return cls(edges=[(edge, None in owners) for edge, owners in edges if hold or None in owners], source=source)

    @property
    def text(self) -> str:
        """The number of edges of each kind, in words."""
        persistent = sum(stays for _, stays in self.edges)
        held = len(self.edges) - persistent
        also = f', and {count(held, "edge")} that session "{LABEL}" holds' if held else ""
        return f"{count(persistent, 'persistent edge')}{also}"

    def begin(self, live: LiveGraph) -> int | None:
        """Connect all of them, and leave a mark; returns the session that holds those which are not persistent.

        Each is an event of its own, as if it had been asked for. Cost: that of so many connects.
        """
        session = None
        for edge, persistent in self.edges:
            if not persistent and session is None:
                session = live.open_session(label=LABEL)
            live.connect(*edge, None if persistent else session, by=f"{LABEL} from {self.source}")
        live.note(ev.Mark(name=LABEL, note=self.text, source=self.source))
        return session
