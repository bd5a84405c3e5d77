"""The moment at which a graph was last whole, before it was torn down.

An ezmsg program clears what it owns when it ends, so the end of a recording shows next to nothing.
"""

from collections.abc import Collection

from ezmsg.ledger import events as ev
from ezmsg.ledger.reader import LedgerReader

BUILDS = frozenset(
    {
        ev.EdgeConnected,
        ev.MetadataRegistered,
        ev.ProcessRegistered,
        ev.ProcessOwnershipChanged,
        ev.SettingsUpdated,
        ev.PublisherOpened,
        ev.SubscriberOpened,
        ev.ChannelOpened,
    }
)
"""The events that add something to the graph, or put something else in its place."""


WIRES = BUILDS - {ev.PublisherOpened, ev.SubscriberOpened, ev.ChannelOpened}
"""The events that add to wiring and settings. Endpoints still open while others of a program that ends close."""

RUN = (ev.ServerStarted, ev.ServerStopped, ev.ServerLost, ev.ClockRead)
"""The events that a run consists of when no client ever connected."""


def last_built(ledger: LedgerReader, until: int, kinds: Collection[type] = BUILDS) -> int:
    """The seq of the last event up to ``until`` that added anything to the graph; without one, the seq
    before the first that is there. ``kinds``: the events that count, such as WIRES.

    All that comes after it only took away: endpoints and processes end one by one before the edges go. Cost: O(events).
    """
    return max(last_built_of_runs(ledger, until, kinds), default=ledger.first - 1)


def last_built_of_runs(ledger: LedgerReader, until: int, kinds: Collection[type] = BUILDS) -> list[int]:
    """The seqs of ``last_built`` for each run that added anything, and for what comes before the first run."""
    found: list[int] = []
    built = 0
    for batch in ledger.read(until=until):
        for event in batch:
            if type(event) in kinds:
                built = event.seq
            elif built and type(event) is ev.ServerStarted:
                found.append(built)
                built = 0
    return [*found, built] if built else found
