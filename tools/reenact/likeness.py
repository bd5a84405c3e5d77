"""Whether a server shows what was recorded: two snapshots without UUIDs, pids and times.

Recorded sessions and processes are known by their ids; so are the connections that stand for them.
"""

from typing import Any

import msgspec

from ezmsg.ledger.projections.graph.state import GraphState
from ezmsg.ledger.projections.graph.views.diff import differing
from ezmsg.ledger.projections.graph.views.snapshot import PERSISTENT
from ezmsg.ledger.runtime.server.translate import form_to_ezmsg, settings_to_ezmsg, settings_value, to_form
from ezmsg.ledger.tools.text.documents import value_document

Shape = dict[str, dict[str, Any]]
"""The groups that are compared: what each is called and what is said of it."""


class Difference(msgspec.Struct, frozen=True):
    """A thing that is not the same; None where it is not there."""

    group: str
    name: str
    recorded: Any
    server: Any


def recorded_shape(state: GraphState) -> Shape:
    """The shape of a recorded state. Cost: O(state)."""
    return {
        "topics": _in_order(state.ownership.graph()),
        "edges": {
            f"{edge[0]} -> {edge[1]}": sorted(PERSISTENT if owner is None else _session(owner) for owner in owners)
            for edge, owners in state.ownership.edges()
        },
        "sessions": {
            _session(key): {
                "edges": [list(edge) for edge in state.ownership.held(key)],
                # as the server was told: without what the installed ezmsg has no class for
                "metadata": _same_in_ezmsg(state.registrations[key].metadata) if key in state.registrations else None,
            }
            for key in state.sessions
        },
        "processes": {
            _process(key): {"host": record.host, "units": list(record.units)}
            for key, record in state.processes.items()
        },
        "settings": {
            address: value_document(settings_value(settings_to_ezmsg(setting.value)))
            for address, setting in state.settings.items()
        },
    }


def server_shape(snapshot: Any, settings: Any, sessions: dict[str, int], processes: dict[str, int]) -> Shape:
    """The shape of what a server shows (ezmsg's GraphSnapshot, and its settings by address).

    ``sessions`` and ``processes`` give the recorded ids by the server's UUIDs; sessions of others that hold nothing,
    such as a dashboard's, are left out.
    """
    return {
        "topics": _in_order(snapshot.graph),
        "edges": {
            f"{edge[0]} -> {edge[1]}": sorted(_owner(owner, sessions) for owner in owners)
            for edge, owners in snapshot.edge_owners.items()
        },
        "sessions": {
            _owner(uuid, sessions): {
                "edges": [list(edge) for edge in held.edges],
                "metadata": None if held.metadata is None else to_form(held.metadata),
            }
            for uuid, held in snapshot.sessions.items()
            if uuid in sessions or held.edges or held.metadata is not None
        },
        "processes": {
            _process(processes[str(uuid)]) if str(uuid) in processes else f"process {uuid}": {
                "host": held.host,
                "units": list(held.units),
            }
            for uuid, held in snapshot.processes.items()
        },
        "settings": {address: value_document(settings_value(value)) for address, value in settings.items()},
    }


def differences(recorded: Shape, server: Shape) -> list[Difference]:
    """Find all that is not the same, type-strictly; nothing when all is. Cost: O(both)."""
    return [
        Difference(group, *change) for group, here in recorded.items() for change in differing(here, server[group])
    ]


def _in_order(graph: dict[str, list[str]]) -> dict[str, Any]:
    """The topics with their places: ezmsg's order of them is a fact that no edge tells."""
    return {topic: place for place, topic in enumerate(graph)}


def _same_in_ezmsg(form: Any) -> Any:
    return to_form(form_to_ezmsg(form))


def _session(key: int) -> str:
    return f"session {key}"


def _process(key: int) -> str:
    return f"process {key}"


def _owner(owner: str, sessions: dict[str, int]) -> str:
    return _session(sessions[owner]) if owner in sessions else owner if owner == PERSISTENT else f"session {owner}"
