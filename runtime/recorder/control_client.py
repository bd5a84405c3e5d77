"""The client of a running recorder's own protocol: ``ask`` sends one request and returns the reply."""

import json
import socket
from typing import Any

from ezmsg.ledger.errors import LedgerError
from ezmsg.ledger.runtime.address import OTHER_PROGRAM, VERSION_MAX, not_a_server, parse_address, read_counted, why_not
from ezmsg.ledger.runtime.server.wire.protocol import Command, encode_blob

TIMEOUT_S = 5.0
REPLY_MAX = 16 * 2**20


class NoAnswer(LedgerError):
    """No recorder answers at an address."""


def ask(address: str, do: str, **words: Any) -> dict[str, Any]:
    """The reply of the recorder at ``address`` (``host:port``) to a request: evict, head, mark, receipt or status.

    Raises CannotListen when ``address`` is malformed, NoAnswer when no program listens there or it is not a recorder.

    >>> from ezmsg.ledger import Ledger
    >>> from ezmsg.ledger.runtime import GraphServer
    >>> server = GraphServer(Ledger.memory())
    >>> server.start(("127.0.0.1", 0))
    >>> ask(str(server.address), "mark", name="baseline")["seq"]
    3
    >>> server.stop()
    """
    host, port = parse_address(address)
    hint = "Start one with `ezmsg-ledger run` or `serve`, or give its address."
    try:
        connection = socket.create_connection((host, port), TIMEOUT_S)
    except (OSError, ValueError, OverflowError) as error:
        raise NoAnswer(f"no recorder answers at {address}: {why_not(error)}", hint=hint) from error
    what = "a graph server"
    with connection, connection.makefile("rb") as replies:
        try:
            read_counted(replies, VERSION_MAX)  # every ezmsg server says its version first
            what = "a recorder"
            connection.sendall(Command.PRIVATE + encode_blob(json.dumps({"do": do, **words}).encode()))
            reply = json.loads(read_counted(replies, REPLY_MAX))
        except EOFError as error:
            if what == "a graph server":
                raise NoAnswer(not_a_server(address, what, error), hint=OTHER_PROGRAM) from error
            raise NoAnswer(f"the graph server at {address} is not a recorder: no answer to {do}", hint=hint) from error
        except (OSError, ValueError, OverflowError) as error:
            raise NoAnswer(not_a_server(address, what, error), hint=OTHER_PROGRAM) from error
    if "error" in reply:
        raise NoAnswer(f"the recorder at {address} refused: {reply['error']}")
    return dict(reply)
