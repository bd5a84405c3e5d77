"""``mark``: a person's bookmark in a recording that is going on."""

import getpass

from ezmsg.ledger.runtime.recorder.control_client import ask
from ezmsg.ledger.tools.input.address import address_or_default, recorder_address
from ezmsg.ledger.tools.input.options import argument, option


@argument("name", "NAME", "What to call this moment.", required=True)
@option("--note", "-n", help="What you saw.")
@option("--author", help="Who says so; you, by default.")
@recorder_address
def mark(name: str, note: str | None, author: str | None, address: str | None) -> None:
    """Puts a mark into the ledger that is being written, so that you find this moment again: every command takes
    mark:NAME where it takes a moment.

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
