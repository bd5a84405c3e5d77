"""Births in a ledger, as a drawing takes them: all at once as a union, and then event by event."""

from bisect import bisect_right
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from ezmsg.ledger.projections.drawing.drawing import Drawing
from ezmsg.ledger.projections.drawing.union import Union
from ezmsg.ledger.projections.graph.records import Registration
from ezmsg.ledger.projections.lifetimes.columns import Fact
from ezmsg.ledger.projections.lifetimes.lifetimes import Lifetimes


class Birth(msgspec.Struct, frozen=True):
    """The births of event ``seq``: components that it registered, an edge that never was before."""

    seq: int
    components: tuple[Mapping[str, Any], ...] = ()
    edges: tuple[tuple[str, str], ...] = ()


def drawn(lifetimes: Lifetimes, registration: Callable[[Fact], Registration]) -> Drawing:
    """All that ever lived. ``registration`` gives what was registered when such a fact was born.

    Cost: O(topics + edges), a call for each registration, and the layout.
    """
    components = [
        component for fact in lifetimes.facts("registration") for component in registration(fact).components.values()
    ]
    return Drawing(Union(components, lifetimes.edges()), lifetimes.seq)


def grown(drawing: Drawing, lifetimes: Lifetimes, registration: Callable[[Fact], Registration]) -> Drawing:
    """The drawing, with all that was born since it was drawn or last grown. Cost: O(what was born), if it is little."""
    for birth in births(lifetimes, registration, drawing.seq, len(drawing.union.edges)):
        drawing.grow(birth.components, birth.edges)
    drawing.seq = lifetimes.seq
    return drawing


def births(lifetimes: Lifetimes, registration: Callable[[Fact], Registration], after: int, known: int) -> list[Birth]:
    """The births after event ``after``, in order. ``known`` edges had been there by then.

    Cost: O(registrations + holds since), and a call for each registration since.
    """
    found = [
        Birth(fact.born, components=tuple(registration(fact).components.values()))
        for fact in lifetimes.facts("registration")
        if fact.born > after
    ]
    born, edge = lifetimes.column("hold.born"), lifetimes.column("hold.edge")
    for row in range(bisect_right(born, after), len(born)):
        if edge[row] == known:  # edges have their places in the order in which they came
            found.append(Birth(born[row], edges=(lifetimes.edge(known),)))
            known += 1
    return sorted(found, key=lambda birth: birth.seq)
