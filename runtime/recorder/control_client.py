"""Asks a running recorder: the client's side of its private opener."""

import json
import socket
from typing import Any

from ezmsg.ledger.errors import LedgerError
from ezmsg.ledger.runtime.address import parse_address

TIMEOUT_S = 5.0
PRIVATE = b"\xf0"
REPLY_MAX = 16 * 2**20


class NoAnswer(LedgerError):
    """There is no recorder at that address, or it does not answer."""


def ask(address: str, do: str, **words: Any) -> dict[str, Any]:
    """The reply of the recorder at ``address`` (``host:port``) to a request: head, mark, receipt or status.

    Raises CannotListen when this is no address, NoAnswer when nobody listens there, or whoever does is no recorder.
    """
    host, port = parse_address(address)
    hint = "Start one with `ezmsg-ledger run` or `serve`, or give its address."
    try:
        with socket.create_connection((host, port), TIMEOUT_S) as connection:
            _receive_counted(connection)  # the version, which every ezmsg server says first
            request = json.dumps({"do": do, **words}).encode()
            connection.sendall(PRIVATE + len(request).to_bytes(8, "little") + request)
            reply = json.loads(_receive_counted(connection))
    except EOFError as error:
        raise NoAnswer(f"the graph server at {address} is no recorder: it knows no {do}", hint=hint) from error
    except (OSError, ValueError, OverflowError) as error:
        raise NoAnswer(f"no recorder answers at {address}: {error}", hint=hint) from error
    if "error" in reply:
        raise NoAnswer(f"the recorder at {address} refused: {reply['error']}")
    return dict(reply)


def _receive_counted(connection: socket.socket) -> bytes:
    size = int.from_bytes(_receive(connection, 8), "little")
    if size > REPLY_MAX:
        raise ValueError(f"{size} bytes are no reply")
    return _receive(connection, size)


def _receive(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = connection.recv(size - len(data))
        if not part:
            raise EOFError
        data += part
    return data
