"""Options that several commands share."""

import os
from typing import Annotated, Literal, TypeAlias

import typer

from ezmsg.ledger.errors import LedgerError
from ezmsg.ledger.runtime.address import ADDRESS_ENV, PORT_MAX, CannotListen, parse_address
from ezmsg.ledger.tools import exits

ADDRESS_DEFAULT = "127.0.0.1:25978"
"""ezmsg's own default, so that dashboards and other terminals see the same graph."""

Address: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--address",
        "-a",
        metavar="HOST:PORT",
        help=f"Where to listen; ${ADDRESS_ENV}, else {ADDRESS_DEFAULT}, by default. Port 0 takes a free one.",
        show_default=False,
    ),
]
Recording: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--address",
        "-a",
        metavar="HOST:PORT",
        help=f"Where the recorder listens; ${ADDRESS_ENV}, else {ADDRESS_DEFAULT}, by default.",
        show_default=False,
    ),
]
Durability: TypeAlias = Annotated[
    Literal["commit", "interval", "none"],
    typer.Option(
        "--durability",
        metavar="LEVEL",
        help="What a power cut may lose: nothing (commit), 50 ms (interval), or what the system holds (none).",
    ),
]

Debug: TypeAlias = Annotated[
    bool,
    typer.Option("--debug", help="Open the debugger on the recording, in a process of its own (extra: debugger)."),
]

Metrics: TypeAlias = Annotated[
    int | None,
    typer.Option(
        "--metrics",
        metavar="PORT",
        help="Tell Prometheus how the server is, at this port of 127.0.0.1; port 0 takes a free one.",
        min=0,
        max=PORT_MAX,
        show_default=False,
    ),
]


class NoListening(exits.Misuse):
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
