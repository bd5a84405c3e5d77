"""One TCP connection as the server sees it: bounded reads, whole writes, a quiet end."""

import asyncio
import logging

from ezmsg.ledger.runtime.server.wire import Reader

logger = logging.getLogger("ezmsg.ledger")

PENDING_MAX = 64 * 2**20
"""Bytes that may wait for a client that does not read; beyond this it is cut off, for the memory is everybody's."""

CLOSE_TIMEOUT_S = 1.0
"""How long a closing connection may take to hand over its last bytes before it is aborted."""


class ClientTooSlow(ConnectionError):
    """A client left more than PENDING_MAX bytes unread."""


class Connection:
    """A connected client.

    A write is handed over as a whole, so writes from several tasks never mix. ``peer`` is ``host:port``; ``cut_off``
    says why the server ended it before its client did.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = Reader(reader)
        self._writer = writer
        peer = writer.get_extra_info("peername") or ("unknown", 0)
        self.host: str = peer[0]
        self.peer = f"{peer[0]}:{peer[1]}"
        self.cut_off: str | None = None

    def write(self, data: bytes) -> None:
        """Hand ``data`` to the transport; raises ClientTooSlow when too much is waiting already."""
        transport = self._writer.transport
        if transport.get_write_buffer_size() > PENDING_MAX:
            transport.abort()
            self.cut_off = f"more than {PENDING_MAX} bytes were left unread"
            raise ClientTooSlow(f"{self.peer} was cut off: {self.cut_off}")
        if not transport.is_closing():
            self._writer.write(data)

    async def send(self, data: bytes) -> None:
        """Write and wait until the client keeps up: the back pressure of this connection alone."""
        self.write(data)
        await self._writer.drain()

    async def until_gone(self) -> None:
        """Read and ignore until the client leaves, on a connection where what it sends means nothing."""
        while await self.reader.command() is not None:
            pass

    async def close(self) -> None:
        """Close, giving the last bytes CLOSE_TIMEOUT_S to leave."""
        self._writer.close()
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await self._writer.wait_closed()
        except (OSError, TimeoutError) as error:
            logger.debug("%s did not take its last bytes: %r", self.peer, error)
        finally:
            self.abort()  # when it is closed already, this does nothing

    def abort(self) -> None:
        """Close now, whatever is still unsent."""
        self._writer.transport.abort()
