"""Session connections: commands one after the other, each decided, then acknowledged when that is durable."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from ezmsg.core.graphmeta import GraphMetadata, ProcessControlErrorCode, ProcessControlResponse

from ezmsg.ledger.errors import AddressCollision, CycleError
from ezmsg.ledger.runtime.server import translate
from ezmsg.ledger.runtime.server.clients.streams import settings_events
from ezmsg.ledger.runtime.server.hub import MALFORMED, Hub
from ezmsg.ledger.runtime.server.payloads import load
from ezmsg.ledger.runtime.server.pickles import dumps
from ezmsg.ledger.runtime.server.wire.connection import Connection, CutOff, Vanished
from ezmsg.ledger.runtime.server.wire.protocol import (
    METADATA,
    NUMBER,
    PAYLOAD,
    SECONDS,
    TEXT,
    Argument,
    Command,
    WireError,
    encode_blob,
    encode_str,
)
from ezmsg.ledger.runtime.server.wire.waiters import Overtaken, unless

logger = logging.getLogger("ezmsg.ledger")

Later = Callable[[], Awaitable[bytes]]
"""Gives an answer for which something has to be waited for."""


class SessionOver(Exception):
    """No more commands are taken from a session. The text says why."""


class SessionConnection:
    """Serves one session from its opener to its end.

    A command is decided when its last byte comes, if the one before it is answered; and answered at once, unless there
    is something to wait for: the disk, a subscriber, a process, or the client itself, which does not read. When the
    client leaves meanwhile, the waiting ends.
    """

    def __init__(self, hub: Hub, connection: Connection) -> None:
        self._hub = hub
        self._live = hub.live
        self._connection = connection
        self._reader = connection.reader
        self._command: bytes | None = None
        self._bereaved: tuple[str, ...] = ()
        self._id = self._live.open_session(peer=connection.peer)
        self._uuid = self._live.state.sessions[self._id].uuid
        hub.members[self._uuid] = self

    async def serve(self) -> None:
        """Answer commands until the client leaves; then everything that the session owned goes at once."""
        try:
            await self._hub.reply(self._connection, encode_str(self._uuid) + Command.COMPLETE)
            while True:
                wait = await self._reader.until(self._advance)
                await wait()
        except (SessionOver, WireError, ConnectionError) as error:
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

    def _advance(self) -> Callable[[], Awaitable[None]] | None:
        """Take commands; when that shows that the session is over, close it at once.

        A command of another session that comes after the end of this one may be decided at once, too.
        """
        try:
            return self._take_commands()
        except Exception as error:
            self._close(error)
            raise

    def _take_commands(self) -> Callable[[], Awaitable[None]] | None:
        """Decide the commands that are there, and answer them. Raises SessionOver when no more will come.

        Returns what waits for whatever the next one has to wait for; None: for more bytes.
        """
        self._reader.begin_turn()
        while True:
            if not self._connection.keeps_up:
                return self._connection.drain
            if self._command is None:
                self._command = self._reader.next()
                if self._command is None:
                    return None
            command = self._command
            if command and self._reader.turn_is_over:
                return partial(asyncio.sleep, 0)
            answer = self._answer(command)
            if answer is None:
                return None
            self._command = None
            if not isinstance(answer, bytes):
                return partial(self._send_later, command, answer)
            self._hub.commits.send(self._connection, answer)

    def _answer(self, command: bytes) -> bytes | Later | None:
        """The answer to a command; None while some of its arguments are missing."""
        if command not in _HANDLERS:
            if not command:
                raise SessionOver("eof")
            # How long its arguments are is not known: what follows cannot be told from commands.
            self._reject(command, "unknown_command")
            raise SessionOver("unknown command")
        kinds, handler = _HANDLERS[command]
        try:
            arguments = self._reader.ready(kinds)
            if arguments is None:
                return None
            self._live.holding = self._hub.commits.join(self._connection)
            return handler(self, *arguments)
        except MALFORMED as error:
            return self._refuse(command, error)
        finally:
            self._live.holding = False

    async def _send_later(self, command: bytes, later: Later) -> None:
        try:
            answer = await unless(self._reader.ended, later())
        except Overtaken:
            self._reader.check()
            raise SessionOver("eof") from None
        except MALFORMED as error:
            answer = self._refuse(command, error)
        await self._connection.send(answer)

    def _refuse(self, command: bytes, error: Exception) -> bytes:
        self._reject(command, "malformed", str(error))
        if isinstance(error, WireError) and not error.in_sync:
            raise error
        return _malformed(command, str(error))

    def _reject(self, command: bytes, reason: str, arguments: Any = None) -> None:
        self._hub.reject(self._id, self._connection.peer, command, reason, arguments)

    # --- commands ----------------------------------------------------------------------------------------------------

    def _connect(self, from_topic: str, to_topic: str) -> bytes | Later:
        try:
            rerouted = self._live.connect(from_topic, to_topic, self._id)
        except CycleError:
            return self._done(answer=Command.CYCLIC)
        return self._done(rerouted)

    def _disconnect(self, from_topic: str, to_topic: str) -> bytes | Later:
        return self._done(self._live.disconnect(from_topic, to_topic, self._id))

    def _clear(self) -> bytes | Later:
        return self._done(self._live.clear(self._id))

    def _register(self, raw: bytes) -> bytes | Later:
        try:
            metadata = load(raw, GraphMetadata)
            form, keep_raw = translate.graph_metadata(metadata, len(raw))
            self._live.register(self._id, form, raw if keep_raw else None)
        except AddressCollision as error:
            logger.warning("SESSION_REGISTER from %s refused: %s. %s", self._connection.peer, error, error.hint)
            return self._done(answer=Command.ERROR)
        return self._done()

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

    def _done(self, topics: tuple[str, ...] = (), answer: bytes = Command.COMPLETE) -> bytes | Later:
        """``answer``, given once all is durable and the subscribers that ``topics`` concern have applied it."""
        if self._hub.is_durable and not self._hub.notices.downstream(topics):
            return answer
        return partial(self._in_time, answer, topics)

    async def _in_time(self, answer: bytes, topics: tuple[str, ...] = ()) -> bytes:
        await self._hub.durable()
        await self._hub.notices.notify(topics)
        return answer


def _why(error: BaseException) -> str:
    """The end of a session as its event says it."""
    match error:
        case SessionOver():
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


def _malformed(command: bytes, error: str) -> bytes:
    """The error answer to a command that could not be read, in the shape that its reply has."""
    if command == Command.SESSION_PROCESS_REQUEST:
        failure = ProcessControlResponse("", False, None, error, ProcessControlErrorCode.INVALID_RESPONSE)
        return encode_blob(dumps(failure)) + Command.COMPLETE
    if command == Command.SESSION_SETTINGS_EVENTS:
        return encode_blob(dumps([])) + Command.ERROR
    return Command.ERROR


_HANDLERS: dict[bytes, tuple[tuple[Argument, ...], Callable[..., bytes | Later]]] = {
    Command.SESSION_CONNECT: ((TEXT, TEXT), SessionConnection._connect),
    Command.SESSION_DISCONNECT: ((TEXT, TEXT), SessionConnection._disconnect),
    Command.SESSION_CLEAR: ((), SessionConnection._clear),
    Command.SESSION_REGISTER: ((METADATA,), SessionConnection._register),
    Command.SESSION_SNAPSHOT: ((), _later(SessionConnection._snapshot)),
    Command.SESSION_SETTINGS_SNAPSHOT: ((), _later(SessionConnection._settings_snapshot)),
    Command.SESSION_SETTINGS_EVENTS: ((NUMBER,), _later(SessionConnection._settings_events)),
    Command.SESSION_PROCESS_REQUEST: ((TEXT, TEXT, SECONDS, PAYLOAD), _later(SessionConnection._process_request)),
}
"""By command: the arguments that follow it, and the method that decides it."""
