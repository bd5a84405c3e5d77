"""The few lines that end a recording: what was recorded, where, and three commands to go on with."""

import shlex
from collections import Counter
from typing import Any, TextIO

from ezmsg.ledger import events as ev
from ezmsg.ledger.log import Ledger
from ezmsg.ledger.projections.questions.moments.last_built import BUILDS, RUN
from ezmsg.ledger.tools.input.location import shortened
from ezmsg.ledger.wording import count


class Counts:
    """The figures of a run: events ``of`` each type, distinct edges, refusals, lost sessions.

    ``events`` leaves out the run's own beginning and end; ``built`` is the seq after which nothing was added any more.
    """

    def __init__(self) -> None:
        self.of: Counter[type] = Counter()
        self.edges: set[tuple[str, str]] = set()
        self.events = self.built = self.refusals = self.lost = 0

    def add(self, event: Any) -> None:
        """Count one event."""
        self.of[type(event)] += 1
        if not isinstance(event, RUN):
            self.events += 1
        if isinstance(event, ev.SessionOpened) or type(event) in BUILDS:
            self.built = event.seq
        if isinstance(event, ev.EdgeConnected):
            self.edges.add((event.from_topic, event.to_topic))
        elif isinstance(event, ev.CommandRejected):
            self.refusals += event.repeated
        elif isinstance(event, ev.SessionClosed) and event.reason == "lost":
            self.lost += 1


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
        count(counts.of[ev.SessionOpened], "session"),
        count(len(counts.edges), "edge"),
        count(counts.of[ev.ProcessOpened], "process", "processes"),
        count(counts.of[ev.SettingsUpdated], "settings update"),
        count(counts.refusals, "refusal"),
        f"{count(counts.lost, 'session')} lost",
    ]
    print(f"ezmsg-ledger: recorded {', '.join(parts)}; {count(head, 'event')} in {shown}", file=out)
    for command in ("log", f"show --at {counts.built or head}", "sessions"):
        verb, *options = command.split()
        print("  " + " ".join(["ezmsg-ledger", verb, shlex.quote(shown), *options]), file=out)
    return True
