"""Graphviz: ``dot -Tsvg graph.dot``."""

from collections.abc import Iterator

from ezmsg.ledger.projections.graph.state import GraphState
from ezmsg.ledger.tools.export.graph import EVERYTHING, Arrow, Topic, drawing, writable
from ezmsg.ledger.tools.export.narrowing import Narrowing


def to_dot(state: GraphState, title: str = "", only: Narrowing = EVERYTHING) -> str:
    """The graph in Graphviz's language: a cluster per component, persistent edges dashed, owners as tooltips."""
    return "\n".join([*_lines(state, title, only), ""])


def _lines(state: GraphState, title: str, only: Narrowing) -> Iterator[str]:
    graph = drawing(state, only)
    ids = graph.ids(node_id)
    yield "digraph ezmsg {"
    yield "  rankdir=LR; node [shape=box, style=rounded]; labelloc=t;"
    if title:
        yield f"  label={_label(title)};"
    for number, (component, topics) in enumerate(graph.components):
        yield f"  subgraph cluster_{number} {{"
        yield f"    label={_label(_heading(component, topics[0]))};"
        yield from (f"    {_quoted(ids[topic.name])} [label={_label(topic.leaf)}];" for topic in topics)
        yield "  }"
    yield from (_edge(arrow, ids) for arrow in graph.arrows)
    yield "}"


def node_id(text: str) -> str:
    """A topic as Graphviz can know it: a name that begins with ``%`` it takes for no name at all."""
    text = writable(text)
    return f"\\u0025{text[1:]}" if text.startswith("%") else text


def _heading(component: str, topic: Topic) -> str:
    return " - ".join(filter(None, (component, topic.kind, topic.process)))


def _edge(arrow: Arrow, ids: dict[str, str]) -> str:
    style = "" if arrow.session_only else ", style=dashed"
    return (
        f"  {_quoted(ids[arrow.from_topic])} -> {_quoted(ids[arrow.to_topic])} "
        f"[tooltip={_label(', '.join(arrow.owners))}{style}];"
    )


def _quoted(text: str) -> str:
    """A double-quoted string: only the quote and the backslash mean anything in it."""
    return '"' + writable(text).replace("\\", "\\\\").replace('"', '\\"') + '"'


def _label(text: str) -> str:
    """A text that is drawn: Graphviz takes ``&lt;`` in it for a character."""
    return _quoted(text.replace("&", "&amp;"))
