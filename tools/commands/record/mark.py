"""``mark``: a person's bookmark in a recording that is going on."""

import getpass
from typing import Annotated

import typer

from ezmsg.ledger.runtime.recorder.control_client import ask
from ezmsg.ledger.tools.input.options import Recording, address_or_default


def mark(
    name: Annotated[str, typer.Argument(help="What to call this moment.", show_default=False)],
    note: Annotated[str | None, typer.Option("--note", "-n", help="What you saw.")] = None,
    author: Annotated[str | None, typer.Option(help="Who says so; you, by default.", show_default=False)] = None,
    address: Recording = None,
) -> None:
    """Puts a mark into the ledger that is being written, so that you find this moment again: every command takes
    mark:NAME where it takes a moment.

    \\b
    Examples:
      ezmsg-ledger mark electrode-fell-off
      ezmsg-ledger mark glitch --note "audible click"
    """
    answer = ask(address_or_default(address), "mark", name=name, note=note, author=author or _me())
    print(f"marked seq {answer['seq']} of {answer['ledger']} as mark:{name}")


def _me() -> str | None:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # no name for this user, as in some containers
        return None
