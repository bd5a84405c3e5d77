"""What was born in a ledger, as a union: its edges by their places, and the components that were registered."""

from collections.abc import Callable

from ezmsg.ledger.projections.drawing.union import Union
from ezmsg.ledger.projections.graph.records import Registration
from ezmsg.ledger.projections.lifetimes.columns import Fact
from ezmsg.ledger.projections.lifetimes.lifetimes import Lifetimes


def union_of(lifetimes: Lifetimes, registration: Callable[[Fact], Registration]) -> Union:
    """All that ever lived. ``registration`` gives what was registered when such a fact was born.

    Cost: O(topics + edges), and a call for each registration.
    """
    components = [
        component for fact in lifetimes.facts("registration") for component in registration(fact).components.values()
    ]
    return Union(components, lifetimes.edges())
