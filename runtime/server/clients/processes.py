"""Process connections: who runs which units, what settings they have now, and answers to requests."""

from typing import Any

from ezmsg.core.graphmeta import (
    ProcessControlResponse,
    ProcessOwnershipUpdate,
    ProcessRegistration,
    ProcessSettingsUpdate,
)

from ezmsg.ledger.errors import OwnershipConflict
from ezmsg.ledger.events import SettingsValue
from ezmsg.ledger.runtime.server.clients.commands import CommandConnection, CommandsOver, Later
from ezmsg.ledger.runtime.server.hub import Hub
from ezmsg.ledger.runtime.server.payloads import load, nanoseconds
from ezmsg.ledger.runtime.server.pickles.repeated import Repeated
from ezmsg.ledger.runtime.server.translate import settings_value
from ezmsg.ledger.runtime.server.wire.connection import Connection
from ezmsg.ledger.runtime.server.wire.protocol import METADATA, PAYLOAD, Command, WireError, encode_str


class ProcessConnection(CommandConnection):
    """Serves one backend process from its opener to its end."""

    def __init__(self, hub: Hub, connection: Connection) -> None:
        super().__init__(hub, connection)
        self._updates = Repeated(_settings_update)
        self._id = self._live.open_process(peer=connection.peer)
        self._uuid = self._live.state.processes[self._id].uuid
        hub.requests.processes[self._uuid] = connection
        hub.members[self._uuid] = self
        hub.traces.open(self._uuid)

    async def serve(self) -> None:
        """Answer commands until the process leaves; then its units are free and its settings fall back."""
        try:
            await self._hub.reply(self._connection, encode_str(self._uuid) + Command.COMPLETE)
            await self._take_all()
        except (CommandsOver, WireError, ConnectionError) as error:
            self._close(error)
        except BaseException as error:
            self._close(error)
            raise

    def evict(self, detail: str) -> None:
        """End the process's part in the graph now, because a person asked for it; ``detail`` is recorded."""
        if self._live.is_open(self._id):
            self._live.close_process(self._id, "lost", detail)
        self._connection.cut_off(detail)

    def _close(self, error: BaseException) -> None:
        self._hub.members.pop(self._uuid, None)
        self._hub.requests.gone(self._uuid)
        self._hub.traces.close(self._uuid)
        if self._live.is_open(self._id):
            self._live.close_process(self._id, *_why(error))

    def _malformed(self, command: bytes, error: str) -> bytes:
        return Command.ERROR if command in _ACKNOWLEDGED else b""

    # --- commands ----------------------------------------------------------------------------------------------------

    def _register(self, data: bytes) -> bytes | Later:
        registration = load(data, ProcessRegistration)
        try:
            self._live.register_process(self._id, registration.pid, registration.host, registration.units)
        except OwnershipConflict:
            return self._done(Command.ERROR)
        self._hub.traces.identify(self._uuid, registration.pid, registration.host)
        return self._done(Command.COMPLETE)

    def _update_ownership(self, data: bytes) -> bytes | Later:
        update = load(data, ProcessOwnershipUpdate)
        try:
            self._live.change_units(self._id, update.added_units, update.removed_units)
        except OwnershipConflict:
            return self._done(Command.ERROR)
        return self._done(Command.COMPLETE)

    def _update_settings(self, data: bytes) -> bytes | Later:
        component, timestamp, *value = self._updates.read(data)
        try:
            self._live.update_settings(self._id, component, SettingsValue(*value), nanoseconds(timestamp))
        except OwnershipConflict:
            return self._done(Command.ERROR)
        return self._done(Command.COMPLETE)

    def _add_trace(self, data: bytes) -> bytes:
        self._hub.traces.add(self._uuid, data, self._refuse_trace)
        return b""

    def _refuse_trace(self, error: str) -> None:
        actor = self._id if self._live.is_open(self._id) else None  # it may have ended before its batch was opened
        self._hub.reject(actor, self._connection.peer, Command.PROCESS_PROFILING_TRACE_UPDATE, "malformed", error)

    def _answered(self, data: bytes) -> bytes:
        response = load(data, ProcessControlResponse)
        if not self._hub.requests.answer(self._uuid, response):
            self._reject(Command.PROCESS_ROUTE_RESPONSE, "not_asked", str(response.request_id)[:100])
        return b""


def _settings_update(data: bytes) -> tuple[Any, ...]:
    """The component, the time and the fields of the SettingsValue in a pickled ProcessSettingsUpdate."""
    update = load(data, ProcessSettingsUpdate)
    value = settings_value(update.value)
    return (
        update.component_address,
        update.timestamp,
        value.serialized,
        value.repr_value,
        value.structured_value,
        value.settings_schema,
    )


def _why(error: BaseException) -> tuple[str, str | None]:
    """The end of a process as its event says it: reason and detail."""
    match error:
        case CommandsOver():
            return ("closed", None) if str(error) == "eof" else ("error", str(error))
        case WireError():
            return "error", f"malformed: {error}"
        case ConnectionError():
            return "lost", str(error) or type(error).__name__
        case Exception():
            return "error", "a fault of the server"
        case _:
            return "closed", None


ProcessConnection.handlers = {
    Command.PROCESS_REGISTER: ((METADATA,), ProcessConnection._register),
    Command.PROCESS_UPDATE_OWNERSHIP: ((METADATA,), ProcessConnection._update_ownership),
    Command.PROCESS_SETTINGS_UPDATE: ((METADATA,), ProcessConnection._update_settings),
    Command.PROCESS_PROFILING_TRACE_UPDATE: ((METADATA,), ProcessConnection._add_trace),
    Command.PROCESS_ROUTE_RESPONSE: ((PAYLOAD,), ProcessConnection._answered),
}

_ACKNOWLEDGED = frozenset((Command.PROCESS_REGISTER, Command.PROCESS_UPDATE_OWNERSHIP, Command.PROCESS_SETTINGS_UPDATE))
"""The other commands have no reply at all."""
