"""A place that ledgers are shipped to: ``nats://HOST:PORT/STREAM``, its subjects."""

import re
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from ezmsg.ledger.stores.addresses import SCHEMES, without_secret
from ezmsg.ledger.tools.fleet.errors import NoStream
from ezmsg.ledger.tools.fleet.message import is_token

STREAM = "LEDGERS"
"""The stream where none is named."""

PORT = 4222

USAGE = (
    "An address is nats://HOST:PORT/STREAM/LEDGER, with USER:PASSWORD@ or TOKEN@ before the host if need be (@ and / "
    "in a password are %40 and %2F)."
)


class Place(NamedTuple):
    """A stream of a broker, and perhaps a ledger in it, by id or by the name of its rig ("" for none).

    ``servers`` are URLs of one broker's servers, with user and password where they were given.
    """

    servers: tuple[str, ...]
    stream: str
    ledger: str = ""

    @property
    def shown(self) -> str:
        """The address without secrets: to be printed, and to be read from again."""
        return without_secret(self.address)

    @property
    def address(self) -> str:
        """The whole address, secrets and all: to connect with, never to be shown."""
        first, *others = self.servers
        hosts = ",".join([first, *(each.partition("://")[2] for each in others)])
        return "/".join(filter(None, (hosts, self.stream, self.ledger)))

    @property
    def prefix(self) -> str:
        """The beginning of this stream's subjects, after the kind: streams of one broker must not share a subject."""
        return "" if self.stream == STREAM else f"{self.stream}."

    def subject(self, ledger: str) -> str:
        """The subject that the bytes of a ledger have."""
        return f"ledger.{self.prefix}{ledger}"

    def receipts(self, ledger: str) -> str:
        """The subject that the receipts of a ledger have."""
        return f"receipt.{self.prefix}{ledger}"


def parse(address: str, stream: str | None = None, *, ledger: bool = False) -> Place:
    """The place that ``address`` names; with ``ledger`` it must name a ledger. Raises NoStream.

    >>> parse("nats://10.0.0.7/LEDGERS/rig-3").ledger
    'rig-3'
    """
    scheme, separator, rest = address.partition("://")
    hosts, _, path = rest.partition("/")
    parts = [unquote(part) for part in path.split("/") if part]
    if not separator or scheme not in SCHEMES or not hosts:
        raise NoStream(f"{without_secret(address)} is not the address of a broker", hint=USAGE)
    servers = tuple(_server(scheme, host, address) for host in hosts.split(","))
    if len(parts) > 2 or (stream is not None and parts and parts[0] != stream):
        what = "names another stream than --stream" if len(parts) <= 2 else "has too many parts"
        raise NoStream(f"{without_secret(address)} {what}", hint=USAGE)
    found = Place(servers, parts[0] if parts else stream or STREAM, parts[1] if len(parts) > 1 else "")
    if not is_token(found.stream):
        raise NoStream(
            f"{found.stream!r} cannot be the name of a stream",
            hint="A name has letters, digits, - and _: no dots, spaces or wildcards.",
        )
    if ledger and not found.ledger:
        raise NoStream(f"{found.shown} names no ledger", hint=USAGE + " `ezmsg-ledger fleet list` shows what is there.")
    return found


def _server(scheme: str, host: str, address: str) -> str:
    try:
        url = urlsplit(f"{scheme}://{host}")
        port = url.port or PORT
    except ValueError as error:
        raise NoStream(f"{without_secret(address)} is not the address of a broker: {error}", hint=USAGE) from error
    if not url.hostname:
        raise NoStream(f"{without_secret(address)} is not the address of a broker", hint=USAGE)
    user = f"{host.rpartition('@')[0]}@" if "@" in host else ""
    name = f"[{url.hostname}]" if ":" in url.hostname else url.hostname
    return f"{scheme}://{user}{name}:{port}"


def safe_name(name: str) -> str:
    """``name``, where it can be a rig's name: anything but control characters and slashes. Raises NoStream."""
    if not name or re.search(r"[\x00-\x1f\x7f/]", name) or len(name.encode()) > 60:
        raise NoStream(
            f"{name!r} cannot be the name of a rig", hint="A name has 1 to 60 bytes, and no slash or line break in it."
        )
    return name
