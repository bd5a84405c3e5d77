"""The primitives of ezmsg's graph-server protocol: command bytes, what is written, and the kinds of arguments.

A request is a command byte and its arguments, without a frame around them; integers are unsigned 64-bit little-endian;
texts and blobs carry their length in bytes before them.
"""

from collections.abc import Callable
from functools import partial
from struct import Struct
from typing import Any, Final, NamedTuple
from uuid import UUID

from ezmsg.ledger.codec import LINE_MAX, excerpt
from ezmsg.ledger.errors import LedgerError
from ezmsg.ledger.runtime.address import host_and_port

TEXT_MAX = 64 * 1024
"""Bytes of a topic, unit, address or number. Real ones are below a hundred; generated names still find room."""

METADATA_MAX = LINE_MAX
"""Bytes of a pickled registration, settings value or trace batch. As much as a ledger's line: what does not fit there
after translation is left out or refused, but up to here the sender is told so instead of being cut off."""

PAYLOAD_MAX = 16 * 2**20
"""Bytes of a routed request or its answer, which are passed on unread and held in memory meanwhile."""

_U64 = Struct("<Q")


class Command:
    """The command bytes. The values are those of ezmsg 3.9; PRIVATE, the control protocol, is not ezmsg's."""

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
    """The name that ezmsg gives a command byte: ``SESSION_CONNECT``; ``0x2a`` for one that a client may not send.

    ``opener`` for none at all: that of a client which never said what it is.
    """
    return _NAMES.get(command, f"0x{command.hex()}") if command else "opener"


# --- errors ----------------------------------------------------------------------------------------------------------


class Malformed(LedgerError):
    """A client sent something else than the protocol says.

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


def encode_blob(data: bytes) -> bytes:
    """Bytes (a pickle, a payload) with their length before them."""
    return _U64.pack(len(data)) + data


def encode_str(text: str) -> bytes:
    """A text with its length in bytes before it."""
    return encode_blob(text.encode("utf-8"))


# --- arguments -------------------------------------------------------------------------------------------------------


class Argument(NamedTuple):
    """A kind of argument: the most bytes it may have, and what makes a value of them. ``most`` None: eight bytes, no
    length before them."""

    most: int | None
    decode: Callable[[bytes], Any]


def _text(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadText(f"a text is not valid UTF-8: {error.reason} at byte {error.start}: {excerpt(data)}") from error


def _as(make: Callable[[str], Any], what: str, data: bytes) -> Any:
    try:
        return make(_text(data))
    except ValueError as error:
        raise BadText(f"not {what}: {excerpt(data)}") from error


def _address(data: bytes) -> tuple[str, int]:
    address = host_and_port(_text(data))
    if address is None:
        raise BadText(f"not an address of the form host:port: {excerpt(data)}")
    return address


def _seconds(data: bytes) -> float:
    seconds: float = _as(float, "a number of seconds", data)
    if seconds != seconds:
        raise BadText("not a number of seconds: nan")
    return seconds


TEXT = Argument(TEXT_MAX, _text)
NUMBER = Argument(64, partial(_as, int, "a decimal number"))
SECONDS = Argument(64, _seconds)
ADDRESS = Argument(1024, _address)
UUID_TEXT = Argument(64, partial(_as, UUID, "a UUID"))
METADATA = Argument(METADATA_MAX, bytes)
PAYLOAD = Argument(PAYLOAD_MAX, bytes)
U64 = Argument(None, lambda data: int.from_bytes(data, "little"))
