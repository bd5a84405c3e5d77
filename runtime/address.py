"""Addresses of graph servers: read from a text, and explained when a server cannot listen there."""

import errno
import ipaddress
import json
import os
import socket
from collections.abc import Sequence
from typing import BinaryIO

from ezmsg.ledger.errors import LedgerError
from ezmsg.ledger.stores.addresses import without_secret

PORT_MAX = 65535

ADDRESS_ENV = "EZMSG_GRAPHSERVER_ADDR"
"""The variable that tells ezmsg programs where their graph server is."""

EVERYWHERE = "0.0.0.0"
"""The address that stands for all addresses of a machine. Clients cannot connect to it by that name."""

PROBE_TIMEOUT_S = 0.5
"""Time that the program which listens there already has to say what it is: a graph server speaks first, and at once."""

VERSION_MAX = 64
"""Bytes of the text with which a graph server greets; what announces more is something else."""


PRIVATE = b"\xf0"
"""The opener of a recorder's own protocol, which ezmsg does not have."""

HEAD_MAX = 64 * 1024
"""Bytes of the answer in which a recorder says where it records to."""


BACKLOG = 1024
"""Connections that may wait to be accepted: a system of many units starts all at once."""


class CannotListen(LedgerError):
    """An address is malformed or taken, or belongs to another machine."""


def host_and_port(text: str) -> tuple[str, int] | None:
    """Host and port of ``HOST:PORT``, split at the first colon as ezmsg does it; None for another text."""
    host, _, port = text.partition(":")
    if not host or not (port.isascii() and port.isdecimal()) or len(port) > len(str(PORT_MAX)) or int(port) > PORT_MAX:
        return None
    return host, int(port)


def is_loopback(host: str) -> bool:
    """Whether an address is one of the loopback interface."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:  # not an address: the system could not say who it is
        return False


def parse_address(text: str) -> tuple[str, int]:
    """Host and port of ``HOST:PORT``. Raises CannotListen. ezmsg splits at the colon, so that IPv6 has no place."""
    address = host_and_port(text.strip())
    if address is not None:
        return address
    if "://" in text:
        raise CannotListen(
            f"{without_secret(text)} is not the address of a graph server: that is a host, a colon, and a port",
            hint="Such as 127.0.0.1:25978. A ledger in a stream is read: ezmsg-ledger log ADDRESS, show, debug, ...",
        )
    if text.count(":") > 1 or text.lstrip().startswith("["):
        raise CannotListen(
            f"{text!r} is not an address: host, colon, and a port; IPv6 has no place in ezmsg's addresses",
            hint="Such as 127.0.0.1:25978, or a name that has an IPv4 address.",
        )
    raise CannotListen(
        f"{text!r} is not an address: host, colon, and a port from 0 to {PORT_MAX}",
        hint="Such as 127.0.0.1:25978.",
    )


def why_not(error: BaseException) -> str:
    """The reason why nothing could be had from an address, in the system's words, without the number of its error."""
    if type(error).__module__ == "ssl":  # its numbers are not the system's
        return str(error)
    number = getattr(error, "errno", None)
    if isinstance(number, int) and number > 0:  # asyncio has words of its own in place of the system's
        return os.strerror(number)
    return getattr(error, "strerror", None) or str(error)


OTHER_PROGRAM = "Another program may have that port. `ezmsg-ledger run`, `serve` and `ezmsg serve` print their address."


def not_a_server(address: str, what: str, error: BaseException) -> str:
    """A message: something listens at an address, and does not answer as ``what`` does, for this reason."""
    does = {EOFError: "ends the connection", TimeoutError: "says nothing", ValueError: "says something else"}
    said = next((f"it {done}" for kind, done in does.items() if isinstance(error, kind)), why_not(error))
    return f"what listens at {address} does not answer as {what} does: {said}"


def beyond_loopback(host: str, port: int, allow: Sequence[str] = ()) -> str | None:
    """A warning for a server that listens at this address (as the system has it); None at the loopback interface."""
    if is_loopback(host):
        return None
    where = "EVERY ADDRESS OF THIS MACHINE" if host == EVERYWHERE else f"{host}, BEYOND THIS MACHINE"
    who = f"hosts of {', '.join(allow)}" if allow else "anybody who reaches it (there is no --allow)"
    return (
        f"LISTENING ON {where}: {who} can change the graph at port {port}, and read all settings. "
        "Nothing is encrypted, and nobody is asked who they are."
    )


def listening_socket(host: str, port: int, family: socket.AddressFamily = socket.AF_INET) -> socket.socket:
    """A socket that listens at an address: who connects waits until somebody accepts. Raises CannotListen."""
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as ezmsg does
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        listening.bind((host, port))
        listening.listen(BACKLOG)
    except UnicodeError as error:  # a host name that cannot even be asked for
        listening.close()
        raise cannot_listen(host, port, socket.gaierror(str(error))) from error
    except OSError as error:
        listening.close()
        raise cannot_listen(host, port, error) from error
    return listening


def cannot_listen(host: str, port: int, error: OSError) -> CannotListen:
    """The error to raise when binding failed with ``error``. A program that listens there already is asked what it
    is, which takes PROBE_TIMEOUT_S at most."""
    hint = "Choose another address; port 0 takes a free one."
    if isinstance(error, socket.gaierror):
        why = f"no host is known as {host!r}"
    elif error.errno == errno.EADDRNOTAVAIL:
        why = "this machine does not have that address"
        hint = "Listen on 127.0.0.1, or on an address that this machine has."
    elif error.errno == errno.EACCES:
        why = "the system does not allow it"
        hint = "Choose a port above 1023."
    elif error.errno != errno.EADDRINUSE:
        why = error.strerror or str(error)
    elif (found := _graph_server_at(host, port)) is None:
        why = "another program has it"
    else:
        version, ledger = found
        stop = f"`ezmsg shutdown --address {host}:{port}`"
        hint = f"Stop it ({stop}), or c{hint[1:]}"
        if ledger is None:
            why = f"a graph server of ezmsg {version} is there already"
        elif not ledger:
            why = f"a graph server of ezmsg {version}, which records nothing, is there already"
        else:
            why = f"a recorder, which records to {ledger}, is there already"
            hint = f"What runs there is recorded. {hint}"
    return CannotListen(f"cannot listen on {host}:{port}: {why}", hint=hint)


def read_counted(replies: BinaryIO, most: int) -> bytes:
    """The bytes of a message that carries its length in eight bytes before it, as graph servers send it.

    Raises EOFError when it ends too soon, ValueError when it announces more than ``most`` bytes.
    """
    size = int.from_bytes(replies.read(8), "little")
    if size > most:
        raise ValueError(f"{size} bytes are too many for a reply")
    data = replies.read(size)
    if not data or len(data) < size:
        raise EOFError
    return data


def _graph_server_at(host: str, port: int) -> tuple[str, str | None] | None:
    """The version of ezmsg that a graph server at this address greets with, and the ledger when it is a recorder.

    None when no graph server answers.
    """
    try:
        with socket.create_connection((host, port), PROBE_TIMEOUT_S) as probe, probe.makefile("rb") as replies:
            version = read_counted(replies, VERSION_MAX).decode("ascii")
            if not version or not version.isprintable():
                return None
            return version, _ledger_of(probe, replies)
    except (OSError, EOFError, ValueError):
        return None


def _ledger_of(probe: socket.socket, replies: BinaryIO) -> str | None:
    """The ledger of the graph server at the other end; "" for one that is not ours, None when it does not say."""
    request = json.dumps({"do": "head"}).encode()
    try:
        probe.sendall(PRIVATE + len(request).to_bytes(8, "little") + request)
        return str(json.loads(read_counted(replies, HEAD_MAX))["ledger"])
    except EOFError:  # it knows no such question
        return ""
    except (OSError, ValueError, KeyError, TypeError):
        return None
