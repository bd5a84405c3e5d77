"""The address of a recorder: as an option, from ezmsg's variable, or ezmsg's default."""

import os

from ezmsg.ledger.errors import LedgerError
from ezmsg.ledger.runtime.address import ADDRESS_ENV, CannotListen, parse_address
from ezmsg.ledger.tools.exits import Misuse
from ezmsg.ledger.tools.input.options import option

ADDRESS_DEFAULT = "127.0.0.1:25978"
"""ezmsg's own default, so that dashboards and other terminals see the same graph."""

listening_address = option(
    "--address",
    "-a",
    metavar="HOST:PORT",
    help=f"Where to listen; ${ADDRESS_ENV}, else {ADDRESS_DEFAULT}, by default. Port 0 takes a free one.",
)
recorder_address = option(
    "--address",
    "-a",
    metavar="HOST:PORT",
    help=f"Where the recorder listens; ${ADDRESS_ENV}, else {ADDRESS_DEFAULT}, by default.",
)


class NoListening(Misuse):
    """A graph server cannot listen where it should."""


def address_or_default(address: str | None) -> str:
    """The address that was asked for, else that of ezmsg's variable, else its default. Raises NoListening."""
    chosen = address or os.environ.get(ADDRESS_ENV) or ADDRESS_DEFAULT
    try:
        parse_address(chosen)
    except CannotListen as error:
        raise no_listening(error, address) from error
    return chosen


def no_listening(error: LedgerError, address: str | None) -> NoListening:
    """``error``, said with where the address came from when it was not an option."""
    origin = ""
    if address is None:
        origin = f" (the address of ${ADDRESS_ENV})" if os.environ.get(ADDRESS_ENV) else " (ezmsg's usual address)"
    return NoListening(f"{error}{origin}", hint=error.hint)
