"""Session connections: commands one after the other, each decided, settled, acknowledged."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from ezmsg.core.graphmeta import GraphMetadata, ProcessControlErrorCode, ProcessControlResponse

from ezmsg.ledger.errors import AddressCollision, CycleError, InvalidEvent, InvalidValue
from ezmsg.ledger.runtime.server import translate
from ezmsg.ledger.runtime.server.connection import Connection
from ezmsg.ledger.runtime.server.hub import Hub
from ezmsg.ledger.runtime.server.pickles import dumps
from ezmsg.ledger.runtime.server.streams import settings_events
from ezmsg.ledger.runtime.server.wire import (
    METADATA_MAX,
    NUMBER,
    PAYLOAD,
    SECONDS,
    TEXT,
    Command,
    WireError,
    command_name,
    encode_blob,
    encode_str,
)


class SessionGone(ConnectionError):
    """The client left while one of its requests was waiting."""


class SessionConnection:
    """Serves one session from its opener to its end."""

    def __init__(self, hub: Hub, connection: Connection) -> None:
        self._hub = hub
        self._live = hub.live
        self._connection = connection
        self._reader = connection.reader
        self._ahead: asyncio.Task[bytes | None] | None = None
        self._id = self._live.open_session(peer=connection.peer)

    async def serve(self) -> None:
        """Answer commands until the client leaves; then everything that the session owned goes at once."""
        uuid = self._live.state.sessions[self._id].uuid
        detail = "eof"
        try:
            await self._hub.settled()
            await self._connection.send(encode_str(uuid) + Command.COMPLETE)
            while (command := await self._next_command()) is not None:
                if command not in _HANDLERS:
                    # How long its arguments are is not known: what follows cannot be told from commands.
                    self._reject(command_name(command), "unknown_command")
                    detail = "unknown command"
                    break
                await self._connection.send(await self._answer(command))
        except WireError as error:
            detail = f"malformed: {error}"
        except ConnectionError as error:
            detail = "reset" if not isinstance(error, SessionGone) else "eof"
        except asyncio.CancelledError:
            detail = "cancelled"
            raise
        finally:
            await self._end(detail)

    async def _end(self, detail: str) -> None:
        if self._ahead is not None:
            self._ahead.cancel()
        if self._live.is_open(self._id):
            outcome = self._live.close_session(self._id, detail=detail)
            await self._hub.router.notify(outcome.topics)

    async def _answer(self, command: bytes) -> bytes:
        try:
            return await _HANDLERS[command](self)
        except (WireError, translate.Malformed, InvalidEvent, InvalidValue) as error:
            self._reject(command_name(command), "malformed", str(error))
            if isinstance(error, WireError) and not error.in_sync:
                raise
            return _malformed(command, str(error))

    def _reject(self, command: str, reason: str, arguments: Any = None) -> None:
        self._hub.reject(self._id, self._connection.peer, command, reason, arguments)

    async def _next_command(self) -> bytes | None:
        if self._ahead is None:
            return await self._reader.command()
        ahead, self._ahead = self._ahead, None
        return await ahead

    # --- commands ----------------------------------------------------------------------------------------------------

    async def _connect(self) -> bytes:
        from_topic, to_topic = await self._reader.texts(2)
        try:
            outcome = self._live.connect(from_topic, to_topic, self._id)
        except CycleError:
            await self._hub.settled()
            return Command.CYCLIC
        return await self._done(outcome.topics)

    async def _disconnect(self) -> bytes:
        from_topic, to_topic = await self._reader.texts(2)
        return await self._done(self._live.disconnect(from_topic, to_topic, self._id).topics)

    async def _clear(self) -> bytes:
        return await self._done(self._live.clear(self._id).topics)

    async def _done(self, topics: tuple[str, ...]) -> bytes:
        await self._hub.settled()
        if topics:
            await self._hub.router.notify(topics)
        return Command.COMPLETE

    async def _register(self) -> bytes:
        raw = await self._reader.blob(METADATA_MAX)
        try:
            metadata = translate.load(raw, GraphMetadata)
            form, keep_raw = translate.graph_metadata(metadata, len(raw))
            self._live.register(self._id, form, raw if keep_raw else None)
        except AddressCollision:
            await self._hub.settled()
            return Command.ERROR
        await self._hub.settled()
        return Command.COMPLETE

    async def _snapshot(self) -> bytes:
        return await self._reply(translate.snapshot_to_ezmsg(self._live.state.snapshot()))

    async def _settings_snapshot(self) -> bytes:
        settings = self._live.state.settings
        values = {address: translate.settings_to_ezmsg(settings[address].value) for address in sorted(settings)}
        return await self._reply(values)

    async def _settings_events(self) -> bytes:
        [after] = await self._reader.arguments(NUMBER)
        return await self._reply(await settings_events(self._live, after))

    async def _process_request(self) -> bytes:
        unit, operation, timeout, payload = await self._reader.arguments(TEXT, TEXT, SECONDS, PAYLOAD)
        asked = asyncio.ensure_future(
            self._hub.requests.ask(self._id, unit, operation, timeout, payload or None)
        )
        self._ahead = asyncio.ensure_future(self._reader.command())
        await asyncio.wait({asked, self._ahead}, return_when=asyncio.FIRST_COMPLETED)
        if self._ahead.done() and not asked.done() and (self._ahead.exception() or self._ahead.result() is None):
            asked.cancel()
            raise SessionGone("the session left while it waited for an answer")
        return await self._reply(await asked)

    async def _reply(self, value: Any) -> bytes:
        await self._hub.settled()
        return encode_blob(dumps(value)) + Command.COMPLETE


def _malformed(command: bytes, error: str) -> bytes:
    """The error answer to a command that could not be read, in the shape that its reply has."""
    if command == Command.SESSION_PROCESS_REQUEST:
        failure = ProcessControlResponse("", False, None, error, ProcessControlErrorCode.INVALID_RESPONSE)
        return encode_blob(dumps(failure)) + Command.COMPLETE
    if command == Command.SESSION_SETTINGS_EVENTS:
        return encode_blob(dumps([])) + Command.ERROR
    return Command.ERROR


_HANDLERS: dict[bytes, Callable[[SessionConnection], Awaitable[bytes]]] = {
    Command.SESSION_CONNECT: SessionConnection._connect,
    Command.SESSION_DISCONNECT: SessionConnection._disconnect,
    Command.SESSION_CLEAR: SessionConnection._clear,
    Command.SESSION_REGISTER: SessionConnection._register,
    Command.SESSION_SNAPSHOT: SessionConnection._snapshot,
    Command.SESSION_SETTINGS_SNAPSHOT: SessionConnection._settings_snapshot,
    Command.SESSION_SETTINGS_EVENTS: SessionConnection._settings_events,
    Command.SESSION_PROCESS_REQUEST: SessionConnection._process_request,
}
