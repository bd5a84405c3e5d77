"""The graph server: a thread with an event loop that unmodified ezmsg programs connect to."""

import asyncio
import logging
import os
import socket
import threading
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any

from ezmsg.core import __version__ as ezmsg_version
from ezmsg.core.netprotocol import (
    SERVER_PORT_START_DEFAULT,
    SERVER_PORT_START_ENV,
    Address,
    AddressType,
    create_socket,
)

from ezmsg.ledger.errors import LedgerError, LedgerLocked
from ezmsg.ledger.log import LEDGER_ENV, Ledger
from ezmsg.ledger.runtime.address import BACKLOG, beyond_loopback, cannot_listen, parse_address
from ezmsg.ledger.runtime.live import LiveGraph
from ezmsg.ledger.runtime.restored import Wiring
from ezmsg.ledger.runtime.rotation import Rotation, Rotator
from ezmsg.ledger.runtime.server.clients import endpoints, single_commands, streams
from ezmsg.ledger.runtime.server.clients.control import serve_private
from ezmsg.ledger.runtime.server.clients.own_session import OwnSession
from ezmsg.ledger.runtime.server.clients.processes import ProcessConnection
from ezmsg.ledger.runtime.server.clients.sessions import SessionConnection
from ezmsg.ledger.runtime.server.health.metrics import Metrics
from ezmsg.ledger.runtime.server.health.vitals import vitals
from ezmsg.ledger.runtime.server.hub import Hub
from ezmsg.ledger.runtime.server.wire.admission import Admission, Limits, Place, parse_network
from ezmsg.ledger.runtime.server.wire.connection import Connection
from ezmsg.ledger.runtime.server.wire.listener import Listener
from ezmsg.ledger.runtime.server.wire.protocol import Command, Malformed, encode_str
from ezmsg.ledger.storage.durability import Durability

logger = logging.getLogger("ezmsg.ledger")

OPENER_TIMEOUT_S = 60.0
"""Time that a connection may stay silent before it says what it is: ezmsg's publishers take a few round trips."""

SIBLINGS_MAX = 1000

TEND_S = 0.25
"""Time between two looks after the ledger: whether the disk still takes what it is given, and the time of the lock
file, which is what the next server takes for this one's last moment."""

VITALS_TIMEOUT_S = 5.0
"""Time that other threads wait for the server's own thread to say how it is."""

STOP_TIMEOUT_S = 0.5
"""Time that connections have to end when the server stops; then they are cut off, their last bytes unread."""


class GraphServer(threading.Thread):
    """A drop-in for ezmsg's graph server that records all it decides.

        >>> from ezmsg.ledger import Ledger
        >>> server = GraphServer("rig.ledger")
        >>> server.start_at("127.0.0.1:0")
        >>> server.stop()
        >>> [type(event).__name__ for event in Ledger.open("rig.ledger", "r").entries()]
        ['ClockRead', 'ServerStarted', 'ClockRead', 'ServerStopped']

    ``ledger``: a path, an open Ledger (which stays open), or None: ``$EZMSG_LEDGER`` if set, else memory. A locked
    ledger that was asked for is an error; one that only the variable names gets a numbered sibling. ``fresh``
    drops the persistent edges that the ledger brings. With a ``rotation`` the ledger is a folder, or becomes one.
    ``wiring``: edges that are connected before anybody else comes, once.

    ``allow``: the hosts that may connect beside this machine, as networks (``192.168.1.0/24``) or addresses; all when
    there is none. ``remote_shutdown``: whether ezmsg's SHUTDOWN is obeyed when it comes from another machine.
    ``limits``: how much clients may take. ``metrics_port``: of 127.0.0.1, where Prometheus asks how it is (needs the
    extra ``metrics``; ``metrics.url`` says where). ``min_free``: bytes of the disk; when fewer are free it warns (None:
    1 GB, or a twentieth of a smaller disk; 0: never). Raises NoNetwork when something in ``allow`` is neither, and
    NoMetrics when that is not installed.
    """

    def __init__(
        self,
        ledger: Ledger | str | os.PathLike[str] | None = None,
        *,
        name: str = "GraphServer",
        durability: Durability = "interval",
        kind: str = "server",
        fresh: bool = False,
        allow: Iterable[str] = (),
        remote_shutdown: bool = False,
        limits: Limits | None = None,
        metrics_port: int | None = None,
        rotation: Rotation | None = None,
        min_free: int | None = None,
        wiring: Wiring | None = None,
    ) -> None:
        super().__init__(name=name, daemon=True)
        self._allow = [str(parse_network(text)) for text in allow]
        self._given = ledger
        self._durability = durability
        self._kind = kind
        self._fresh = fresh
        self._wiring = wiring
        self._own_session: int | None = None
        self._admission = Admission(limits or Limits(), map(parse_network, self._allow))
        self._remote_shutdown = remote_shutdown
        self.metrics = None if metrics_port is None else Metrics(metrics_port)
        self._rotator = Rotator(rotation) if rotation is not None else None
        self._min_free = min_free
        self._address: Address | None = None
        self._ready = threading.Event()
        self._stopping = threading.Event()
        self._reason: tuple[str, str | None] = ("stopped", None)
        self.script: tuple[int | None, str | None] = (None, None)
        """How the script that is recorded has ended: its exit code, or the name of the signal. Set before ``stop``."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wake: asyncio.Event | None = None
        self._hub: Hub | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._failure: BaseException | None = None
        self.ledger: Ledger | None = None
        self.live: LiveGraph | None = None

    @property
    def address(self) -> Address:
        """The address at which the server listens. AssertionError before ``start``."""
        assert self._address is not None, "the graph server has not been started"
        return self._address

    @property
    def clients(self) -> int:
        """The number of sessions and backend processes that are connected. May be read from any thread."""
        return 0 if self.live is None else len(self.live.state.sessions) + len(self.live.state.processes)

    def start(self, address: AddressType | None = None, listening: socket.socket | None = None) -> None:
        """Open the ledger, bind (or take a socket that listens), and return when connections are accepted.

        Without an address it takes the first free port from ``$EZMSG_SERVER_PORT_START`` (10000), as ezmsg does. Raises
        OSError when the address cannot be bound, NoMetrics when that of the metrics cannot, LedgerError when the ledger
        cannot be opened, RuntimeError when it was started before.
        """
        if self.ident is not None:
            raise RuntimeError("a graph server can be started only once; make another one")
        if listening is not None:
            self._socket = listening
        elif address is None:
            first = int(os.environ.get(SERVER_PORT_START_ENV, SERVER_PORT_START_DEFAULT))
            self._socket = create_socket(start_port=first)
        else:
            self._socket = create_socket(*address)
        try:
            self._socket.listen(BACKLOG)  # a port that another one listens on shows here, before anything is recorded
            self._address = Address(*self._socket.getsockname())
            if self.metrics is not None:
                self.metrics.start(self._vitals)
            self.ledger = self._open_ledger()
            self.live = LiveGraph(self.ledger, kind=self._kind, name=self.name, address=str(self._address), served=True)
            warning = beyond_loopback(*self.address, self._allow)
            if warning is not None:
                logger.warning(warning)
            if self._fresh:
                self.live.clear_persistent()
            if self._wiring is not None:
                self._own_session = self._wiring.begin(self.live)
            super().start()
            self._ready.wait()
            if self._failure is not None:
                raise self._failure
        except BaseException:
            if self.is_alive():
                self.stop()
            self._address = None
            self._socket.close()
            if self.metrics is not None:
                self.metrics.stop()
            if self.ledger is not None and self.ledger is not self._given:
                self.ledger.close()
            raise

    def start_at(self, text: str) -> None:
        """Start at ``HOST:PORT``; port 0 takes a free one.

        Raises CannotListen, saying who listens there already, and what ``start`` raises of the ledger.
        """
        host, port = parse_address(text)
        try:
            self.start((host, port))
        except UnicodeError as error:  # a host name that cannot even be asked for
            raise cannot_listen(host, port, socket.gaierror(str(error))) from error
        except OSError as error:
            if error.filename is not None:  # of the ledger, not of the socket
                raise
            raise cannot_listen(host, port, error) from error

    def _open_ledger(self) -> Ledger:
        if isinstance(self._given, Ledger):
            return self._given
        if self._given is not None:
            return self._open(self._given)
        location = os.environ.get(LEDGER_ENV)
        if not location:
            return Ledger.memory()
        try:
            return self._open(location)
        except LedgerLocked as error:
            return self._open_sibling(Path(location), error)

    def _open(self, location: str | os.PathLike[str]) -> Ledger:
        return Ledger.open(location, durability=self._durability, segmented=self._rotator is not None)

    def _open_sibling(self, location: Path, locked: LedgerLocked) -> Ledger:
        for number in range(2, SIBLINGS_MAX):
            sibling = location.with_name(f"{location.stem}-{number}{location.suffix}")
            try:
                ledger = self._open(sibling)
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
        if loop is not None and wake is not None:
            try:
                loop.call_soon_threadsafe(wake.set)
            except RuntimeError:  # closed: it has stopped already
                logger.debug("the graph server had stopped before it was asked to")

    def _vitals(self) -> dict[str, Any]:
        """The vitals of the server, for other threads. Raises TimeoutError when its own thread does not answer."""

        async def ask() -> dict[str, Any]:
            assert self._hub is not None
            return vitals(self._hub)

        if self._loop is None or self._hub is None or self._stopping.is_set():
            raise RuntimeError("the graph server does not run")
        return asyncio.run_coroutine_threadsafe(ask(), self._loop).result(VITALS_TIMEOUT_S)

    # --- in the server's thread --------------------------------------------------------------------------------------

    def run(self) -> None:
        """The thread's body."""
        assert self.live is not None
        try:
            asyncio.run(self._serve())
        except BaseException as error:
            if self._ready.is_set():
                raise
            self._failure = error  # for ``start``, which is waiting
        finally:
            self._ready.set()
            if self.metrics is not None:
                self.metrics.stop()
            if self._rotator is not None:
                self._rotator.close()
            self.ledger = self.live.ledger  # another one than at the start, if the disk failed in between
            if self.ledger is not self._given:
                self._close_ledger(self.ledger)

    def _close_ledger(self, ledger: Ledger) -> None:
        try:
            ledger.close()
        except LedgerError as error:
            logger.error("%s could not be closed in good order: %s", ledger.location, error)

    async def _serve(self) -> None:
        assert self.live is not None
        self._loop = asyncio.get_running_loop()
        self._wake = asyncio.Event()
        hub = Hub(
            self.live, ezmsg_version, self.request_stop, self._admission, self._remote_shutdown, self._min_free
        )

        def protocol(place: Place) -> asyncio.BaseProtocol:
            def accept(connection: Connection) -> None:
                task = asyncio.ensure_future(self._serve_connection(hub, connection, place))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

            return Connection(accept, hub.pressure.grew)

        self._hub = hub
        if self._own_session is not None:
            OwnSession(hub, self._own_session)
        listener = Listener(self._socket, self._admission, protocol, hub.turn_away)
        logger.info("graph server at %s, recording to %s", self.address, self.live.ledger.location)
        self._ready.set()
        if self._stopping.is_set():
            self._wake.set()
        tending = asyncio.create_task(self._tend(hub))
        await self._wake.wait()
        tending.cancel()
        await listener.close()
        try:
            self._end_run(self.live)
        finally:  # also when the ledger cannot be written
            await self._end_connections(hub)
            hub.leases.close()

    def _end_run(self, live: LiveGraph) -> None:
        """Close the run; what could not be written gets a last chance before that, so that the end follows it."""
        live.tend(at_once=True)
        live.close(*self._reason, *self.script)
        live.tend(at_once=True)
        degraded = live.degraded
        if degraded is not None:
            live.leave_end(*self._reason, *self.script)
            logger.error(
                "%s: STOPPED WHILE IT COULD NOT BE WRITTEN: %s. The last %d events are LOST%s.",
                live.ledger.location,
                degraded.error,
                degraded.waiting,
                ", and those that were dropped before them" if degraded.lost else "",
            )

    async def _tend(self, hub: Hub) -> None:
        live = hub.live
        while True:
            await asyncio.sleep(TEND_S)
            live.tend()
            hub.tend()
            if self._rotator is not None:
                self._rotator.tend(live)
            live.touch()

    async def _end_connections(self, hub: Hub) -> None:
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=STOP_TIMEOUT_S)
        for connection in hub.connections:
            connection.cut_off("the server has stopped")

    async def _serve_connection(self, hub: Hub, connection: Connection, place: Place) -> None:
        opener: bytes | None = None
        hub.connections.add(connection)
        try:
            await connection.send(encode_str(hub.version))
            opener = await connection.reader.command(OPENER_TIMEOUT_S)
            if opener is None:
                return  # somebody looked whether a server is there
            serve = _OPENERS.get(opener)
            if serve is None:
                hub.reject(None, connection.peer, opener, "unknown_command")
                return
            await serve(hub, connection)
        except Malformed as error:
            hub.reject(None, connection.peer, opener or b"", "malformed", str(error))
        except ConnectionError as error:
            logger.debug("%s left: %r", connection.peer, error)
        except Exception as error:
            logger.exception("the connection from %s met a fault of the server and was closed", connection.peer)
            hub.pulse.fail(f"{type(error).__name__}: {error}")
        finally:
            try:
                await connection.close()
            finally:
                hub.connections.discard(connection)
                place.leave()


_OPENERS: dict[bytes, Callable[[Hub, Connection], Awaitable[None]]] = {
    Command.SESSION: lambda hub, connection: SessionConnection(hub, connection).serve(),
    Command.PROCESS: lambda hub, connection: ProcessConnection(hub, connection).serve(),
    Command.SUBSCRIBE: endpoints.serve_subscriber,
    Command.PUBLISH: endpoints.serve_publisher,
    Command.CHANNEL: endpoints.serve_channel,
    Command.CONNECT: single_commands.connect,
    Command.DISCONNECT: single_commands.disconnect,
    Command.SYNC: single_commands.sync,
    Command.PAUSE: single_commands.pause,
    Command.RESUME: single_commands.resume,
    Command.DAG: single_commands.dag,
    Command.SHUTDOWN: single_commands.shutdown,
    Command.SHM_CREATE: single_commands.create_segment,
    Command.SHM_ATTACH: single_commands.attach_segment,
    Command.SESSION_TOPOLOGY_SUBSCRIBE: streams.serve_topology,
    Command.SESSION_SETTINGS_SUBSCRIBE: streams.serve_settings,
    Command.SESSION_PROFILING_SUBSCRIBE: streams.serve_profiling,
    Command.PRIVATE: serve_private,
}
