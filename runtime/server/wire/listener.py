"""The listening socket: lets connections in one after the other, and goes on whatever the system answers."""

import asyncio
import logging
import socket
from collections.abc import Callable

from ezmsg.ledger.runtime.server.wire.admission import Admission, Place, TurnedAway
from ezmsg.ledger.runtime.server.wire.vanished import watch

logger = logging.getLogger("ezmsg.ledger")

RETRY_S = 0.1
"""Pause when the system has no descriptor or memory left for another connection. That one stays in the
backlog and the socket readable: without a pause, accepting would be all that the server does."""

AT_ONCE = 64
"""Connections that are accepted before other tasks have a turn."""


class Listener:
    """Accepts from ``listening`` and gives every connection that is let in a ``protocol``, which leaves its place.

    One that is not let in is closed at once, and ``turned_away`` is called with its peer and the reason.
    """

    def __init__(
        self,
        listening: socket.socket,
        admission: Admission,
        protocol: Callable[[Place], asyncio.BaseProtocol],
        turned_away: Callable[[str, str], None],
    ) -> None:
        self._listening = listening
        self._admission = admission
        self._protocol = protocol
        self._turned_away = turned_away
        self._loop = asyncio.get_running_loop()
        self._entering: set[asyncio.Task[None]] = set()
        self._failing = False
        listening.setblocking(False)
        self._accepting = asyncio.create_task(self._accept())

    async def close(self) -> None:
        """Let no connection in any more, and return when those that were being let in are in."""
        self._accepting.cancel()
        await asyncio.wait({self._accepting, *self._entering})
        self._listening.close()

    async def _accept(self) -> None:
        accepted = 0
        while True:
            try:
                connection, address = await self._loop.sock_accept(self._listening)
            except ConnectionAbortedError:  # it left while it waited
                continue
            except OSError as error:
                self._fail(error)
                await asyncio.sleep(RETRY_S)
                continue
            self._failing = False
            self._receive(connection, *address[:2])
            accepted += 1
            if accepted % AT_ONCE == 0:
                await asyncio.sleep(0)

    def _fail(self, error: OSError) -> None:
        if not self._failing:  # said once, not ten times a second
            logger.error("no connection can be accepted for now, those that come have to wait: %s", error)
            self._failing = True

    def _receive(self, connection: socket.socket, host: str, port: int) -> None:
        try:
            place = self._admission.admit(host, connection.getsockname()[0])
            watch(connection, self._admission.limits.silent_s)
        except TurnedAway as refused:
            connection.close()
            self._turned_away(f"{host}:{port}", refused.reason)
            return
        except OSError as error:  # some systems have forgotten the address of one that was reset while it waited
            logger.debug("a connection ended before it began: %r", error)
            connection.close()
            return
        task = asyncio.create_task(self._enter(connection, place))
        self._entering.add(task)
        task.add_done_callback(self._entering.discard)

    async def _enter(self, connection: socket.socket, place: Place) -> None:
        try:
            await self._loop.connect_accepted_socket(lambda: self._protocol(place), connection)
        except OSError as error:
            logger.debug("a connection ended as it began: %r", error)
            connection.close()
            place.leave()
