"""Options that several commands share."""

from typing import Annotated, Literal, TypeAlias

import typer

ADDRESS_ENV = "EZMSG_GRAPHSERVER_ADDR"
ADDRESS_DEFAULT = "127.0.0.1:25978"
"""ezmsg's own variable and default, so that dashboards and other terminals see the same graph."""

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
Durability: TypeAlias = Annotated[
    Literal["commit", "interval", "none"],
    typer.Option(
        "--durability",
        metavar="LEVEL",
        help="What a power cut may lose: nothing (commit), 50 ms (interval), or what the system holds (none).",
    ),
]
