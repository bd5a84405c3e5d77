"""Connections on which commands come one after the other: each is decided, then answered when that is durable."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, ClassVar, TypeAlias

from ezmsg.ledger.runtime.server.hub import MALFORMED, Hub
from ezmsg.ledger.runtime.server.wire.connection import Connection
from ezmsg.ledger.runtime.server.wire.protocol import Argument, WireError
from ezmsg.ledger.runtime.server.wire.waiters import Overtaken, unless

Later: TypeAlias = Callable[[], Awaitable[bytes]]
"""Gives an answer for which something has to be waited for."""

Handlers: TypeAlias = Mapping[bytes, tuple[tuple[Argument, ...], Callable[..., bytes | Later]]]
"""The arguments that follow each command, and the method that decides it. That returns the answer, or b"" for none."""


class CommandsOver(Exception):
    """No more commands are taken from a connection. The text says why."""


class CommandConnection(ABC):
    """Takes the commands of one connection, in their order.

    A command is decided when its last byte comes, if the one before it is answered; and answered at once, unless there
    is something to wait for: the disk, a subscriber, a process, or the client itself, which does not read. When the
    client leaves meanwhile, the waiting ends.
    """

    handlers: ClassVar[Handlers]

    def __init__(self, hub: Hub, connection: Connection) -> None:
        self._hub = hub
        self._live = hub.live
        self._connection = connection
        self._reader = connection.reader
        self._command: bytes | None = None

    _id: int
    """The session or process that commands."""

    @abstractmethod
    def _close(self, error: BaseException) -> None:
        """Record that the client is gone, because of ``error``; not again, and not after the run has ended."""

    @abstractmethod
    def _malformed(self, command: bytes, error: str) -> bytes:
        """The error answer to a command that could not be read, in the shape that its reply has."""

    async def _take_all(self) -> None:
        """Answer commands until the client leaves. Raises CommandsOver, WireError, ConnectionError at the end."""
        while True:
            wait = await self._reader.until(self._advance)
            await wait()

    def _advance(self) -> Callable[[], Awaitable[None]] | None:
        """Take commands; when that shows that no more will come, close at once.

        A command of another connection that comes after the end of this one may be decided at once, too.
        """
        try:
            return self._take_commands()
        except Exception as error:
            self._close(error)
            raise

    def _take_commands(self) -> Callable[[], Awaitable[None]] | None:
        """Decide the commands that are there, and answer them. Raises CommandsOver when no more will come.

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
            if answer:
                self._hub.commits.send(self._connection, answer)

    def _answer(self, command: bytes) -> bytes | Later | None:
        """The answer to a command; None while some of its arguments are missing."""
        found = self.handlers.get(command)
        if found is None:
            if not command:
                raise CommandsOver("eof")
            # How long its arguments are is not known: what follows cannot be told from commands.
            self._reject(command, "unknown_command")
            raise CommandsOver("unknown command")
        kinds, handler = found
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
            raise CommandsOver("eof") from None
        except MALFORMED as error:
            answer = self._refuse(command, error)
        await self._connection.send(answer)

    def _refuse(self, command: bytes, error: Exception) -> bytes:
        self._reject(command, "malformed", str(error))
        if isinstance(error, WireError) and not error.in_sync:
            raise error
        return self._malformed(command, str(error))

    def _reject(self, command: bytes, reason: str, arguments: Any = None) -> None:
        self._hub.reject(self._id, self._connection.peer, command, reason, arguments)

    def _done(self, answer: bytes, topics: tuple[str, ...] = ()) -> bytes | Later:
        """``answer``, given once all is durable and the subscribers that ``topics`` concern have applied it."""
        if self._hub.is_durable and not self._hub.notices.downstream(topics):
            return answer
        return partial(self._in_time, answer, topics)

    async def _in_time(self, answer: bytes, topics: tuple[str, ...] = ()) -> bytes:
        await self._hub.durable()
        await self._hub.notices.notify(topics)
        return answer
