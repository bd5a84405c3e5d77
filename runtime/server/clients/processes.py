"""Process connections: who runs which units, what settings they have now, and answers to requests."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from ezmsg.core.graphmeta import (
    ProcessControlResponse,
    ProcessOwnershipUpdate,
    ProcessRegistration,
    ProcessSettingsUpdate,
)

from ezmsg.ledger.errors import InvalidEvent, InvalidValue, OwnershipConflict
from ezmsg.ledger.runtime.server import translate
from ezmsg.ledger.runtime.server.hub import Hub
from ezmsg.ledger.runtime.server.requests import ProcessLink
from ezmsg.ledger.runtime.server.wire.connection import Connection
from ezmsg.ledger.runtime.server.wire.protocol import METADATA_MAX, PAYLOAD_MAX, Command, WireError, encode_str

T = TypeVar("T")


class ProcessConnection:
    """Serves one backend process from its opener to its end."""

    def __init__(self, hub: Hub, connection: Connection) -> None:
        self._hub = hub
        self._live = hub.live
        self._connection = connection
        self._reader = connection.reader
        self._id = self._live.open_process(peer=connection.peer)
        self._uuid = self._live.state.processes[self._id].uuid
        hub.requests.processes[self._uuid] = ProcessLink(connection, self._uuid)
        hub.traces.open(self._uuid)

    async def serve(self) -> None:
        """Answer commands until the process leaves; then its units are free and its settings fall back."""
        reason, detail = "closed", None
        try:
            await self._hub.settled()
            await self._connection.send(encode_str(self._uuid) + Command.COMPLETE)
            while (command := await self._reader.command()) is not None:
                if command not in _HANDLERS:
                    # How long its arguments are is not known: what follows cannot be told from commands.
                    self._reject(command, "unknown_command")
                    reason, detail = "error", "unknown command"
                    break
                accepted = await self._decide(command)
                if command in _ACKNOWLEDGED:
                    await self._hub.settled()
                    await self._connection.send(Command.COMPLETE if accepted else Command.ERROR)
        except WireError as error:
            reason, detail = "error", f"malformed: {error}"
        except ConnectionError as error:
            reason, detail = "lost", str(error) or type(error).__name__
        except Exception:
            reason, detail = "error", "a fault of the server"
            raise
        finally:
            self._hub.requests.gone(self._uuid)
            self._hub.traces.close(self._uuid)
            if self._live.is_open(self._id):
                self._live.close_process(self._id, reason, detail)

    def _reject(self, command: bytes, reason: str, arguments: Any = None) -> None:
        self._hub.reject(self._id, self._connection.peer, command, reason, arguments)

    async def _decide(self, command: bytes) -> bool:
        """Carry a command out; False when it was refused, which is recorded."""
        try:
            await _HANDLERS[command](self)
        except OwnershipConflict:
            return False
        except (WireError, translate.Malformed, InvalidEvent, InvalidValue) as error:
            self._reject(command, "malformed", str(error))
            if isinstance(error, WireError) and not error.in_sync:
                raise
            return False
        return True

    async def _load(self, kind: type[T], limit: int = METADATA_MAX) -> T:
        return translate.load(await self._reader.blob(limit), kind)

    # --- commands ----------------------------------------------------------------------------------------------------

    async def _register(self) -> None:
        registration = await self._load(ProcessRegistration)
        self._live.register_process(self._id, registration.pid, registration.host, registration.units)
        self._hub.traces.identify(self._uuid, registration.pid, registration.host)

    async def _update_ownership(self) -> None:
        update = await self._load(ProcessOwnershipUpdate)
        self._live.change_units(self._id, update.added_units, update.removed_units)

    async def _update_settings(self) -> None:
        update = await self._load(ProcessSettingsUpdate)
        value = translate.settings_value(update.value)
        self._live.update_settings(self._id, update.component_address, value, translate.nanoseconds(update.timestamp))

    async def _add_trace(self) -> None:
        data = await self._reader.blob(METADATA_MAX)
        self._hub.traces.add(self._uuid, data, self._refuse_trace)

    def _refuse_trace(self, error: str) -> None:
        actor = self._id if self._live.is_open(self._id) else None  # it may have ended before somebody looked
        self._hub.reject(actor, self._connection.peer, Command.PROCESS_PROFILING_TRACE_UPDATE, "malformed", error)

    async def _answer(self) -> None:
        response = await self._load(ProcessControlResponse, PAYLOAD_MAX)
        if not self._hub.requests.answer(self._uuid, response):
            self._reject(Command.PROCESS_ROUTE_RESPONSE, "not_asked", str(response.request_id)[:100])


_HANDLERS: dict[bytes, Callable[[ProcessConnection], Awaitable[None]]] = {
    Command.PROCESS_REGISTER: ProcessConnection._register,
    Command.PROCESS_UPDATE_OWNERSHIP: ProcessConnection._update_ownership,
    Command.PROCESS_SETTINGS_UPDATE: ProcessConnection._update_settings,
    Command.PROCESS_PROFILING_TRACE_UPDATE: ProcessConnection._add_trace,
    Command.PROCESS_ROUTE_RESPONSE: ProcessConnection._answer,
}

_ACKNOWLEDGED = frozenset(
    (Command.PROCESS_REGISTER, Command.PROCESS_UPDATE_OWNERSHIP, Command.PROCESS_SETTINGS_UPDATE)
)
"""The other commands have no reply at all."""
