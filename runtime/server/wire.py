"""The primitives of ezmsg's graph-server protocol: command bytes, what is written, and a reader that trusts no length.

A request is a command byte and its arguments, without a frame around them; integers are unsigned 64-bit little-endian;
texts and blobs carry their length in bytes before them.
"""

import asyncio
from collections.abc import Callable
from struct import Struct
from typing import Any, Final, NamedTuple
from uuid import UUID

from ezmsg.ledger.errors import LedgerError

TEXT_MAX = 64 * 1024
"""Bytes of a topic, unit, address or number. Real ones are below a hundred; generated names still find room."""

METADATA_MAX = 16 * 2**20
"""Bytes of a pickled registration, settings value or trace batch. As much as a ledger's line: what does not fit there
after translation is left out or refused, but up to here the sender is told so instead of being cut off."""

PAYLOAD_MAX = 16 * 2**20
"""Bytes of a routed request or its answer, which are passed on unread and held in memory meanwhile."""

SKIP_MAX = 256 * 2**20
"""Bytes of an argument beyond its bound that are read and thrown away, so that the connection, and the edges that live
with it, survive one oversized value. A larger claim ends the connection."""

ARGUMENT_TIMEOUT_S = 5.0
"""How long the arguments of a command may take once its first byte is there: as long as clients wait for an answer."""

RATE_MIN = 2**20
"""Bytes per second that a sender of a large argument must keep up: its deadline moves back by the length over this."""

CHUNK = 64 * 1024
"""Bytes asked for at once; most commands arrive whole in the first piece."""

_U64 = Struct("<Q")
_size = _U64.unpack_from


class Command:
    """The command bytes. The values are those of ezmsg 3.9; the last one is ours alone."""

    COMPLETE: Final = b"\x00"
    PUBLISH: Final = b"\x01"
    SUBSCRIBE: Final = b"\x02"
    CONNECT: Final = b"\x03"
    DISCONNECT: Final = b"\x04"
    CYCLIC: Final = b"\x05"
    PAUSE: Final = b"\x06"
    SYNC: Final = b"\x07"
    RESUME: Final = b"\x08"
    UPDATE: Final = b"\x09"
    DAG: Final = b"\x0a"
    SHM_CREATE: Final = b"\x0f"
    SHM_ATTACH: Final = b"\x10"
    SHUTDOWN: Final = b"\x11"
    CHANNEL: Final = b"\x12"
    SESSION: Final = b"\x15"
    SESSION_CONNECT: Final = b"\x16"
    SESSION_DISCONNECT: Final = b"\x17"
    SESSION_CLEAR: Final = b"\x18"
    SESSION_REGISTER: Final = b"\x19"
    SESSION_SNAPSHOT: Final = b"\x1a"
    SESSION_SETTINGS_SNAPSHOT: Final = b"\x1b"
    SESSION_SETTINGS_EVENTS: Final = b"\x1c"
    SESSION_SETTINGS_SUBSCRIBE: Final = b"\x1d"
    SESSION_TOPOLOGY_SUBSCRIBE: Final = b"\x1e"
    SESSION_PROFILING_SUBSCRIBE: Final = b"\x1f"
    SESSION_PROCESS_REQUEST: Final = b"\x20"
    PROCESS: Final = b"\x21"
    PROCESS_REGISTER: Final = b"\x22"
    PROCESS_UPDATE_OWNERSHIP: Final = b"\x23"
    PROCESS_SETTINGS_UPDATE: Final = b"\x24"
    PROCESS_PROFILING_TRACE_UPDATE: Final = b"\x25"
    PROCESS_ROUTE_REQUEST: Final = b"\x26"
    PROCESS_ROUTE_RESPONSE: Final = b"\x27"
    ERROR: Final = b"\x28"
    PRIVATE: Final = b"\xf0"


_NAMES = {value: name for name, value in vars(Command).items() if isinstance(value, bytes)}


def command_name(command: bytes) -> str:
    """What ezmsg calls a command byte, such as ``SESSION_CONNECT``; ``0x2a`` for one that a client may not send."""
    return _NAMES.get(command, f"0x{command.hex()}")


# --- errors ----------------------------------------------------------------------------------------------------------


class Malformed(LedgerError):
    """What a client sent is not what the protocol says.

    ``in_sync``: whether the next byte of the connection is a command again, so that it can go on after an error answer.
    """

    in_sync: bool = True


class WireError(Malformed):
    """An argument could not be read."""


class Truncated(WireError):
    """The connection ended inside a command."""

    in_sync = False


class TooLong(WireError):
    """An argument claims more bytes than its bound. Up to SKIP_MAX they were skipped, else the connection is lost."""

    def __init__(self, message: str, *, in_sync: bool) -> None:
        super().__init__(message, hint="Send less at once.")
        self.in_sync = in_sync


class BadText(WireError):
    """A text is not valid UTF-8, or not the number, UUID or address that it should be."""


class Late(WireError):
    """The arguments of a command, or the command that a connection must open with, did not come in time."""

    in_sync = False


# --- writing ---------------------------------------------------------------------------------------------------------


def encode_u64(value: int) -> bytes:
    """An unsigned 64-bit integer as the wire has it."""
    return _U64.pack(value)


def encode_blob(data: bytes) -> bytes:
    """Bytes (a pickle, a payload) with their length before them."""
    return _U64.pack(len(data)) + data


encode_pickle = encode_blob


def encode_str(text: str) -> bytes:
    """A text with its length in bytes before it."""
    return encode_blob(text.encode("utf-8"))


# --- reading ---------------------------------------------------------------------------------------------------------


class Address(NamedTuple):
    """Where something listens: IPv4 or a name, as ezmsg's addresses have no room for IPv6."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


class Argument(NamedTuple):
    """A kind of argument: the most bytes it may have, and what makes a value of them. ``most`` None: eight bytes, no
    length before them."""

    most: int | None
    decode: Callable[[bytes], Any]


def _text(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadText(f"a text is not valid UTF-8: {error.reason} at byte {error.start}: {_excerpt(data)}") from error


def _uuid(data: bytes) -> UUID:
    try:
        return UUID(_text(data))
    except ValueError as error:
        raise BadText(f"not a UUID: {_excerpt(data)}") from error


def _address(data: bytes) -> Address:
    host, separator, port = _text(data).partition(":")
    if not separator or not host or not (port.isascii() and port.isdigit()) or len(port) > 5 or int(port) > 65535:
        raise BadText(f"not an address of the form host:port: {_excerpt(data)}")
    return Address(host, int(port))


def _number(data: bytes) -> int:
    try:
        return int(_text(data))
    except ValueError as error:
        raise BadText(f"not a decimal number: {_excerpt(data)}") from error


def _seconds(data: bytes) -> float:
    try:
        seconds = float(_text(data))
    except ValueError as error:
        raise BadText(f"not a number of seconds: {_excerpt(data)}") from error
    if seconds != seconds:
        raise BadText("not a number of seconds: nan")
    return seconds


def _excerpt(data: bytes) -> str:
    return repr(data[:60]) + ("..." if len(data) > 60 else "")


TEXT = Argument(TEXT_MAX, _text)
NUMBER = Argument(64, _number)
SECONDS = Argument(64, _seconds)
ADDRESS = Argument(1024, _address)
UUID_TEXT = Argument(64, _uuid)
PAYLOAD = Argument(PAYLOAD_MAX, bytes)
U64 = Argument(None, lambda data: int.from_bytes(data, "little"))


class Reader:
    """Reads commands and their arguments from a stream that nobody else reads.

    The clock of a command starts with its first byte and bounds all its arguments together; it is looked at only when
    bytes are still missing, so a command that arrived whole costs no timer. A ConnectionError of the stream is passed
    on as it is. One task at a time; a cancelled ``command`` loses nothing.
    """

    def __init__(self, stream: asyncio.StreamReader, timeout: float = ARGUMENT_TIMEOUT_S) -> None:
        self._stream = stream
        self._timeout = timeout
        self._clock = asyncio.get_running_loop().time
        self._deadline: float | None = None
        self._buffer = b""
        self._at = 0

    async def command(self, timeout: float | None = None) -> bytes | None:
        """The next command byte; None at the end of the stream.

        Waits as long as it takes, or raises Late after ``timeout`` seconds.
        """
        if self._at == len(self._buffer):
            if timeout is None:  # the usual case, without the cost of a timer
                self._buffer = await self._stream.read(CHUNK)
                self._at = 0
                if not self._buffer:
                    return None
            else:
                self._deadline = self._clock() + timeout
                if not await self._fill(1):
                    return None
        at = self._at
        self._at = at + 1
        self._deadline = self._clock() + self._timeout
        return self._buffer[at : at + 1]

    async def arguments(self, *kinds: Argument, timeout: float | None = None) -> list[Any]:
        """The arguments of a command, in order. ``timeout``: seconds from now, in place of the command's clock.

        All are read before one that is wrong is reported, so that the stream stays in step. Raises a WireError.
        """
        if timeout is not None:
            self._deadline = self._clock() + timeout
        values: list[Any] = []
        wrong: WireError | None = None
        for kind in kinds:
            try:
                data = self._ready(kind.most)
                if data is None:
                    data = await (self._take(8) if kind.most is None else self._counted(kind.most))
                values.append(kind.decode(data))
            except WireError as error:
                if not error.in_sync:
                    raise
                wrong = wrong or error
        if wrong is not None:
            raise wrong
        return values

    async def text(self, most: int = TEXT_MAX, timeout: float | None = None) -> str:
        """A text of at most ``most`` bytes."""
        value: str = (await self.arguments(Argument(most, _text), timeout=timeout))[0]
        return value

    async def texts(self, count: int, timeout: float | None = None) -> list[str]:
        """``count`` texts, one after the other."""
        return await self.arguments(*(TEXT,) * count, timeout=timeout)

    async def blob(self, most: int, timeout: float | None = None) -> bytes:
        """At most ``most`` bytes that carry their length before them."""
        if timeout is not None:
            self._deadline = self._clock() + timeout
        return await self._counted(most)

    async def u64(self, timeout: float | None = None) -> int:
        """An unsigned 64-bit integer."""
        value: int = (await self.arguments(U64, timeout=timeout))[0]
        return value

    async def integers(self, count: int, timeout: float | None = None) -> list[int]:
        """``count`` unsigned 64-bit integers."""
        return await self.arguments(*(U64,) * count, timeout=timeout)

    async def uuid(self, timeout: float | None = None) -> UUID:
        """A UUID, sent as text."""
        value: UUID = (await self.arguments(UUID_TEXT, timeout=timeout))[0]
        return value

    async def address(self, timeout: float | None = None) -> Address:
        """An address, sent as ``host:port``; the port is 0 to 65535."""
        value: Address = (await self.arguments(ADDRESS, timeout=timeout))[0]
        return value

    # --- bytes -------------------------------------------------------------------------------------------------------

    def _ready(self, most: int | None) -> bytes | None:
        """An argument that is in the buffer already, as most are; None for any other."""
        start, end = self._at, self._at + 8
        if most is not None and end <= len(self._buffer):
            size = _size(self._buffer, start)[0]
            start, end = end, end + size if size <= most else len(self._buffer) + 1
        if end > len(self._buffer):
            return None
        self._at = end
        return self._buffer[start:end]

    async def _counted(self, most: int) -> bytes:
        size = _U64.unpack(await self._take(8))[0]
        if size <= most:
            if size > CHUNK and self._deadline is not None:
                self._deadline += size / RATE_MIN
            return await self._take(size)
        if size <= SKIP_MAX:
            await self._skip(size)
        raise TooLong(f"an argument of {size} bytes, where at most {most} are allowed", in_sync=size <= SKIP_MAX)

    async def _take(self, size: int) -> bytes:
        end = self._at + size
        if end > len(self._buffer):
            if not await self._fill(size):
                raise Truncated("the connection ended inside a command")
            end = self._at + size
        data = self._buffer[self._at : end]
        self._at = end
        return data

    async def _skip(self, size: int) -> None:
        if self._deadline is not None:
            self._deadline += size / RATE_MIN
        while size > 0:
            if self._at == len(self._buffer) and not await self._fill(1):
                raise Truncated("the connection ended inside a command")
            step = min(size, len(self._buffer) - self._at)
            self._at += step
            size -= step

    async def _fill(self, size: int) -> bool:
        """Have at least ``size`` unread bytes in the buffer; False when the stream ends before."""
        parts = [self._buffer[self._at :]]
        missing = size - len(parts[0])
        try:
            async with asyncio.timeout_at(self._deadline):
                while missing > 0:
                    part = await self._stream.read(max(missing, CHUNK))
                    if not part:
                        return False
                    parts.append(part)
                    missing -= len(part)
        except TimeoutError as error:
            raise Late("the rest of a command did not come in time") from error
        finally:
            self._buffer = b"".join(parts)
            self._at = 0
        return True
