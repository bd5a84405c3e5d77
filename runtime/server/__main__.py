"""The recorder's own process: a graph server that says when it is ready and ends when its parent lets go.

Started by ``ezmsg.ledger.runtime.recorder``; people use ``ezmsg-ledger serve``. One JSON line on standard output says
that the ledger is open, which is before the server is even imported, and another one where that listens; or why it goes
no further. It stops when it is told to on standard input. When that ends before it is told,
its parent was killed: then it stays until the script and all sessions are gone, so that it neither freezes a pipeline
that goes on nor outlives it.
"""

import argparse
import json
import logging
import os
import signal
import socket
import sys
import time
from typing import TYPE_CHECKING, Any

from ezmsg.ledger.errors import LedgerError
from ezmsg.ledger.lock.lock import runs
from ezmsg.ledger.log import Ledger
from ezmsg.ledger.runtime.recorder.process import UNWRITTEN, signal_name

if TYPE_CHECKING:
    from ezmsg.ledger.runtime.server.server import GraphServer

logger = logging.getLogger("ezmsg.ledger")

DRAIN_TIMEOUT_S = 2.0
"""Time that clients which are still connected have to leave, so that their last commands are recorded."""

DRAIN_POLL_S = 0.01

ALONE_S = 2.0
"""Time for which nobody must have been there before a recorder whose parent was killed ends."""

ALONE_POLL_S = 0.1


def main() -> int:
    """Serve until standard input ends; 1 when it could not be started, UNWRITTEN when its last events are lost."""
    parser = argparse.ArgumentParser(prog="python -m ezmsg.ledger.runtime.server")
    parser.add_argument("ledger")
    listening = parser.add_mutually_exclusive_group(required=True)
    listening.add_argument("--address", help="host:port")
    listening.add_argument("--socket", type=int, help="the descriptor of a socket that listens")
    parser.add_argument("--durability", default="interval")
    parser.add_argument("--min-free", type=int)
    options = parser.parse_args()
    # A Ctrl-C is for the pipeline, which still needs its server to end well.
    signal.signal(signal.SIGINT, _ignore)
    signal.signal(signal.SIGTERM, _end)
    logger.setLevel(logging.WARNING)  # ezmsg's handler prints them
    try:
        ledger = _opened(options)
        if ledger is None:
            return 1
        try:
            return _serve(ledger, options)
        finally:
            _close(ledger)
    except (BrokenPipeError, _Ended):  # before anything was recorded
        return 0


def _opened(options: argparse.Namespace) -> Ledger | None:
    """The ledger, open; None when it cannot be opened. Either is said."""
    try:
        ledger = Ledger.open(options.ledger, durability=options.durability)
    except (LedgerError, OSError) as error:
        _say_why(error)
        return None
    _say(ledger=ledger.location, new=ledger.head == 0)
    return ledger


def _close(ledger: Ledger) -> None:
    try:
        ledger.close()  # again, perhaps: a server that had to open it anew has closed this one
    except LedgerError as error:
        logger.error("%s could not be closed in good order: %s", ledger.location, error)


def _serve(ledger: Ledger, options: argparse.Namespace) -> int:
    from ezmsg.ledger.runtime.server.server import GraphServer  # a third of a second, when nobody waits any more
    from ezmsg.ledger.runtime.server.wire.admission import raise_descriptor_limit

    raise_descriptor_limit()
    server = GraphServer(ledger, name="recorder", min_free=options.min_free)
    reason = "stopped"
    told: dict[str, Any] = {}
    try:
        if not _start(server, options):
            return 1
        for line in sys.stdin.buffer:
            told |= json.loads(line)
        if "stop" not in told:
            reason = "orphaned"
            _outlive(server, told.get("script"))
    except BrokenPipeError:  # the parent has ended already
        reason = "orphaned"
    except _Ended:
        reason = "signal"
    signal.signal(signal.SIGTERM, _ignore)  # it ends already
    _drain(server)
    code = told.get("ended")
    if code is not None:
        server.script = (code, None) if code >= 0 else (None, signal_name(-code))
    server.request_stop(reason, signal.SIGTERM.name if reason == "signal" else None)
    server.stop()
    return UNWRITTEN if server.live is not None and server.live.degraded is not None else 0


def _start(server: "GraphServer", options: argparse.Namespace) -> bool:
    """Start it, and say where it listens or why it does not."""
    try:
        if options.socket is None:
            server.start_at(options.address)
        else:
            server.start(listening=socket.socket(fileno=options.socket))
    except (LedgerError, OSError) as error:
        _say_why(error)
        return False
    assert server.live is not None
    try:
        _say(address=str(server.address), run=server.live.run)
    except BrokenPipeError:  # the parent was killed meanwhile: standard input tells whether it had started a script
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return True


def _say_why(error: LedgerError | OSError) -> None:
    if isinstance(error, LedgerError):
        _say(error=str(error), hint=error.hint, kind=type(error).__name__)
    else:
        _say(error=f"the system refused: {error.filename}: {error.strerror}", hint="", kind=OSError.__name__)


def _outlive(server: "GraphServer", script: int | None) -> None:
    """Return when the script and all clients of a pipeline that lost its runner have been gone for a while."""
    seen = time.monotonic()
    while server.is_alive() and time.monotonic() - seen < ALONE_S:
        if server.clients or (script is not None and sys.platform != "win32" and runs(script)):
            seen = time.monotonic()
        time.sleep(ALONE_POLL_S)


def _drain(server: "GraphServer") -> None:
    deadline = time.monotonic() + DRAIN_TIMEOUT_S
    while server.is_alive() and server.clients and time.monotonic() < deadline:
        time.sleep(DRAIN_POLL_S)


def _say(**words: Any) -> None:
    print(json.dumps(words), flush=True)


class _Ended(BaseException):
    """SIGTERM came: the machine shuts down, or somebody cleans up."""


def _end(signum: int, frame: object) -> None:
    signal.signal(signal.SIGTERM, _ignore)
    raise _Ended


def _ignore(signum: int, frame: object) -> None:
    """A Python handler, not SIG_IGN: that one would be inherited."""


if __name__ == "__main__":
    sys.exit(main())
