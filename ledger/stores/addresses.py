"""Ledgers that are elsewhere: ``nats://HOST:PORT/STREAM/ID`` in place of a path.

This room knows no network. Who installs a reader for a scheme names it as an entry point of the group READERS: a
function that is given the address and returns a LedgerReader.
"""

import re
from typing import TYPE_CHECKING, cast

from ezmsg.ledger.errors import LedgerError, NotALedger

if TYPE_CHECKING:
    from collections.abc import Callable
    from importlib.metadata import EntryPoints

    from ezmsg.ledger.reader import LedgerReader

READERS = "ezmsg.ledger.readers"
"""The group of entry points that open an address for reading; each is named as its scheme."""

_HOSTS = re.compile(r"(?:(?:[^/@,]*@)?(?:\[[^]]*\]|[^:,@]*)(?::\d*)?(?:,|$))*")
"""Hosts, each perhaps with somebody before it, and a port after it."""

SCHEMES = ("nats", "tls")
"""Schemes that are never taken for a folder of that name, whether or not a reader for them is installed."""

_ADDRESS = re.compile(r"([a-z][a-z0-9+.-]*):(//?)(?=[^/])(.+)", re.DOTALL)


def address_of(location: str) -> str | None:
    """The address that ``location`` is; None when it is a path. One slash counts as two: pathlib makes one of them.

    >>> address_of("nats://127.0.0.1:4222/LEDGERS/rig-3"), address_of("nats:/127.0.0.1:4222/LEDGERS/rig-3")
    ('nats://127.0.0.1:4222/LEDGERS/rig-3', 'nats://127.0.0.1:4222/LEDGERS/rig-3')
    >>> address_of("run.ledger") is None
    True
    """
    found = _ADDRESS.fullmatch(location)
    if found is None or (found[1] not in SCHEMES and not _readers(found[1])):
        return None
    return f"{found[1]}://{found[3]}"


def opened_for_reading(address: str) -> "LedgerReader":
    """The ledger at ``address``. Raises NotALedger without a reader for its scheme, and what that one raises."""
    scheme = address.partition(":")[0]
    for found in _readers(scheme):
        return cast("Callable[[str], LedgerReader]", found.load())(address)
    raise NotALedger(
        f"{address}: nothing that is installed reads ledgers at {scheme}:// addresses",
        hint="Install ezmsg-ledger anew: a reader of such addresses belongs to it.",
    )


class Elsewhere(LedgerError):
    """The command works on files, and was given an address."""


def refuse_address(location: str, what: str) -> None:
    """Raise Elsewhere when ``location`` is an address: ``what`` names that which is only done to a file."""
    if (address := address_of(location)) is not None:
        raise Elsewhere(
            f"{what} needs a ledger on this machine, and {without_secret(address)} is in a stream",
            hint="Fetch it first: ezmsg-ledger fetch ADDRESS FILE",
        )


def without_secret(address: str) -> str:
    """``address`` without the user and the password in it, to be shown; a path as it is.

    >>> without_secret("nats://lab:secret@broker:4222/LEDGERS/rig-3")
    'nats://broker:4222/LEDGERS/rig-3'

    Of an address that is none, for it has a password with a slash that was not written as %2F, more is left out:

    >>> without_secret("nats://lab:se/cret@broker:4222/LEDGERS")
    'nats://broker:4222/LEDGERS'
    """
    scheme, mark, rest = address.partition("://")
    if not mark:
        return address
    servers, slash, path = rest.partition("/")
    if "@" in path.partition("/")[0] or ("@" in path and not _HOSTS.fullmatch(servers)):  # no stream has such a name
        servers, slash, path = rest.rpartition("@")[2].partition("/")
    return f"{scheme}://{','.join(each.rpartition('@')[2] for each in servers.split(','))}{slash}{path}"


def _readers(scheme: str) -> "EntryPoints":
    """The installed readers of ledgers at addresses of a scheme."""
    from importlib.metadata import entry_points  # 50 ms, with all it imports: only for who gives such an address

    return entry_points(group=READERS, name=scheme)
