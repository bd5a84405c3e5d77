"""A connection to a graph server, as ezmsg's clients make them: one command at a time, and its reply."""

import socket
from contextlib import suppress
from typing import Any

from ezmsg.ledger.errors import LedgerError
from ezmsg.ledger.runtime.address import OTHER_PROGRAM, VERSION_MAX, not_a_server, parse_address, read_counted, why_not
from ezmsg.ledger.runtime.server.pickles import BadPickle, loads
from ezmsg.ledger.runtime.server.wire.protocol import Command, encode_blob, encode_str

TIMEOUT_S = 10.0
"""How long any reply may take: a server waits a second at most for each subscriber that is slow."""

REPLY_MAX = 256 * 2**20
"""Bytes of a reply. A snapshot of ten thousand components has some tens of MB."""

SIZE_MAX = 2**40
"""A reply that says to be larger is none: what answers does not speak ezmsg's protocol."""


class NoServer(LedgerError):
    """No graph server answers at the address."""


class Broken(LedgerError):
    """The server ended the connection, or answered something else than the protocol says."""

    hint = "Was it stopped? Is it an ezmsg graph server?"


class TooLarge(LedgerError):
    """The server is well, and says more at once than is read. The connection cannot be used any more."""

    hint = "Very large settings or metadata make such replies."


class Line:
    """A connection. ``id`` is the UUID that the server gave it ("" for one that has none), ``version`` that of ezmsg
    which the server says."""

    def __init__(self, address: str, opener: bytes) -> None:
        host, port = parse_address(address)
        try:
            self._socket = socket.create_connection((host, port), TIMEOUT_S)
        except OSError as error:
            raise NoServer(
                f"no graph server answers at {address}: {why_not(error)}",
                hint="Start one: `ezmsg-ledger serve`, or `ezmsg serve`.",
            ) from error
        self._said = self._socket.makefile("rb")
        try:
            self.version = read_counted(self._said, VERSION_MAX).decode("utf-8", "replace")
        except (OSError, EOFError, ValueError) as error:
            self.close()
            raise NoServer(not_a_server(address, "a graph server", error), hint=OTHER_PROGRAM) from error
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.id = ""
        if opener in (Command.SESSION, Command.PROCESS):
            self._send(opener)
            self.id = self._blob().decode("ascii")
            self._expect(Command.COMPLETE)

    def say(self, command: bytes, *texts: str, payload: bytes | None = None) -> bool:
        """Say a command; whether the server has done it (COMPLETE) or refused it (CYCLIC, ERROR). Raises Broken."""
        blob = b"" if payload is None else encode_blob(payload)
        self._send(command + b"".join(map(encode_str, texts)) + blob)
        answer = self._receive(1)
        if answer not in (Command.COMPLETE, Command.CYCLIC, Command.ERROR):
            raise Broken(f"the server answered {answer!r} to command {command!r}")
        return answer == Command.COMPLETE

    def ask(self, command: bytes, *texts: str, payload: bytes | None = None) -> Any:
        """The reply of the server to a command: a pickle, opened by the allow-list. Raises Broken, TooLarge."""
        blob = b"" if payload is None else encode_blob(payload)
        self._send(command + b"".join(map(encode_str, texts)) + blob)
        return self._reply(command)

    def _reply(self, command: bytes) -> Any:
        reply = self._opened(self._large(), command)
        self._expect(Command.COMPLETE)
        return reply

    def _opened(self, data: bytes, command: bytes) -> Any:
        try:
            return loads(data)
        except BadPickle as error:
            raise Broken(f"the reply to {command!r} cannot be opened as a pickle: {error}") from error

    def ask_all(self, *commands: tuple[bytes, tuple[str, ...]]) -> list[Any]:
        """The replies to several commands that are sent at once, each with its texts: ezmsg's server answers them one
        right after the other, so that hardly anything can change between. Raises Broken, TooLarge."""
        self._send(b"".join(command + b"".join(map(encode_str, texts)) for command, texts in commands))
        return [self._reply(command) for command, _ in commands]

    def subscribe(self, command: bytes, after: int) -> None:
        """Make this connection, which was opened for it, a stream of what comes after entry ``after``."""
        self._send(command + encode_str(str(after)))
        self.id = self._blob().decode("ascii")
        self._expect(Command.COMPLETE)
        self._socket.settimeout(None)

    def next(self) -> Any:
        """The next entry of a stream, which is waited for. Raises Broken when it ends, TooLarge."""
        return self._opened(self._large(), b"stream")

    def shut(self) -> None:
        """End the connection while another thread waits for what comes: that meets its end."""
        with suppress(OSError):  # it has ended already
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """End the connection, and with it all that the server keeps for it."""
        self._said.close()
        self._socket.close()

    def __enter__(self) -> "Line":
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def _send(self, data: bytes) -> None:
        try:
            self._socket.sendall(data)
        except OSError as error:
            raise Broken(f"the server is gone: {error}") from error

    def _expect(self, wanted: bytes) -> None:
        answer = self._receive(1)
        if answer != wanted:
            raise Broken(f"the server answered {answer!r} where {wanted!r} belongs")

    def _blob(self) -> bytes:
        size = int.from_bytes(self._receive(8), "little")
        if size > REPLY_MAX:
            raise Broken(f"{size} bytes are too many for a reply")
        return self._receive(size)

    def _large(self) -> bytes:
        """A blob that may be larger than is read while the server is well."""
        size = int.from_bytes(self._receive(8), "little")
        if size > SIZE_MAX:
            raise Broken(f"{size} bytes are too many for a reply")
        if size > REPLY_MAX:
            raise TooLarge(f"the graph server's reply has {size:,} bytes; {REPLY_MAX:,} are read at most")
        return self._receive(size)

    def _receive(self, size: int) -> bytes:
        try:
            data = self._said.read(size)
        except OSError as error:
            raise Broken(f"the server does not answer: {error}") from error
        if len(data) < size:
            raise Broken("the server ended the connection")
        return data
