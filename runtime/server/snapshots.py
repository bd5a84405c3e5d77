"""Snapshots of the live graph as ezmsg's clients read them, made with little of what has not changed since the last."""

from typing import Any, NamedTuple
from uuid import UUID

from ezmsg.core.graphmeta import Edge, GraphMetadata, GraphSnapshot, SnapshotProcess, SnapshotSession

from ezmsg.ledger.projections.graph.ownership import Owner
from ezmsg.ledger.projections.graph.records import Registration
from ezmsg.ledger.projections.graph.state import GraphState
from ezmsg.ledger.projections.graph.views.snapshot import owner_names
from ezmsg.ledger.runtime.live import LiveGraph
from ezmsg.ledger.runtime.server.pickles import parts
from ezmsg.ledger.runtime.server.translate import form_to_ezmsg
from ezmsg.ledger.values import Form

_NOTHING = parts.part(None)


class _Node(NamedTuple):
    """A topic's share of a snapshot.

    ``out``: the successors with their owners that it was made of; ``graph``: the topic and its successors; ``owners``:
    the edges that leave it, with their owners; ``held``: the edges by owner. All sorted.
    """

    out: dict[str, Any]
    graph: bytes
    owners: bytes
    held: tuple[tuple[Owner, bytes], ...]


_NO_SUCCESSORS = parts.listed(())


class _Texts:
    """The texts of one snapshot as parts, each made once: a topic is a source, a target, and both for each owner."""

    def __init__(self, names: dict[int, str]) -> None:
        self._names = names
        self._topics: dict[str, bytes] = {}
        self._alone: dict[Owner, bytes] = {}

    def topic(self, topic: str) -> bytes:
        found = self._topics.get(topic)
        if found is None:
            found = self._topics[topic] = parts.text(topic)
        return found

    def names(self, owners: frozenset[Owner]) -> list[bytes]:
        """The names of several owners, in their order."""
        return [parts.text(name) for name in owner_names(owners, self._names)]

    def alone(self, owner: Owner) -> bytes:
        """The list of one owner's name."""
        found = self._alone.get(owner)
        if found is None:
            found = self._alone[owner] = parts.listed(self.names(frozenset((owner,))))
        return found


class Snapshots:
    """Pickles of ``ezmsg.core.graphmeta.GraphSnapshot`` for one live graph.

    The last one is kept, and its parts: one for each topic, one for each session's metadata. That is about twice the
    size of the pickle.
    """

    def __init__(self, live: LiveGraph) -> None:
        self._live = live
        self._nodes: dict[str, _Node] = {}
        self._metadata: dict[int, tuple[Registration, bytes]] = {}
        self._offered: dict[int, tuple[Form, GraphMetadata]] = {}
        self._last: tuple[int, bytes] = (0, b"")

    def offer(self, session: int, form: Form, metadata: GraphMetadata) -> None:
        """Keep the object of which a session's registered ``form`` was made, until the first snapshot that shows it.

        For metadata of which the form gives back the very same object, so that it need not be made again.
        """
        self._offered = {key: each for key, each in self._offered.items() if key in self._live.state.registrations}
        self._offered[session] = form, metadata

    def pickled(self) -> bytes:
        """The snapshot of now, in ezmsg's orders. Cost: nothing without a change since the last; else O(topics log
        topics), 0.5 us each, and the pickling of what has changed since: 10 us a topic, and what was registered."""
        state = self._live.state
        if self._last[0] != state.seq:
            self._last = (state.seq, parts.whole(self._snapshot(state)))
        return self._last[1]

    def _snapshot(self, state: GraphState) -> bytes:
        texts = _Texts({session: record.uuid for session, record in state.sessions.items()})
        self._nodes = {topic: self._node(topic, node.out, texts) for topic, node in state.ownership.nodes.items()}
        self._metadata = {session: self._registered(session, each) for session, each in state.registrations.items()}
        by_edge = [self._nodes[topic] for topic in sorted(topic for topic, node in self._nodes.items() if node.out)]
        held: dict[Owner, list[bytes]] = {owner: [] for owner in (None, *state.sessions)}
        for node in by_edge:
            for owner, edges in node.held:
                held[owner].append(edges)
        by_uuid = sorted(state.sessions.items(), key=lambda item: item[1].uuid)
        processes = sorted(state.processes.values(), key=lambda record: record.uuid)
        return parts.record(
            GraphSnapshot,
            graph=parts.mapped(node.graph for node in self._nodes.values()),
            edge_owners=parts.naming(Edge, parts.mapped(node.owners for node in by_edge)),
            sessions=parts.mapped(
                parts.text(record.uuid)
                + parts.record(
                    SnapshotSession,
                    edges=parts.naming(Edge, parts.listed(held[session])),
                    metadata=self._metadata[session][1] if session in self._metadata else _NOTHING,
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

    def _node(self, topic: str, out: dict[str, Any], texts: _Texts) -> _Node:
        kept = self._nodes.get(topic)
        if kept is not None and kept.out == out:
            return kept
        source = texts.topic(topic)
        if not out:
            return _Node({}, source + _NO_SUCCESSORS, b"", ())
        targets, owners, kept_out = [], [], {}
        held: dict[Owner, list[bytes]] = {}
        for to_topic in sorted(out) if len(out) > 1 else out:
            target, owner = texts.topic(to_topic), out[to_topic]
            edge = parts.pair(source, target)
            targets.append(target)
            if type(owner) is set:
                owner = frozenset(owner)  # the set changes in place
                owners.append(edge + parts.listed(texts.names(owner)))
                for each in owner:
                    held.setdefault(each, []).append(edge)
            else:
                owners.append(edge + texts.alone(owner))
                if owner in held:
                    held[owner].append(edge)
                else:
                    held[owner] = [edge]
            kept_out[to_topic] = owner
        return _Node(
            out=kept_out,
            graph=source + parts.listed(targets),
            owners=b"".join(owners),
            held=tuple((owner, b"".join(edges)) for owner, edges in held.items()),
        )

    def _registered(self, session: int, registration: Registration) -> tuple[Registration, bytes]:
        kept = self._metadata.get(session)
        if kept is not None and kept[0] is registration:
            return kept
        form, metadata = self._offered.pop(session, (None, None))
        if form is not registration.metadata:
            metadata = form_to_ezmsg(registration.metadata)
        return registration, parts.part(metadata)
