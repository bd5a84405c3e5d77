"""Clients that vanished: a cable that was pulled, a machine that lost power, say no goodbye.

Two things tell. A connection that rests is probed by TCP's keepalive, which a client that is there answers whatever its
program does. One on which something waits for an acknowledgement is not probed; there the kernel knows how often it
has sent that again, and when it last heard anything. (TCP_USER_TIMEOUT would do for both, but ends also the client that
is there and has stopped to read.)
"""

import errno
import socket
import struct

PROBES = 4
"""Probes without an answer before a resting connection is given up: some may get lost."""

AGAIN_MIN = 3
"""How often something must have been sent again before a missing acknowledgement means anything."""

GONE = frozenset([errno.ETIMEDOUT, errno.EHOSTUNREACH, errno.EHOSTDOWN, errno.ENETUNREACH])
"""The names that the system has for an answer that does not come."""

_INFO = struct.Struct("=8B13I")  # of struct tcp_info: its first fields, which never change


def watch(connection: socket.socket, seconds: float) -> None:
    """Have the system end an accepted connection when a resting client has been silent for about ``seconds``."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    idle, interval = max(1, round(seconds / 3)), max(1, round(seconds * 2 / 3 / PROBES))
    for name, value in (
        ("TCP_KEEPIDLE", idle),
        ("TCP_KEEPALIVE", idle),  # its name on macOS
        ("TCP_KEEPINTVL", interval),
        ("TCP_KEEPCNT", PROBES),
    ):
        if hasattr(socket, name):
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def has_vanished(connection: socket.socket, seconds: float) -> bool:
    """Whether what was sent is sent again and again, and nothing came back for ``seconds``. Linux alone can tell."""
    if not hasattr(socket, "TCP_INFO"):
        return False
    try:
        info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO.size)
    except OSError:  # it has ended
        return False
    if len(info) < _INFO.size:
        return False
    fields = _INFO.unpack(info)
    sent_again, silent_ms = fields[2], fields[-1]
    return bool(sent_again >= AGAIN_MIN and silent_ms >= seconds * 1000)
