"""A graph state under ezmsg's names and in ezmsg's orders."""

from ezmsg.ledger.metadata import Edge, GraphSnapshot, SnapshotProcess, SnapshotSession
from ezmsg.ledger.projections.graph.ownership import EdgeKey, Owner
from ezmsg.ledger.projections.graph.tables import GraphTables
from ezmsg.ledger.values import thaw

PERSISTENT = "persistent"
"""The name in ezmsg's snapshots for the owner that is not a session."""


def snapshot(state: GraphTables) -> GraphSnapshot:
    """The typed snapshot of ``state``. Cost: O(state log state)."""
    return GraphSnapshot(
        graph=state.ownership.graph(),
        edge_owners=edge_owners(state),
        sessions=_sessions(state),
        processes={
            record.uuid: SnapshotProcess(record.uuid, record.pid, record.host, list(record.units))
            for record in sorted(state.processes.values(), key=lambda record: record.uuid)
        },
    )


def edge_owners(state: GraphTables) -> dict[Edge, list[str]]:
    """Every edge, sorted, with its owners: ``persistent`` first, then session UUIDs sorted as text."""
    names = {session: record.uuid for session, record in state.sessions.items()}
    return {Edge(*edge): owner_names(owners, names) for edge, owners in sorted(state.ownership.edges(), key=_by_edge)}


def owner_names(owners: frozenset[Owner], names: dict[int, str]) -> list[str]:
    """Owners as texts: ``persistent`` first, then the sessions' names, sorted."""
    persistent = [PERSISTENT] if None in owners else []
    return persistent + sorted(names[owner] for owner in owners if owner is not None)


def _by_edge(item: tuple[EdgeKey, frozenset[Owner]]) -> EdgeKey:
    return item[0]


def _sessions(state: GraphTables) -> dict[str, SnapshotSession]:
    sessions = {}
    for session, record in sorted(state.sessions.items(), key=lambda item: item[1].uuid):
        registration = state.registrations.get(session)
        sessions[record.uuid] = SnapshotSession(
            edges=[Edge(*edge) for edge in state.ownership.held(session)],
            metadata=None if registration is None else thaw(registration.metadata),
        )
    return sessions
