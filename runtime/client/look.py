"""A look at a graph server: all that it shows of its graph at one moment, whichever server it is."""

from typing import Any

import msgspec

from ezmsg.ledger.events import SettingsValue
from ezmsg.ledger.projections.graph.ownership import EdgeKey
from ezmsg.ledger.projections.graph.records import Registration
from ezmsg.ledger.projections.graph.views.snapshot import PERSISTENT
from ezmsg.ledger.runtime.client.line import Line
from ezmsg.ledger.runtime.server.translate import graph_metadata, settings_value
from ezmsg.ledger.runtime.server.wire.protocol import Command, Malformed


class SeenProcess(msgspec.Struct, frozen=True):
    """A backend process as a snapshot shows it."""

    pid: int | None
    host: str | None
    units: tuple[str, ...]


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """The graph of a server at one moment, by the UUIDs of sessions and processes; None is the persistent owner.

    ``nodes`` are in the server's order. ``sessions`` are all but the one that looked. ``registrations`` has those that
    registered something. ``unreadable``: sessions and components of which the server shows something that is not what
    an ezmsg client sends.
    """

    nodes: tuple[str, ...] = ()
    edges: dict[EdgeKey, frozenset[str | None]]
    sessions: tuple[str, ...]
    registrations: dict[str, Registration]
    processes: dict[str, SeenProcess]
    settings: dict[str, SettingsValue]
    unreadable: tuple[str, ...] = ()

    @classmethod
    def of(cls, snapshot: Any, settings: Any, me: str) -> "Look":
        """The look that ezmsg's GraphSnapshot, and its settings by address, give to the session ``me``."""
        unreadable: list[str] = []
        registrations, values = {}, {}
        for uuid, held in snapshot.sessions.items():
            if uuid != me and held.metadata is not None:
                try:
                    registrations[uuid] = Registration(graph_metadata(held.metadata)[0], None)
                except Malformed:
                    unreadable.append(f"the components of session {uuid}")
        for address, value in settings.items():
            try:
                values[address] = settings_value(value)
            except Malformed:
                unreadable.append(f"the settings of {address}")
        return cls(
            nodes=tuple(snapshot.graph),
            edges={
                (edge.from_topic, edge.to_topic): frozenset(None if each == PERSISTENT else each for each in owners)
                for edge, owners in snapshot.edge_owners.items()
            },
            sessions=tuple(uuid for uuid in snapshot.sessions if uuid != me),
            registrations=registrations,
            processes={
                str(uuid): SeenProcess(each.pid, each.host, tuple(sorted(each.units)))
                for uuid, each in snapshot.processes.items()
            },
            settings=values,
            unreadable=tuple(unreadable),
        )

    @property
    def labels(self) -> dict[str, str]:
        """The names of sessions, by UUID, as far as they have registered one."""
        found = {uuid: registration.label for uuid, registration in self.registrations.items()}
        return {uuid: label for uuid, label in found.items() if label is not None}

    @property
    def units(self) -> dict[str, str]:
        """The UUID of the process that runs a unit, by the unit's address."""
        return {unit: uuid for uuid, each in self.processes.items() for unit in each.units}


def look(line: Line) -> Look:
    """A look by a session: two questions, one after the other, between which others may change something.

    Raises Broken when the server fails. Cost: O(state) at the server, which answers nobody else meanwhile.
    """
    snapshot = line.ask(Command.SESSION_SNAPSHOT)
    return Look.of(snapshot, line.ask(Command.SESSION_SETTINGS_SNAPSHOT), line.id)
