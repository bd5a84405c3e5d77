"""A TCP connection as the server sees it: bounded reads, whole writes, a quiet end."""

import asyncio
import logging
from collections.abc import Callable
from typing import cast

from ezmsg.ledger.runtime.server.wire.reader import Reader
from ezmsg.ledger.runtime.server.wire.vanished import GONE, has_vanished

logger = logging.getLogger("ezmsg.ledger")

PENDING_MAX = 64 * 2**20
"""Bytes that may wait for a client that does not read; beyond this it is cut off, for all clients share the memory."""

CLOSE_TIMEOUT_S = 1.0
"""Time that a closing connection has to hand over its last bytes before it is aborted."""


class CutOff(ConnectionError):
    """The server ended a connection before its client did. The text says why."""


class Vanished(CutOff):
    """A client gave no sign of life for too long."""

    def __init__(self) -> None:
        super().__init__("timeout")


class Connection(asyncio.Protocol):
    """A connected client. ``accept`` is called with it as soon as it can be read and written.

    A write is handed over as a whole, so writes from several tasks never mix. ``peer`` is ``host:port``. ``grew`` is
    told of the bytes that have to wait, for the client to take them or for the rest of what they belong to.
    """

    reader: Reader
    host: str
    peer: str

    def __init__(self, accept: Callable[["Connection"], None], grew: Callable[[int], None]) -> None:
        self._accept = accept
        self._grew = grew
        self._cut_off: CutOff | None = None
        self._keeps_up = asyncio.Event()
        self._keeps_up.set()
        self._lost = asyncio.Event()

    # --- what the transport reports ----------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection can be read and written."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none, but has all that one has
        self.reader = Reader(self._transport, grew=self._grew)
        host, port = (transport.get_extra_info("peername") or ("unknown", 0))[:2]
        self.host = host
        self.peer = f"{host}:{port}"
        self._accept(self)

    def data_received(self, data: bytes) -> None:
        """Bytes have come. A method of the class: uvloop looks it up before the connection is made."""
        self.reader.feed(data)

    def eof_received(self) -> bool:
        """The client sends no more. It may still read, so the transport stays open."""
        self.reader.end()
        return True

    def connection_lost(self, error: Exception | None) -> None:
        """The connection is over, for any reason."""
        if isinstance(error, OSError) and error.errno in GONE:
            error = Vanished()
        self.reader.end(error or self._cut_off)
        self._lost.set()
        self._keeps_up.set()

    def pause_writing(self) -> None:
        """The client does not keep up with what it is sent."""
        self._keeps_up.clear()

    def resume_writing(self) -> None:
        """The client keeps up again."""
        self._keeps_up.set()

    # --- what the server does ----------------------------------------------------------------------------------------

    @property
    def keeps_up(self) -> bool:
        """Whether the client takes what it is sent."""
        return self._keeps_up.is_set()

    def write(self, data: bytes) -> None:
        """Hand ``data`` to the transport; raises CutOff when too much is waiting already."""
        transport = self._transport
        if not self._keeps_up.is_set() and transport.get_write_buffer_size() > PENDING_MAX:
            raise self.cut_off(f"more than {PENDING_MAX} bytes were left unread")
        if not transport.is_closing():
            transport.write(data)
            if not self._keeps_up.is_set():
                self._grew(len(data))

    async def drain(self) -> None:
        """Wait until the client keeps up: the back pressure of this connection alone."""
        await self._keeps_up.wait()
        if self._lost.is_set():
            raise self._cut_off or ConnectionResetError("the connection is lost")

    @property
    def is_laden(self) -> bool:
        """Whether more than a little may be pending. Few are so at a time, and to look costs next to nothing."""
        return self.reader.is_gathering or not self._keeps_up.is_set()

    @property
    def pending(self) -> int:
        """Bytes in memory that the client has not taken yet, or sent and that are not read yet."""
        return self._transport.get_write_buffer_size() + self.reader.pending

    async def send(self, data: bytes) -> None:
        """Write and drain."""
        self.write(data)
        await self.drain()

    def cut_off(self, why: str) -> CutOff:
        """End the connection now. Its reader raises what this returns, lest it be taken for the client's wish."""
        return self._end(CutOff(why))

    def end_if_vanished(self, seconds: float) -> None:
        """End the connection when its client has not acknowledged what it was sent for so long. Cost: a system call."""
        if not self._lost.is_set() and has_vanished(self._transport.get_extra_info("socket"), seconds):
            self._end(Vanished())

    def _end(self, why: CutOff) -> CutOff:
        if self._cut_off is None:
            self._cut_off = why
        self._abort()
        return self._cut_off

    async def close(self) -> None:
        """Close, giving the last bytes CLOSE_TIMEOUT_S to leave."""
        self._transport.close()
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await self._lost.wait()
        except TimeoutError:
            logger.debug("%s did not take its last bytes", self.peer)
        finally:
            self._abort()

    def _abort(self) -> None:
        if not self._lost.is_set():  # asyncio's transport raises when its last bytes have left since it was closed
            self._transport.abort()
