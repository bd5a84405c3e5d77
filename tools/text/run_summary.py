"""The few lines that end a recording: what was recorded, where, and three commands to go on with."""

import shlex
from typing import Any, TextIO

from ezmsg.ledger import events as ev
from ezmsg.ledger.log import Ledger
from ezmsg.ledger.projections.questions.moments.last_built import BUILDS, RUN
from ezmsg.ledger.tools.input.location import shortened
from ezmsg.ledger.wording import count


class Counts:
    """The figures of a run: sessions, distinct edges, refusals, losses.

    ``events`` leaves out the run's own beginning and end; ``built`` is the seq after which nothing was added any more.
    """

    def __init__(self) -> None:
        self.sessions = self.refusals = self.lost = self.processes = 0
        self.edges: set[tuple[str, str]] = set()
        self.settings = self.events = self.built = 0

    def add(self, event: Any) -> None:
        """Count one event."""
        if not isinstance(event, RUN):
            self.events += 1
        if isinstance(event, ev.SessionOpened) or type(event) in BUILDS:
            self.built = event.seq
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


def summarise(location: str, run: int, out: TextIO, nothing: str, failed: str = "") -> bool:
    """Print the summary of the last run of a ledger, which began with event ``run``; ``nothing`` says what may be the
    cause when it is empty, ``failed`` how the script ended that was run, when that was not well.

    Returns whether anything was recorded. Cost: the events of that run, and of all when the ledger was made anew
    meanwhile.
    """
    counts = Counts()
    shutdown: ev.ServerStopped | None = None
    with Ledger.open(location, "r") as ledger:
        for event in ledger.entries(max(run, ledger.first) - 1 if run <= ledger.head else 0):
            if isinstance(event, ev.ServerStarted):
                counts = Counts()
            elif isinstance(event, ev.ServerStopped):
                shutdown = event if event.reason == "shutdown" else None
            counts.add(event)
        head = ledger.head
    shown = shortened(location)
    if shutdown is not None:
        print(f"ezmsg-ledger: the graph server was shut down from {shutdown.by}", file=out)
    if not counts.events:
        why = f"the script {failed}, and no program had reached" if failed else "no program reached"
        print(f"ezmsg-ledger: NOTHING WAS RECORDED in {shown}: {why} the graph server.", file=out)
        print(nothing, file=out)
        return False
    parts = [
        count(counts.sessions, "session"),
        count(len(counts.edges), "edge"),
        count(counts.processes, "process", "processes"),
        count(counts.settings, "settings update"),
        count(counts.refusals, "refusal"),
        f"{count(counts.lost, 'session')} lost",
    ]
    print(f"ezmsg-ledger: recorded {', '.join(parts)}; {count(head, 'event')} in {shown}", file=out)
    for command in ("log", f"show --at {counts.built or head}", "sessions"):
        verb, *options = command.split()
        print("  " + " ".join(["ezmsg-ledger", verb, shlex.quote(shown), *options]), file=out)
    return True
