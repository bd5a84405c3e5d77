"""The ends of all that ended while nobody recorded, as ordinary events after a gap: no fold has to know of gaps."""

from typing import Any

from msgspec.structs import replace

from ezmsg.ledger import events as ev
from ezmsg.ledger.audit.repair import Survey
from ezmsg.ledger.projections.graph.state import GraphState

UNSEEN = "unseen"
"""The reason of an end that nobody recorded."""


def closings(state: GraphState, lived: GraphState) -> list[ev.Event]:
    """The events that end what is open in ``state`` and not in ``lived``: requests, endpoints, sessions, processes.

    They have no seqs yet. Runs are left as they are. Cost: O(what is open).
    """
    return [
        *(
            ev.RequestAnswered(request=key, ok=False, error_code=UNSEEN.upper())
            for key in state.requests
            if key not in lived.requests
        ),
        *(ev.EndpointClosed(endpoint=key, reason=UNSEEN) for key in state.endpoints if key not in lived.endpoints),
        *(ev.SessionClosed(session=key, reason=UNSEEN) for key in state.sessions if key not in lived.sessions),
        *(ev.ProcessClosed(process=key, reason=UNSEEN) for key in state.processes if key not in lived.processes),
    ]


def ending(state: GraphState, found: Survey, now: int) -> list[Any]:
    """The events after the sound part of a damaged ledger, stamped: a gap, and the end of all that was open there.

    ``state``, of the sound part, goes on by these events. ``now``: ns since the epoch, UTC. Seqs that the original may
    have given out are not given out again: ``LEDGER-ID:SEQ`` names one event for ever. Cost: O(what is open).
    """
    lost = found.left_last - found.seq
    seq = found.left_last + 1
    last_seen = state.time
    gap = ev.Gap(
        seq=seq,
        time=now,
        first=found.seq + 1,
        last=found.left_last if lost else seq,
        lost=lost,
        late=0,
        reason=f"repair: {found.left_bytes} bytes after offset {found.offset} of segment {found.segment} left out",
        topology=state.topology + lost,  # how far the feeds had come is not known; most events are one entry at most
        settings=state.settings_changes + lost,
    )
    ends = closings(state, GraphState()) + [ev.ServerLost(server=run, last_seen=last_seen) for run in state.runs]
    events = [gap, *(replace(event, seq=number, time=now) for number, event in enumerate(ends, seq + 1))]
    state.apply_batch(events)
    return events
