"""Snapshots of the live graph as ezmsg's clients read them, made with little of what has not changed since the last."""

from uuid import UUID

from ezmsg.core.graphmeta import Edge, GraphSnapshot, SnapshotProcess, SnapshotSession

from ezmsg.ledger.projections.records import Registration
from ezmsg.ledger.projections.snapshot import owner_names
from ezmsg.ledger.projections.state import GraphState
from ezmsg.ledger.runtime.live import LiveGraph
from ezmsg.ledger.runtime.server.pickles import parts
from ezmsg.ledger.runtime.server.translate import form_to_ezmsg

_EDGE, _EDGE_END = parts.pair(Edge)
_NOTHING = parts.part(None)


class Snapshots:
    """Pickles of ``ezmsg.core.graphmeta.GraphSnapshot`` for one live graph.

    The last one is kept, and for each session the part that is its metadata.
    """

    def __init__(self, live: LiveGraph) -> None:
        self._live = live
        self._metadata: dict[int, tuple[Registration, bytes]] = {}
        self._last: tuple[int, bytes] = (0, b"")

    def pickled(self) -> bytes:
        """The snapshot of now, in ezmsg's orders. Cost: nothing without a change since the last; else O(edges log
        edges), 3 us each, and the pickling of what was registered since."""
        state = self._live.state
        if self._last[0] != state.seq:
            self._last = (state.seq, parts.whole(self._snapshot(state)))
        return self._last[1]

    def _snapshot(self, state: GraphState) -> bytes:
        texts = {topic: parts.text(topic) for topic in state.ownership.nodes}
        names = {session: record.uuid for session, record in state.sessions.items()}
        edges = sorted(state.ownership.edges())
        owned = {edge: _EDGE + texts[edge[0]] + texts[edge[1]] + _EDGE_END for edge, _ in edges}
        self._metadata = {session: self._registered(session, each) for session, each in state.registrations.items()}
        by_uuid = sorted(state.sessions.items(), key=lambda item: item[1].uuid)
        processes = sorted(state.processes.values(), key=lambda record: record.uuid)
        return parts.record(
            GraphSnapshot,
            graph=parts.mapped(
                (texts[topic], parts.listed(texts[each] for each in successors))
                for topic, successors in state.ownership.graph().items()
            ),
            edge_owners=parts.mapped(
                (owned[edge], parts.listed(parts.text(name) for name in owner_names(owners, names)))
                for edge, owners in edges
            ),
            sessions=parts.mapped(
                (
                    parts.text(record.uuid),
                    parts.record(
                        SnapshotSession,
                        edges=parts.listed(owned[edge] for edge in state.ownership.held(session)),
                        metadata=self._metadata[session][1] if session in self._metadata else _NOTHING,
                    ),
                )
                for session, record in by_uuid
            ),
            processes=parts.part(
                {
                    UUID(process.uuid): SnapshotProcess(UUID(process.uuid), process.pid, process.host, [*process.units])
                    for process in processes
                }
            ),
        )

    def _registered(self, session: int, registration: Registration) -> tuple[Registration, bytes]:
        kept = self._metadata.get(session)
        if kept is not None and kept[0] is registration:
            return kept
        return registration, parts.part(form_to_ezmsg(registration.metadata))
