"""Projections: values that are built by applying events in order, and the fold that runs events through one."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from ezmsg.ledger.errors import InvalidEvent, OutOfOrder
from ezmsg.ledger.events import Gap


class Projection(Protocol):
    """A fold of events, which are applied in order. ``seq`` is that of the last event applied, 0 at first.

    >>> from ezmsg.ledger import events
    >>> from ezmsg.ledger.projections import fold
    >>> class Last:
    ...     seq, event = 0, None
    ...     def apply(self, event):
    ...         self.seq, self.event = event.seq, event
    >>> fold([[events.Mark(name="baseline", seq=1, time=0)]], Last()).event.name
    'baseline'
    """

    seq: int

    def apply(self, event: Any) -> None:
        """Apply one event; raises OutOfOrder when it does not follow ``seq``."""


P = TypeVar("P", bound=Projection)


def fold(batches: Iterable[Sequence[Any]], projection: P) -> P:
    """Run batches of events (as ``Ledger.read`` yields them) through ``projection``; returns it.

    Raises OutOfOrder unless each seq follows the last, so a projection proves that it missed nothing. The projection's
    own ``apply_batch`` is used where it has one. Cost: one pass.

    >>> from ezmsg.ledger import Ledger, events
    >>> from ezmsg.ledger.projections import GraphState
    >>> ledger = Ledger.memory()
    >>> _ = ledger.append([events.EdgeConnected(from_topic="A", to_topic="B", owner=None)])
    >>> fold(ledger.read(), GraphState())
    <GraphState at seq 1: 1 edge, 0 sessions, 0 processes, 0 components>
    """
    apply_batch = getattr(projection, "apply_batch", None)
    for batch in batches:
        if apply_batch is not None:
            apply_batch(batch)
        else:
            for event in batch:
                projection.apply(event)
    return projection


def dispatch(projection: P, events: Sequence[Any], handlers: Mapping[type, Callable[[P, Any], None]]) -> None:
    """Apply ``events`` by a table of one method per event type; other types only advance the projection.

    Raises OutOfOrder, and InvalidEvent when a handler finds that what an event names is not there (KeyError).
    """
    for event in events:
        if event.seq != projection.seq + 1:
            follows(event, projection.seq)
        handler = handlers.get(type(event))
        if handler is not None:
            try:
                handler(projection, event)
            except KeyError as error:
                raise contradiction(event.seq, error) from error
        projection.seq = event.seq


def follows(event: Any, seq: int) -> None:
    """Raise OutOfOrder unless ``event`` is the one after ``seq``; a gap that names what was lost is the legal jump."""
    if type(event) is Gap and event.lost:
        if event.first == seq + 1 <= event.last == event.seq - 1:
            return
    elif event.seq == seq + 1:
        return
    raise OutOfOrder(
        f"event {event.seq} does not follow {seq}", hint="Events are missing or out of order: verify the ledger."
    )


def contradiction(seq: int, error: Exception) -> InvalidEvent:
    """The error for an event ``seq`` that does not fit the state before it."""
    return InvalidEvent(
        f"event {seq} contradicts the state before it: {error!r}",
        hint="The ledger was not written by this program, or a fold has a fault: please report it.",
    )
