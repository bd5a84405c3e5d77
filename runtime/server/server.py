"""The graph server: a thread with an event loop that unmodified ezmsg programs connect to."""

import asyncio
import logging
import os
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

from ezmsg.core import __version__ as ezmsg_version
from ezmsg.core.netprotocol import (
    SERVER_PORT_START_DEFAULT,
    SERVER_PORT_START_ENV,
    Address,
    AddressType,
    create_socket,
)

from ezmsg.ledger.errors import LedgerLocked
from ezmsg.ledger.log import Ledger
from ezmsg.ledger.runtime.live import LiveGraph
from ezmsg.ledger.runtime.server import commands, endpoints, streams
from ezmsg.ledger.runtime.server.connection import Connection
from ezmsg.ledger.runtime.server.hub import Hub
from ezmsg.ledger.runtime.server.processes import ProcessConnection
from ezmsg.ledger.runtime.server.sessions import SessionConnection
from ezmsg.ledger.runtime.server.wire import Command, Malformed, command_name, encode_str

logger = logging.getLogger("ezmsg.ledger")

LEDGER_ENV = "EZMSG_LEDGER"
"""Where a server records that was given no ledger."""

OPENER_TIMEOUT_S = 60.0
"""How long a connection may stay silent before it says what it is: ezmsg's publishers take a few round trips."""

SIBLINGS_MAX = 1000

STOP_TIMEOUT_S = 1.5
"""How long connections may take to end when the server stops; after that they are left behind."""


class GraphServer(threading.Thread):
    """A drop-in for ezmsg's graph server that records all it decides.

    ``ledger``: a path, an open Ledger (which stays open), or None: ``$EZMSG_LEDGER`` if set, else memory. A locked
    ledger that was asked for is an error; one that only the variable names gets a numbered sibling. ``fresh`` drops the persistent edges that the ledger brings.
    """

    def __init__(
        self,
        ledger: Ledger | str | os.PathLike[str] | None = None,
        *,
        name: str = "GraphServer",
        durability: str = "interval",
        kind: str = "server",
        fresh: bool = False,
    ) -> None:
        super().__init__(name=name, daemon=True)
        self._given = ledger
        self._durability = durability
        self._kind = kind
        self._fresh = fresh
        self._address: Address | None = None
        self._ready = threading.Event()
        self._stopping = threading.Event()
        self._reason: tuple[str, str | None] = ("stopped", None)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wake: asyncio.Event | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.ledger: Ledger | None = None
        self.live: LiveGraph | None = None

    @property
    def address(self) -> Address:
        """Where it listens. AssertionError before ``start``."""
        assert self._address is not None, "the graph server has not been started"
        return self._address

    @property
    def clients(self) -> int:
        """How many sessions and backend processes are connected. May be read from any thread."""
        return 0 if self.live is None else len(self.live.state.sessions) + len(self.live.state.processes)

    def start(self, address: AddressType | None = None) -> None:  # type: ignore[override]
        """Open the ledger, bind, and return when connections are accepted.

        Without an address it takes the first free port from ``$EZMSG_SERVER_PORT_START`` (10000), as ezmsg does. Raises
        OSError when the address cannot be bound, LedgerError when the ledger cannot be opened.
        """
        if address is None:
            first = int(os.environ.get(SERVER_PORT_START_ENV, SERVER_PORT_START_DEFAULT))
            self._socket = create_socket(start_port=first)
        else:
            self._socket = create_socket(*address)
        try:
            self._address = Address(*self._socket.getsockname())
            self.ledger = self._open_ledger()
            self.live = LiveGraph(self.ledger, kind=self._kind, name=self.name, address=str(self._address))
            if self._fresh:
                self.live.clear_persistent()
            super().start()
        except BaseException:
            self._socket.close()
            if self.ledger is not None and self.ledger is not self._given:
                self.ledger.close()
            raise
        self._ready.wait()

    def _open_ledger(self) -> Ledger:
        if isinstance(self._given, Ledger):
            return self._given
        if self._given is not None:
            return Ledger.open(self._given, durability=self._durability)
        location = os.environ.get(LEDGER_ENV)
        if not location:
            return Ledger.memory()
        try:
            return Ledger.open(location, durability=self._durability)
        except LedgerLocked as error:
            return self._open_sibling(Path(location), error)

    def _open_sibling(self, location: Path, locked: LedgerLocked) -> Ledger:
        for number in range(2, SIBLINGS_MAX):
            sibling = location.with_name(f"{location.stem}-{number}{location.suffix}")
            try:
                ledger = Ledger.open(sibling, durability=self._durability)
            except LedgerLocked:
                continue
            logger.warning("%s; recording to %s instead", locked, sibling)
            return ledger
        raise locked

    def stop(self) -> None:
        """Stop and return when it has: the run is closed in the ledger, clients are cut off. Idempotent."""
        self.request_stop("stopped", None)
        if self.is_alive() and threading.current_thread() is not self:
            self.join()

    def request_stop(self, reason: str, by: str | None) -> None:
        """Begin to stop and return at once; from any thread or signal handler. The first reason counts."""
        if not self._stopping.is_set():
            self._reason = (reason, by)
            self._stopping.set()
        loop, wake = self._loop, self._wake
        if loop is not None and wake is not None and not loop.is_closed():
            loop.call_soon_threadsafe(wake.set)

    # --- in the server's thread --------------------------------------------------------------------------------------

    def run(self) -> None:
        """The thread's body."""
        assert self.ledger is not None
        try:
            asyncio.run(self._serve())
        finally:
            self._ready.set()
            if self.ledger is not self._given:
                self.ledger.close()

    async def _serve(self) -> None:
        assert self.live is not None
        self._loop = asyncio.get_running_loop()
        self._wake = asyncio.Event()
        hub = Hub(self.live, ezmsg_version, self.request_stop)

        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.ensure_future(self._serve_connection(hub, Connection(reader, writer)))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

        server = await asyncio.start_server(accept, sock=self._socket, backlog=1024)
        logger.info("graph server at %s, recording to %s", self.address, self.live.ledger.location)
        self._ready.set()
        if self._stopping.is_set():
            self._wake.set()
        await self._wake.wait()
        server.close()
        self.live.close(*self._reason)
        await self._end_connections()
        hub.leases.close()

    async def _end_connections(self) -> None:
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=STOP_TIMEOUT_S)

    async def _serve_connection(self, hub: Hub, connection: Connection) -> None:
        opener: bytes | None = None
        try:
            await connection.send(encode_str(hub.version))
            opener = await connection.reader.command(OPENER_TIMEOUT_S)
            if opener is None:
                return  # somebody looked whether a server is there
            serve = _OPENERS.get(opener)
            if serve is None:
                hub.reject(None, connection.peer, command_name(opener), "unknown_command")
                return
            await serve(hub, connection)
        except Malformed as error:
            hub.reject(None, connection.peer, command_name(opener or b""), "malformed", str(error))
        except ConnectionError as error:
            logger.debug("%s left: %r", connection.peer, error)
        except Exception:
            logger.exception("the connection from %s met a fault of the server and was closed", connection.peer)
        finally:
            await connection.close()


_OPENERS: dict[bytes, Callable[[Hub, Connection], Awaitable[None]]] = {
    Command.SESSION: lambda hub, connection: SessionConnection(hub, connection).serve(),
    Command.PROCESS: lambda hub, connection: ProcessConnection(hub, connection).serve(),
    Command.SUBSCRIBE: endpoints.serve_subscriber,
    Command.PUBLISH: endpoints.serve_publisher,
    Command.CHANNEL: endpoints.serve_channel,
    Command.CONNECT: commands.connect,
    Command.DISCONNECT: commands.disconnect,
    Command.SYNC: commands.sync,
    Command.PAUSE: commands.pause,
    Command.RESUME: commands.resume,
    Command.DAG: commands.dag,
    Command.SHUTDOWN: commands.shutdown,
    Command.SHM_CREATE: commands.create_segment,
    Command.SHM_ATTACH: commands.attach_segment,
    Command.SESSION_TOPOLOGY_SUBSCRIBE: streams.serve_topology,
    Command.SESSION_SETTINGS_SUBSCRIBE: streams.serve_settings,
    Command.SESSION_PROFILING_SUBSCRIBE: streams.serve_profiling,
}
