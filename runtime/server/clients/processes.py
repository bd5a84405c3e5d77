"""Process connections: who runs which units, what settings they have now, and answers to requests."""

from collections.abc import Callable
from typing import Any

from ezmsg.core.graphmeta import (
    ProcessControlResponse,
    ProcessOwnershipUpdate,
    ProcessRegistration,
    ProcessSettingsUpdate,
)

from ezmsg.ledger.errors import OwnershipConflict
from ezmsg.ledger.runtime.server.hub import MALFORMED, Hub
from ezmsg.ledger.runtime.server.payloads import load, nanoseconds
from ezmsg.ledger.runtime.server.translate import settings_value
from ezmsg.ledger.runtime.server.wire.connection import Connection
from ezmsg.ledger.runtime.server.wire.protocol import METADATA, PAYLOAD, Argument, Command, WireError, encode_str


class ProcessConnection:
    """Serves one backend process from its opener to its end."""

    def __init__(self, hub: Hub, connection: Connection) -> None:
        self._hub = hub
        self._live = hub.live
        self._connection = connection
        self._reader = connection.reader
        self._id = self._live.open_process(peer=connection.peer)
        self._uuid = self._live.state.processes[self._id].uuid
        hub.requests.processes[self._uuid] = connection
        hub.members[self._uuid] = self
        hub.traces.open(self._uuid)

    async def serve(self) -> None:
        """Answer commands until the process leaves; then its units are free and its settings fall back."""
        reason, detail = "closed", None
        try:
            await self._hub.reply(self._connection, encode_str(self._uuid) + Command.COMPLETE)
            while (command := await self._reader.command()) is not None:
                if command not in _HANDLERS:
                    # How long its arguments are is not known: what follows cannot be told from commands.
                    self._reject(command, "unknown_command")
                    reason, detail = "error", "unknown command"
                    break
                accepted = await self._decide(command)
                if command in _ACKNOWLEDGED:
                    await self._hub.reply(self._connection, Command.COMPLETE if accepted else Command.ERROR)
        except WireError as error:
            reason, detail = "error", f"malformed: {error}"
        except ConnectionError as error:
            reason, detail = "lost", str(error) or type(error).__name__
        except Exception:
            reason, detail = "error", "a fault of the server"
            raise
        finally:
            self._hub.members.pop(self._uuid, None)
            self._hub.requests.gone(self._uuid)
            self._hub.traces.close(self._uuid)
            if self._live.is_open(self._id):
                self._live.close_process(self._id, reason, detail)

    def evict(self, detail: str) -> None:
        """End the process's part in the graph now, because a person asked for it; ``detail`` is recorded."""
        if self._live.is_open(self._id):
            self._live.close_process(self._id, "lost", detail)
        self._connection.cut_off(detail)

    def _reject(self, command: bytes, reason: str, arguments: Any = None) -> None:
        self._hub.reject(self._id, self._connection.peer, command, reason, arguments)

    async def _decide(self, command: bytes) -> bool:
        """Carry a command out; False when it was refused, which is recorded."""
        argument, handler = _HANDLERS[command]
        try:
            [data] = await self._reader.arguments(argument)
            handler(self, data)
        except OwnershipConflict:
            return False
        except MALFORMED as error:
            self._reject(command, "malformed", str(error))
            if isinstance(error, WireError) and not error.in_sync:
                raise
            return False
        return True

    # --- commands ----------------------------------------------------------------------------------------------------

    def _register(self, data: bytes) -> None:
        registration = load(data, ProcessRegistration)
        self._live.register_process(self._id, registration.pid, registration.host, registration.units)
        self._hub.traces.identify(self._uuid, registration.pid, registration.host)

    def _update_ownership(self, data: bytes) -> None:
        update = load(data, ProcessOwnershipUpdate)
        self._live.change_units(self._id, update.added_units, update.removed_units)

    def _update_settings(self, data: bytes) -> None:
        update = load(data, ProcessSettingsUpdate)
        value = settings_value(update.value)
        self._live.update_settings(self._id, update.component_address, value, nanoseconds(update.timestamp))

    def _add_trace(self, data: bytes) -> None:
        self._hub.traces.add(self._uuid, data, self._refuse_trace)

    def _refuse_trace(self, error: str) -> None:
        actor = self._id if self._live.is_open(self._id) else None  # it may have ended before its batch was opened
        self._hub.reject(actor, self._connection.peer, Command.PROCESS_PROFILING_TRACE_UPDATE, "malformed", error)

    def _answer(self, data: bytes) -> None:
        response = load(data, ProcessControlResponse)
        if not self._hub.requests.answer(self._uuid, response):
            self._reject(Command.PROCESS_ROUTE_RESPONSE, "not_asked", str(response.request_id)[:100])


_HANDLERS: dict[bytes, tuple[Argument, Callable[[ProcessConnection, bytes], None]]] = {
    Command.PROCESS_REGISTER: (METADATA, ProcessConnection._register),
    Command.PROCESS_UPDATE_OWNERSHIP: (METADATA, ProcessConnection._update_ownership),
    Command.PROCESS_SETTINGS_UPDATE: (METADATA, ProcessConnection._update_settings),
    Command.PROCESS_PROFILING_TRACE_UPDATE: (METADATA, ProcessConnection._add_trace),
    Command.PROCESS_ROUTE_RESPONSE: (PAYLOAD, ProcessConnection._answer),
}
"""By command: the argument that follows it, and the method that decides it."""

_ACKNOWLEDGED = frozenset(
    (Command.PROCESS_REGISTER, Command.PROCESS_UPDATE_OWNERSHIP, Command.PROCESS_SETTINGS_UPDATE)
)
"""The other commands have no reply at all."""
