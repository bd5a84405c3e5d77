"""A condition: one fact of a predicate, which is kept up to date while events come."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from ezmsg.ledger import events as ev
from ezmsg.ledger.projections.graph.state import GraphState

RUN_ENDS: tuple[type, ...] = (ev.ServerStopped, ev.ServerLost)


class Condition(ABC):
    """A fact of a predicate: ``now`` says whether it is so.

    ``types``: the events that can change it.
    """

    types: tuple[type, ...] = ()
    now: bool = False

    def touches(self, event: Any) -> bool:
        """Whether an event of one of ``types``, which is not applied yet, can change this."""
        return True

    @abstractmethod
    def look(self, event: Any, state: GraphState) -> None:
        """Set ``now`` anew after such an event; None: at the beginning."""
