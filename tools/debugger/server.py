"""The debugger's server: a socket, the application that it serves, and an address to open."""

import contextlib
import ipaddress
import secrets
import socket
import threading
from collections.abc import Iterable
from typing import Any

from ezmsg.ledger import extras
from ezmsg.ledger.runtime.address import CannotListen, listening_socket
from ezmsg.ledger.tools import exits
from ezmsg.ledger.tools.debugger.access import TOKEN_BYTES
from ezmsg.ledger.tools.debugger.watched import Watched

LOOPBACK = "127.0.0.1"

GRACE_S = 1
"""How long open answers may take when the server ends: a stream of events has no end of its own."""


class CannotServe(exits.Misuse):
    """The debugger cannot listen where it should, or what it needs is not installed."""


class Server:
    """Serves the debugger of one ledger, from ``start`` until ``stop``. ``address`` is what a browser opens.

    On ``host``, at ``port`` (0: a free one). ``networks`` are those that are let in beside this machine. ``fault`` is
    what ended it when nobody asked it to. Raises CannotServe when the extra is not installed, or the port is taken.
    """

    def __init__(
        self,
        watched: Watched,
        host: str = LOOPBACK,
        port: int = 0,
        networks: Iterable[ipaddress.IPv4Network] = (),
    ) -> None:
        require()
        self._watched = watched
        self._socket = _listening(host, port)
        self.port: int = self._socket.getsockname()[1]
        self.token = secrets.token_urlsafe(TOKEN_BYTES)
        shown = host if host not in ("", "0.0.0.0") else socket.gethostname()
        self.address = f"http://{f'[{shown}]' if ':' in shown else shown}:{self.port}/{self.token}/"
        self._names = {host, shown}
        self._networks = networks
        self._server: Any = None
        self.fault: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="debugger", daemon=True)

    def start(self) -> None:
        """Begin to answer. The address works from here on: a request before all is imported waits a moment."""
        self._watched.prepare()
        self._thread.start()

    def is_alive(self) -> bool:
        """Whether it still answers."""
        return self._thread.is_alive()

    def join(self, timeout: float) -> None:
        """Wait until it has ended, or for so long."""
        self._thread.join(timeout)

    def stop(self) -> None:
        """End it, and the streams that are open."""
        self._watched.ending = True
        if self._server is not None:
            self._server.should_exit = True
        if self._thread.is_alive():
            self._thread.join()
        self._socket.close()

    def _run(self) -> None:
        try:
            self._server = self._made()
            if not self._watched.ending:
                self._server.run(sockets=[self._socket])
        except Exception as error:
            self.fault = error

    def _made(self) -> Any:
        """The server of the application. What they need takes longer to import than a page to be opened."""
        import uvicorn

        from ezmsg.ledger.tools.debugger.application import application

        config = uvicorn.Config(
            application(self._watched, self.token, self._names, self._networks),
            lifespan="off",
            log_config=None,
            log_level="critical",  # what goes wrong is said by the application
            access_log=False,
            ws="none",
            http="h11",
            loop="asyncio",
            server_header=False,
            timeout_graceful_shutdown=GRACE_S,
        )
        return uvicorn.Server(config)


def require() -> None:
    """Raise CannotServe when what the debugger needs is not installed."""
    extras.require(("starlette", "uvicorn"), "ezmsg-ledger[debugger]", "the debugger", CannotServe)


def _listening(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return listening_socket(host, port, family)
    except OSError as error:
        message = f"{host} is not an address of this machine: {error.strerror}"
        raise CannotServe(message, hint="Leave --host out.") from error
    except CannotListen as error:
        raise CannotServe(str(error), hint="Give another --port, or leave it out for a free one.") from error


@contextlib.contextmanager
def serving(watched: Watched, **options: Any) -> Any:
    """A started server, stopped at the end, and the ledger let go."""
    server = Server(watched, **options)
    try:
        server.start()
        yield server
    finally:
        server.stop()
        watched.close()
