"""A message of a stream that holds ledgers: a range of bytes of one file, and what it states about them.

The payload is the file's bytes and nothing else: the messages, one after the other, are the file. What the headers
state is for finding places without opening payloads; a reader believes none of it before it has checked it against the
bytes.
"""

import re
from typing import NamedTuple
from urllib.parse import quote, unquote

PIECE_MAX = 1024 * 1024
"""Bytes of a payload, and fewer where the server's limit is nearer: 1 MiB with the headers, unless it was told another.

Each message costs a round trip and a sync of the broker's disk, so what is waiting goes in few: of 256 KiB each, a
finished ledger takes twice as long. One that is being recorded sends what there is, and waits for no more.
"""

HEADERS_MAX = 2048
"""Bytes that the headers can take: a server's limit holds for payload and headers together."""

NAME_MAX = 200
"""Bytes of a rig's name, as it stands in a header."""

SEGMENT, OFFSET, UPTO, SHA256 = "Ledger-Segment", "Ledger-Offset", "Ledger-Upto", "Ledger-Sha256"
NAME, SHIPPER = "Ledger-Name", "Ledger-Shipper"
MESSAGE_ID, FENCE = "Nats-Msg-Id", "Nats-Expected-Last-Subject-Sequence"

NO_COMMIT = "none"
"""The text that stands for the digest before the first commit line of a file has come."""

_TOKEN = re.compile(r"[0-9A-Za-z_-]+")


class Piece(NamedTuple):
    """The bytes of file ``segment`` of a ledger from ``offset`` on.

    ``upto`` is the seq of the last event of the last whole commit at their end, ``sha256`` the digest that the line of
    that commit states (NO_COMMIT before the first one).
    """

    segment: int
    offset: int
    data: bytes
    upto: int
    sha256: str

    @property
    def end(self) -> int:
        """The offset after the last byte."""
        return self.offset + len(self.data)


class Message(NamedTuple):
    """A message as a broker hands it out: ``sequence`` and ``time`` (ns since the epoch, UTC) are the broker's."""

    sequence: int
    headers: dict[str, str]
    data: bytes
    time: int = 0


class Stored(NamedTuple):
    """A message of a ledger, its headers read: see Message, and ``name`` and ``shipper`` of ``headers_of``."""

    sequence: int
    piece: Piece
    name: str
    shipper: str
    time: int = 0


class Malformed(ValueError):
    """A message that is not of a ledger: a header is missing, or is something else."""


def message_id(ledger: str, piece: Piece) -> str:
    """The id by which the broker knows a repeated append."""
    within = f"{piece.segment}:" if piece.segment > 1 else ""
    return f"{ledger}:{within}{piece.offset}"


def headers_of(ledger: str, piece: Piece, fence: int, name: str, shipper: str) -> dict[str, str]:
    """The headers of an append that is refused unless the subject's last message has the number ``fence``."""
    return {
        FENCE: str(fence),
        MESSAGE_ID: message_id(ledger, piece),
        SEGMENT: str(piece.segment),
        OFFSET: str(piece.offset),
        UPTO: str(piece.upto),
        SHA256: piece.sha256,
        NAME: quote(name, safe=" "),
        SHIPPER: quote(shipper, safe=" "),
    }


def size_of(headers: dict[str, str]) -> int:
    """The bytes of these headers on the wire."""
    return len("NATS/1.0\r\n\r\n") + sum(len(key) + len(value) + len(": \r\n") for key, value in headers.items())


def stored(message: Message) -> Stored:
    """The message, its headers read. Raises Malformed."""
    headers = message.headers
    try:
        segment, offset, upto = (int(headers[key]) for key in (SEGMENT, OFFSET, UPTO))
        digest = headers[SHA256]
    except KeyError as missing:
        raise Malformed(f"it has no header {missing.args[0]}") from missing
    except ValueError as error:
        raise Malformed(f"a header is not a number: {error}") from error
    if segment < 1 or offset < 0 or upto < 0 or not message.data:
        raise Malformed("it is not a place in a ledger, or has no bytes")
    if digest != NO_COMMIT and re.fullmatch(r"[0-9a-f]{64}", digest) is None:
        raise Malformed(f"{digest[:80]!r} is not a digest")
    name, shipper = unquote(headers.get(NAME, "")), unquote(headers.get(SHIPPER, ""))
    return Stored(message.sequence, Piece(segment, offset, message.data, upto, digest), name, shipper, message.time)


def is_token(text: str) -> bool:
    """Whether ``text`` can be one part of a subject: no dots, wildcards or spaces."""
    return _TOKEN.fullmatch(text) is not None
