"""Births in a ledger, as a drawing takes them: all at once as a union, and then event by event."""

from bisect import bisect_right
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

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


class Lived(NamedTuple):
    """The parts of a ledger's life that can be drawn: components in the order of their registrations, and edges."""

    components: list[Mapping[str, Any]]
    edges: list[tuple[str, str]]


def lived(lifetimes: Lifetimes, registration: Callable[[Fact], Registration]) -> Lived:
    """Collect all that ever lived. ``registration`` gives what was registered when such a fact was born.

    Cost: O(topics + edges), and a call for each registration.
    """
    components = [
        component for fact in lifetimes.facts("registration") for component in registration(fact).components.values()
    ]
    return Lived(components, lifetimes.edges())


def drawn(lifetimes: Lifetimes, registration: Callable[[Fact], Registration], beside: Lived | None = None) -> Drawing:
    """Draw all that ever lived, and what lived in another ledger (``beside``), whose own edges come after the others.

    Cost: that of ``lived``, and the layout.
    """
    components, edges = lived(lifetimes, registration)
    if beside is not None:
        components = [*components, *beside.components]
        edges = list(dict.fromkeys([*edges, *beside.edges]))
    return Drawing(Union(components, edges), lifetimes.seq)


def grown(drawing: Drawing, lifetimes: Lifetimes, registration: Callable[[Fact], Registration]) -> Drawing:
    """The drawing, with all that was born since it was drawn or last grown. Cost: O(what was born), if it is little;
    and a look at every hold where it has edges of another ledger, too."""
    if lifetimes.seq == drawing.seq:
        return drawing
    there = set(drawing.union.edges)
    known = _edges_at(lifetimes, drawing.seq)
    for birth in births(lifetimes, registration, drawing.seq, known):
        fresh = [edge for edge in birth.edges if edge not in there]
        if fresh or birth.components:
            drawing.grow(birth.components, fresh)
    drawing.seq = lifetimes.seq
    return drawing


def _edges_at(lifetimes: Lifetimes, seq: int) -> int:
    """How many edges there had been by event ``seq``: their places are in the order in which they came."""
    upto = bisect_right(lifetimes.column("hold.born"), seq)
    return max(lifetimes.column("hold.edge")[:upto], default=-1) + 1


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
