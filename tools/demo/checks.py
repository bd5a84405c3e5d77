"""Whether the demonstration's ledger says what the demonstration did."""

from collections.abc import Iterator

from ezmsg.ledger import events as ev
from ezmsg.ledger.projections.graph.ownership import in_order
from ezmsg.ledger.projections.graph.state import GraphState
from ezmsg.ledger.projections.questions.timeline import Timeline
from ezmsg.ledger.reader import LedgerReader
from ezmsg.ledger.tools.demo.recording import GAINS, OWN, RELAYS, SHARED, TUNED, UNITS, Moments, wiring


def mistakes(ledger: LedgerReader, moments: Moments) -> Iterator[str]:
    """Find all that is recorded otherwise than it was done; nothing when all is well. Cost: a few replays."""
    timeline = Timeline(ledger)
    wired, visited, lost = (timeline.at(str(seq)) for seq in (moments.wired, moments.visited, moments.lost))
    yield from _wiring(wired, moments)
    yield from _visit(visited, moments)
    yield from _loss(ledger, lost, moments)
    yield from _settings(ledger)
    yield from _end(ledger, timeline.at("end"))


def _wiring(state: GraphState, moments: Moments) -> Iterator[str]:
    edges = {edge for edge, _ in state.ownership.edges()}
    differing = min((edges ^ wiring(relay) for relay in RELAYS), key=len)
    if differing:
        yield f"the system's edges differ: {sorted(differing)}"
    owners = {owner for _, each in state.ownership.edges() for owner in each}
    if len(owners) != 1 or None in owners:
        yield f"the system's edges belong to {in_order(owners)} and not to its one session"
    missing = UNITS - set(state.units)
    if missing:
        yield f"no process runs {sorted(missing)}"
    if len(state.processes) != 3:
        yield f"{len(state.processes)} processes are there and not 3"
    if moments.system_pid not in {process.pid for process in state.processes.values()}:
        yield f"none of the processes is the one that was started, {moments.system_pid}"


def _visit(state: GraphState, moments: Moments) -> Iterator[str]:
    shared, own = state.ownership.owners(SHARED), state.ownership.owners(OWN)
    if len(shared) != 2 or moments.visitor_session not in shared:
        yield f"the shared edge belongs to {in_order(shared)} while the second session is there"
    if own != {moments.visitor_session}:
        yield f"the second session's own edge belongs to {in_order(own)}"


def _loss(ledger: LedgerReader, state: GraphState, moments: Moments) -> Iterator[str]:
    closed = [
        event
        for event in ledger.entries()
        if isinstance(event, ev.SessionClosed) and event.session == moments.visitor_session
    ]
    if [event.reason for event in closed] != ["lost"]:
        yield f"the killed session ended as {[event.reason for event in closed]} and not as lost"
    if OWN in state.ownership:
        yield "the killed session's own edge is still there"
    if len(state.ownership.owners(SHARED)) != 1:
        yield f"the shared edge belongs to {in_order(state.ownership.owners(SHARED))} after the loss"


def _settings(ledger: LedgerReader) -> Iterator[str]:
    updates = [event for event in ledger.entries() if isinstance(event, ev.SettingsUpdated)]
    values = [(event.component, event.value.structured_value) for event in updates]
    if values != [(TUNED, {"gain": gain}) for gain in GAINS]:
        yield f"the settings went {values}, and not the gain of {TUNED} through {GAINS}"


def _end(ledger: LedgerReader, state: GraphState) -> Iterator[str]:
    if state.sessions or state.processes or state.endpoints or list(state.ownership.edges()):
        yield "something is left when all has ended"
    reasons = [event.reason for event in ledger.entries() if isinstance(event, ev.SessionClosed)]
    if sorted(reasons) != ["closed", "lost"]:
        yield f"the sessions ended as {reasons}"
    report = ledger.verify()
    if not report.sound:
        yield f"the ledger does not verify: {report.problems}"
