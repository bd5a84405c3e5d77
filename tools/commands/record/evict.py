"""``evict``: end a session that will not end by itself."""

from ezmsg.ledger.runtime.address import ADDRESS_ENV
from ezmsg.ledger.runtime.recorder.control_client import ask
from ezmsg.ledger.tools.commands.record.mark import me
from ezmsg.ledger.tools.input import options
from ezmsg.ledger.tools.input.address import ADDRESS_DEFAULT, address_or_default
from ezmsg.ledger.tools.input.options import argument, option
from ezmsg.ledger.tools.output import Page


@argument("who", "SESSION|PROCESS", "Its id, label or UUID, or the beginning of that; its pid.", required=True)
@argument("address", "[HOST:PORT]", f"Where it is connected; ${ADDRESS_ENV}, else {ADDRESS_DEFAULT}.")
@option("--author", help="Who asks; you, by default.")
@options.json
def evict(who: str, address: str | None, author: str | None, json: bool) -> None:
    """Ends a session or a process that is in the way, such as that of a dead program whose forked child keeps its
    connection: all that it held goes with it, and its name is free. On record as lost, with who asked for it. No
    program is killed by this: it meets a closed connection. For programs of the recorder's own machine only.

    Examples:
      ezmsg-ledger evict 21
      ezmsg-ledger evict SYSTEM 127.0.0.1:10000
    """
    answer = ask(address_or_default(address), "evict", name=who, author=author or me())
    page = Page()
    if json:
        page.document(answer)
        return
    label = f" ({answer['label']})" if answer["label"] else ""
    source = f" from {answer['peer']}" if answer["peer"] else ""
    page.line(f"evicted {answer['kind']} {answer['id']}{label}{source}, seq {answer['seq']} of {answer['ledger']}")
