"""Session connections: edges, metadata, and questions about the graph."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from ezmsg.core.graphmeta import GraphMetadata, ProcessControlErrorCode, ProcessControlResponse

from ezmsg.ledger.errors import AddressCollision, CycleError
from ezmsg.ledger.runtime.server import translate
from ezmsg.ledger.runtime.server.clients.commands import CommandConnection, CommandsOver, Later
from ezmsg.ledger.runtime.server.clients.streams import settings_events
from ezmsg.ledger.runtime.server.hub import Hub
from ezmsg.ledger.runtime.server.payloads import load
from ezmsg.ledger.runtime.server.pickles import dumps
from ezmsg.ledger.runtime.server.wire.connection import Connection, CutOff, Vanished
from ezmsg.ledger.runtime.server.wire.protocol import (
    METADATA,
    NUMBER,
    PAYLOAD,
    SECONDS,
    TEXT,
    Command,
    WireError,
    encode_blob,
    encode_str,
)

logger = logging.getLogger("ezmsg.ledger")


class SessionConnection(CommandConnection):
    """Serves one session from its opener to its end."""

    def __init__(self, hub: Hub, connection: Connection) -> None:
        super().__init__(hub, connection)
        self._bereaved: tuple[str, ...] = ()
        self._id = self._live.open_session(peer=connection.peer)
        self._uuid = self._live.state.sessions[self._id].uuid
        hub.members[self._uuid] = self

    async def serve(self) -> None:
        """Answer commands until the client leaves; then everything that the session owned goes at once."""
        try:
            await self._hub.reply(self._connection, encode_str(self._uuid) + Command.COMPLETE)
            await self._take_all()
        except (CommandsOver, WireError, ConnectionError) as error:
            self._close(error)
        except BaseException as error:
            self._close(error)
            raise
        finally:
            self._hub.members.pop(self._uuid, None)
            await self._hub.notices.notify(self._bereaved)

    def evict(self, detail: str) -> None:
        """End the session now, because a person asked for it; ``detail`` is recorded."""
        if self._live.is_open(self._id):
            self._bereaved = self._live.close_session(self._id, detail=detail)
        self._connection.cut_off(detail)

    def _close(self, error: BaseException) -> None:
        """The session is over, because of ``error``. Nothing when that is known already, or the run has ended."""
        if self._live.is_open(self._id):
            self._bereaved = self._live.close_session(self._id, detail=_why(error))

    def _malformed(self, command: bytes, error: str) -> bytes:
        if command == Command.SESSION_PROCESS_REQUEST:
            failure = ProcessControlResponse("", False, None, error, ProcessControlErrorCode.INVALID_RESPONSE)
            return encode_blob(dumps(failure)) + Command.COMPLETE
        if command == Command.SESSION_SETTINGS_EVENTS:
            return encode_blob(dumps([])) + Command.ERROR
        return Command.ERROR

    # --- commands ----------------------------------------------------------------------------------------------------

    def _connect(self, from_topic: str, to_topic: str) -> bytes | Later:
        try:
            rerouted = self._live.connect(from_topic, to_topic, self._id)
        except CycleError:
            return self._done(Command.CYCLIC)
        return self._done(Command.COMPLETE, rerouted)

    def _disconnect(self, from_topic: str, to_topic: str) -> bytes | Later:
        return self._done(Command.COMPLETE, self._live.disconnect(from_topic, to_topic, self._id))

    def _clear(self) -> bytes | Later:
        return self._done(Command.COMPLETE, self._live.clear(self._id))

    def _register(self, raw: bytes) -> bytes | Later:
        try:
            metadata = load(raw, GraphMetadata)
            form, keep_raw, exact = translate.graph_metadata(metadata, len(raw))
            self._live.register(self._id, form, raw if keep_raw else None)
            if exact:
                self._hub.snapshots.offer(self._live.current(self._id), form, metadata)
        except AddressCollision as error:
            logger.warning("SESSION_REGISTER from %s refused: %s. %s", self._connection.peer, error, error.hint)
            return self._done(Command.ERROR)
        return self._done(Command.COMPLETE)

    # Replies that show the state of processes are left for the task: it runs after theirs, if they ended before.

    async def _snapshot(self) -> bytes:
        return await self._in_time(encode_blob(self._hub.snapshots.pickled()) + Command.COMPLETE)

    async def _settings_snapshot(self) -> bytes:
        settings = self._live.state.settings
        values = {address: translate.settings_to_ezmsg(settings[address].value) for address in sorted(settings)}
        return await self._reply(values)

    async def _settings_events(self, after: int) -> bytes:
        return await self._in_time(encode_blob(await settings_events(self._hub, after)) + Command.COMPLETE)

    async def _process_request(self, unit: str, operation: str, timeout: float, payload: bytes) -> bytes:
        return await self._reply(await self._hub.requests.ask(self._id, unit, operation, timeout, payload or None))

    async def _reply(self, value: Any) -> bytes:
        return await self._in_time(encode_blob(dumps(value)) + Command.COMPLETE)


def _why(error: BaseException) -> str:
    """The end of a session as its event says it."""
    match error:
        case CommandsOver():
            return str(error)
        case WireError():
            return f"malformed: {error}"
        case Vanished():
            return "timeout"
        case CutOff():
            return f"cut off: {error}"
        case ConnectionError():
            return "reset"
        case asyncio.CancelledError():
            return "cancelled"
        case _:
            return "a fault of the server"


def _later(handle: Callable[..., Awaitable[bytes]]) -> Callable[..., Later]:
    """A handler that leaves the work for the session's task."""
    return lambda *arguments: partial(handle, *arguments)


SessionConnection.handlers = {
    Command.SESSION_CONNECT: ((TEXT, TEXT), SessionConnection._connect),
    Command.SESSION_DISCONNECT: ((TEXT, TEXT), SessionConnection._disconnect),
    Command.SESSION_CLEAR: ((), SessionConnection._clear),
    Command.SESSION_REGISTER: ((METADATA,), SessionConnection._register),
    Command.SESSION_SNAPSHOT: ((), _later(SessionConnection._snapshot)),
    Command.SESSION_SETTINGS_SNAPSHOT: ((), _later(SessionConnection._settings_snapshot)),
    Command.SESSION_SETTINGS_EVENTS: ((NUMBER,), _later(SessionConnection._settings_events)),
    Command.SESSION_PROCESS_REQUEST: ((TEXT, TEXT, SECONDS, PAYLOAD), _later(SessionConnection._process_request)),
}
