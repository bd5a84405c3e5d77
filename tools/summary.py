"""The few lines that end a recording: what was recorded, where, and three commands to go on with."""

import os
import shlex
from typing import TextIO

from ezmsg.ledger import events as ev
from ezmsg.ledger.log import Ledger

NO_SESSION = """\
ezmsg-ledger: NOTHING WAS RECORDED: no session reached the recorder.
  Likely causes: the script names a graph_address of its own; it never came to ez.run(...);
  or it set EZMSG_GRAPHSERVER_ADDR itself. Point it at the recorder, or use `ezmsg-ledger serve`."""


class Counts:
    """What happened since a seq: sessions, distinct edges, refusals, losses."""

    def __init__(self) -> None:
        self.sessions = self.refusals = self.lost = self.processes = 0
        self.edges: set[tuple[str, str]] = set()
        self.settings = 0

    def add(self, event: object) -> None:
        """Count one event."""
        if isinstance(event, ev.SessionOpened):
            self.sessions += 1
        elif isinstance(event, ev.EdgeConnected):
            self.edges.add((event.from_topic, event.to_topic))
        elif isinstance(event, ev.CommandRejected):
            self.refusals += event.repeated
        elif isinstance(event, ev.SessionClosed) and event.reason == "lost":
            self.lost += 1
        elif isinstance(event, ev.ProcessOpened):
            self.processes += 1
        elif isinstance(event, ev.SettingsUpdated):
            self.settings += 1


def summarise(location: str, out: TextIO) -> None:
    """Print the summary of the last run of a ledger."""
    counts = Counts()
    with Ledger.open(location, "r") as ledger:
        for event in ledger.entries():
            if isinstance(event, ev.ServerStarted):
                counts = Counts()
            counts.add(event)
        head = ledger.head
    if not counts.sessions and not counts.processes:
        print(NO_SESSION, file=out)
        return
    parts = [
        _count(counts.sessions, "session"),
        _count(len(counts.edges), "edge"),
        _count(counts.processes, "process", "processes"),
        _count(counts.settings, "settings update"),
        _count(counts.refusals, "refusal"),
        f"{counts.lost} lost",
    ]
    shown = _shorten(location)
    print(f"ezmsg-ledger: recorded {', '.join(parts)}; {head} events in {shown}", file=out)
    for command in ("log", "show --at -10s", "sessions"):
        verb, *options = command.split()
        print("  " + " ".join(["ezmsg-ledger", verb, shlex.quote(shown), *options]), file=out)


def _count(number: int, one: str, many: str | None = None) -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"


def _shorten(location: str) -> str:
    """Relative to the current folder when that is shorter."""
    try:
        return min(os.path.relpath(location), location, key=len)
    except ValueError:  # another drive on Windows
        return location
