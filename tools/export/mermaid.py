"""Mermaid: a flowchart for Markdown pages, as GitHub, GitLab and notebooks draw them."""

from collections.abc import Iterator

from ezmsg.ledger.projections.graph.state import GraphState
from ezmsg.ledger.tools.export.graph import EVERYTHING, drawing, writable
from ezmsg.ledger.tools.export.narrowing import Narrowing

EDGES_MAX = 500
"""Edges of a flowchart that Mermaid draws, unless its ``maxEdges`` is raised."""

TEXT_MAX = 50_000
"""Characters that it reads, unless its ``maxTextSize`` is."""

_MEANS_SOMETHING = {"#": "#35;", '"': "#quot;", "&": "#amp;", "<": "#lt;", ">": "#gt;", ";": "#59;", "`": "#96;"}
"""Characters that Mermaid, or the page that it is drawn on, would take for more than themselves."""


def to_mermaid(state: GraphState, title: str = "", only: Narrowing = EVERYTHING) -> str:
    """The graph as a flowchart: a subgraph per component, persistent edges dotted."""
    return "\n".join([*_lines(state, title, only), ""])


def _lines(state: GraphState, title: str, only: Narrowing) -> Iterator[str]:
    graph = drawing(state, only)
    ids = {topic.name: f"t{number}" for number, topic in enumerate(graph.topics)}
    yield "flowchart LR"
    if title:
        yield f"  %% {writable(title).replace('{', '(').replace('}', ')')}"
    for number, (component, topics) in enumerate(graph.components):
        yield f'  subgraph c{number}["{_escaped(component)}"]'
        yield from (f'    {ids[topic.name]}["{_escaped(topic.leaf)}"]' for topic in topics)
        yield "  end"
    for arrow in graph.arrows:
        yield f"  {ids[arrow.from_topic]} {'-->' if arrow.session_only else '-.->'} {ids[arrow.to_topic]}"


def _escaped(text: str) -> str:
    return "".join(_MEANS_SOMETHING.get(character, character) for character in writable(text))
