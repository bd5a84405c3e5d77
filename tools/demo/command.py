"""``demo``: record a real ezmsg system, and walk through its history with the commands that anyone would use."""

import shlex
import sys
import tempfile
from pathlib import Path

from ezmsg.ledger.log import Ledger
from ezmsg.ledger.tools import cli, exits
from ezmsg.ledger.tools.demo.checks import mistakes
from ezmsg.ledger.tools.demo.recording import check_messages_pass, record_demo
from ezmsg.ledger.tools.input.options import FILE, argument


class NotNew(exits.Misuse):
    """The demonstration wants a ledger of its own."""


@argument("ledger", "[LEDGER]", "Where to record; a new temporary folder by default.", type=FILE)
def demo(ledger: Path | None) -> int:
    """Records a real ezmsg system in three processes: nested collections, a relay, settings that change on the run, and
    a second program that shares an edge and is then killed. Then it shows the log, the graph at two moments, what
    changed between them, and whose edge went when the session was lost.

    The exit code is 1 when what was recorded is not what was done.

    Example:
      ezmsg-ledger demo
    """
    if ledger is not None and ledger.exists():
        raise NotNew(f"{ledger} exists already", hint="Name a file that is not there yet, or none at all.")
    check_messages_pass()
    location = ledger or Path(tempfile.mkdtemp(prefix="ezmsg-ledger-")) / "demo.ledger"
    _heading(f"Recording to {location}")
    moments = record_demo(location, say=lambda words: print(f"  {words}", flush=True))

    _walk("What happened, in short", "log", str(location))
    _walk("The graph once the system was up", "show", str(location), "--at", str(moments.wired))
    _walk("The graph while the second program was there", "show", str(location), "--at", str(moments.visited))
    _walk("What its death changed", "diff", str(location), str(moments.visited), str(moments.lost))
    _walk("What it had done, and what became of it", "log", str(location), "--session", str(moments.visitor_session))

    _heading("Is what was recorded what was done?")
    with Ledger.open(location, "r") as recorded:
        wrong = list(mistakes(recorded, moments))
    for mistake in wrong:
        print(f"  NO: {mistake}")
    if wrong:
        return exits.NO
    print("  Yes: edges, owners, processes, settings and the reason of the loss are all as they were.")
    print(f"  The ledger is a text file: {location}")
    return exits.OK


def _heading(text: str) -> None:
    print(f"\n== {text}\n", flush=True)


def _walk(title: str, *command: str) -> None:
    """Run one of our own commands, showing how it is called."""
    _heading(title)
    print(f"$ ezmsg-ledger {shlex.join(command)}", flush=True)
    code = cli.main(command)
    sys.stdout.flush()
    if code != exits.OK:
        raise SystemExit(code)
