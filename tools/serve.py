"""``serve``: which graph do several programs share, and what became of it? A recording graph server in the foreground."""

import logging
import signal
import sys
import threading
import time
from pathlib import Path
from types import FrameType

from ezmsg.core.netprotocol import Address

from ezmsg.ledger.errors import LedgerError
from ezmsg.ledger.runtime.server import GraphServer
from ezmsg.ledger.tools.summary import summarise


class CannotServe(LedgerError):
    """The server cannot listen where it should."""


def serve(ledger: Path | None, address: str, durability: str, fresh: bool) -> int:
    """Serve until Ctrl-C, SIGTERM or a client's SHUTDOWN; returns the exit code.

    Raises CannotServe when the address is no address or taken, LedgerError when the ledger cannot be opened.
    """
    logging.getLogger("ezmsg.ledger").setLevel(logging.WARNING)  # ezmsg's handler prints them
    location = ledger or Path(f"serve-{time.strftime('%Y%m%d-%H%M%S')}.ledger")
    server = GraphServer(location, name="serve", durability=durability, fresh=fresh)
    try:
        server.start(Address.from_string(address))
    except (OSError, ValueError, OverflowError) as error:
        raise CannotServe(
            f"cannot listen on {address}: {error}",
            hint="Stop the server that listens there (`ezmsg shutdown`), or choose another --address HOST:PORT.",
        ) from error
    assert server.ledger is not None
    stopped = threading.Event()
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), lambda number, frame: _stop(server, stopped, number, frame))
    print(f"ezmsg-ledger: graph server at {server.address}, recording to {server.ledger.location}", file=sys.stderr)
    print(f"ezmsg-ledger: EZMSG_GRAPHSERVER_ADDR={server.address} points ezmsg programs here; Ctrl-C stops", file=sys.stderr)
    while server.is_alive():
        server.join(0.5)  # a join without a limit would not let Python's signal handlers run on every system
    summarise(server.ledger.location, sys.stderr)
    return 0


def _stop(server: GraphServer, stopped: threading.Event, number: int, frame: FrameType | None) -> None:
    if not stopped.is_set():
        stopped.set()
        server.request_stop("signal", signal.Signals(number).name)
