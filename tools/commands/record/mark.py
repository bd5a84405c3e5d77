"""``mark``: a person's bookmark in a recording that is going on."""

import getpass
import sys

from ezmsg.ledger.projections.questions.clock import time_text
from ezmsg.ledger.runtime.recorder.control_client import ask
from ezmsg.ledger.tools import exits
from ezmsg.ledger.tools.input.address import address_or_default, recorder_address
from ezmsg.ledger.tools.input.options import argument, option


@argument("name", "NAME", "What to call this moment.", required=True)
@option("--note", "-n", help="What you saw.")
@option("--author", help="Who says so; you, by default.")
@recorder_address
def mark(name: str, note: str | None, author: str | None, address: str | None) -> int:
    """Puts a mark into the ledger that is being written, so that you find this moment again: every command takes
    mark:NAME where it takes a moment. The exit code is 7 while the mark is only in the recorder's memory, because the
    ledger cannot be written.

    Examples:
      ezmsg-ledger mark electrode-fell-off
      ezmsg-ledger mark glitch --note "audible click"
    """
    answer = ask(address_or_default(address), "mark", name=name, note=note, author=author or _me())
    print(f"marked seq {answer['seq']} of {answer['ledger']} as mark:{name}")
    unwritten = answer["unwritten"]
    if unwritten is None:
        return exits.OK
    print(
        f"ezmsg-ledger: the mark is NOT ON THE DISK: the recorder cannot write since {time_text(unwritten['since'])} "
        f"({unwritten['error']}). It is written when there is room again, and lost if the recorder ends before.",
        file=sys.stderr,
    )
    return exits.UNWRITTEN


def _me() -> str | None:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # no name for this user, as in some containers
        return None
