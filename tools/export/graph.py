"""The drawing that formats for graphs are made of: topics below the components they belong to, edges with owners."""

from itertools import groupby

import msgspec

from ezmsg.ledger.projections.graph.ownership import EdgeKey, Owner
from ezmsg.ledger.projections.graph.state import GraphState
from ezmsg.ledger.tools.text import names


class Topic(msgspec.Struct, frozen=True):
    """A node. ``component`` is the address of the component that it belongs to: registered, or told from its name."""

    name: str
    component: str
    kind: str
    process: str

    @property
    def leaf(self) -> str:
        """The part of the name that is left inside its component."""
        return self.name.removeprefix(f"{self.component}/")


class Arrow(msgspec.Struct, frozen=True):
    """An edge. ``owners`` are their names; ``session_only``: no persistent owner holds it."""

    from_topic: str
    to_topic: str
    owners: list[str]
    session_only: bool


class Drawing(msgspec.Struct, frozen=True):
    """A graph as it is drawn: topics sorted by component, then name; edges sorted."""

    topics: list[Topic]
    arrows: list[Arrow]

    @property
    def components(self) -> list[tuple[str, list[Topic]]]:
        """The topics by component, in order."""
        return [(name, list(found)) for name, found in groupby(self.topics, lambda topic: topic.component)]


def drawing(state: GraphState) -> Drawing:
    """The graph of a state. Cost: O(n log n) in topics and edges."""
    topics = [_topic(state, name) for name in state.ownership.nodes]
    arrows = [_arrow(state, edge, owners) for edge, owners in sorted(state.ownership.edges())]
    return Drawing(sorted(topics, key=lambda topic: (topic.component, topic.name)), arrows)


def _topic(state: GraphState, name: str) -> Topic:
    component = name
    while component and component not in state.components and component not in state.units:
        component = component.rpartition("/")[0]
    process = state.units.get(component)
    return Topic(
        name,
        component or name.rpartition("/")[0] or name,
        _kind(state, component),
        "" if process is None else names.process(state, process),
    )


def _kind(state: GraphState, component: str) -> str:
    session = state.components.get(component)
    if session is None:
        return ""
    form = state.registrations[session].components[component]
    return str(form.get("component_type", "")).rpartition(".")[2]


def _arrow(state: GraphState, edge: EdgeKey, owners: frozenset[Owner]) -> Arrow:
    order = sorted(owners, key=lambda owner: owner or 0)
    return Arrow(*edge, [names.owner(state, owner) for owner in order], None not in owners)
