"""A networkx graph, for computing with a state."""

from typing import TYPE_CHECKING, Any

from ezmsg.ledger.extras import needed
from ezmsg.ledger.projections.graph.state import GraphState
from ezmsg.ledger.tools.exits import MissingExtra
from ezmsg.ledger.tools.export.graph import drawing

if TYPE_CHECKING:
    from networkx import DiGraph


def to_networkx(state: GraphState) -> "DiGraph[Any]":
    """The graph of a state as a networkx DiGraph.

    Nodes are topics, with ``component``, ``kind`` and ``process`` ("" where not known); edges have ``owners`` (one
    text: their names, in the order in which they came) and ``persistent``, so that networkx can write the graph in each
    of its formats. Raises MissingExtra without networkx.

    >>> from ezmsg.ledger import Ledger, events
    >>> from ezmsg.ledger.projections import GraphState, fold
    >>> ledger = Ledger.memory()
    >>> _ = ledger.append([events.EdgeConnected(from_topic="A/OUT", to_topic="B/IN", owner=None)])
    >>> list(to_networkx(fold(ledger.read(), GraphState())).edges)
    [('A/OUT', 'B/IN')]
    """
    networkx = needed("networkx", "networkx", "A networkx graph", MissingExtra)
    graph: DiGraph[Any] = networkx.DiGraph()
    found = drawing(state)
    for topic in found.topics:
        graph.add_node(topic.name, component=topic.component, kind=topic.kind, process=topic.process)
    for arrow in found.arrows:
        owners = ", ".join(arrow.owners)
        graph.add_edge(arrow.from_topic, arrow.to_topic, owners=owners, persistent=not arrow.session_only)
    return graph
