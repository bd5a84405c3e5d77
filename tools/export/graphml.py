"""GraphML, as Gephi, yEd, igraph and networkx read it."""

from xml.etree import ElementTree

from ezmsg.ledger.projections.graph.state import GraphState
from ezmsg.ledger.tools.export.graph import EVERYTHING, drawing, writable
from ezmsg.ledger.tools.export.narrowing import Narrowing

NAMESPACE = "http://graphml.graphdrawing.org/xmlns"

_KEYS = (
    ("node", "topic"),
    ("node", "component"),
    ("node", "kind"),
    ("node", "process"),
    ("edge", "owners"),
    ("edge", "persistent"),
)


def to_graphml(state: GraphState, title: str = "", only: Narrowing = EVERYTHING) -> str:
    """The graph as GraphML. Nodes are named by their topic and bear ``topic``, ``component``, ``kind`` and
    ``process``; edges ``owners`` (one text) and ``persistent``. Characters that XML cannot hold are escaped."""
    root = ElementTree.Element("graphml", xmlns=NAMESPACE)
    for place, name in _KEYS:
        kind = "boolean" if name == "persistent" else "string"
        ElementTree.SubElement(root, "key", {"id": name, "for": place, "attr.name": name, "attr.type": kind})
    graph = ElementTree.SubElement(root, "graph", {"edgedefault": "directed"})
    if title:
        ElementTree.SubElement(graph, "desc").text = writable(title)
    found = drawing(state, only)
    ids = found.ids()
    for topic in found.topics:
        node = ElementTree.SubElement(graph, "node", id=ids[topic.name])
        _put(node, topic=ids[topic.name], component=topic.component, kind=topic.kind, process=topic.process)
    for arrow in found.arrows:
        ends = {"source": ids[arrow.from_topic], "target": ids[arrow.to_topic]}
        edge = ElementTree.SubElement(graph, "edge", ends)
        _put(edge, owners=", ".join(arrow.owners), persistent="false" if arrow.session_only else "true")
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _put(element: ElementTree.Element, **values: str) -> None:
    for name, value in values.items():
        if value:
            ElementTree.SubElement(element, "data", key=name).text = writable(value)
