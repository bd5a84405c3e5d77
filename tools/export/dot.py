"""Graphviz: ``dot -Tsvg graph.dot``."""

from collections.abc import Iterator

from ezmsg.ledger.projections.graph.state import GraphState
from ezmsg.ledger.tools.export.graph import Arrow, Topic, drawing
from ezmsg.ledger.tools.page import clean


def to_dot(state: GraphState, title: str = "") -> str:
    """The graph in Graphviz's language: a cluster per component, persistent edges dashed, owners as tooltips."""
    return "\n".join([*_lines(state, title), ""])


def _lines(state: GraphState, title: str) -> Iterator[str]:
    graph = drawing(state)
    yield "digraph ezmsg {"
    yield "  rankdir=LR; node [shape=box, style=rounded]; labelloc=t;"
    if title:
        yield f"  label={_quoted(title)};"
    for number, (component, topics) in enumerate(graph.components):
        yield f"  subgraph cluster_{number} {{"
        yield f"    label={_quoted(_heading(component, topics[0]))};"
        yield from (f"    {_quoted(topic.name)} [label={_quoted(topic.leaf)}];" for topic in topics)
        yield "  }"
    yield from map(_edge, graph.arrows)
    yield "}"


def _heading(component: str, topic: Topic) -> str:
    return " - ".join(filter(None, (component, topic.kind, topic.process)))


def _edge(arrow: Arrow) -> str:
    style = "" if arrow.session_only else ", style=dashed"
    return (
        f"  {_quoted(arrow.from_topic)} -> {_quoted(arrow.to_topic)} "
        f"[tooltip={_quoted(', '.join(arrow.owners))}{style}];"
    )


def _quoted(text: str) -> str:
    """A double-quoted string: only the quote and the backslash mean anything in it."""
    return '"' + clean(text).replace("\\", "\\\\").replace('"', '\\"') + '"'
