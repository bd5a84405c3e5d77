"""Graphs with every legal name, and the topics and edges that a reader of an export has to find."""

from hypothesis import strategies as st

from ezmsg.ledger import events as ev
from ezmsg.ledger.log import Ledger
from ezmsg.ledger.projections.graph.state import GraphState
from ezmsg.ledger.projections.questions.timeline import Timeline

NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
"""A topic, a component or a label is any text of whole Unicode characters."""

TRICKY = st.sampled_from(
    ["A\n", "A\\n", "a/", "/", "end", "--> x", '"', "\\", "\\\\", "&lt;", "#35;", "`", "]]>", "\x00", "\uffff"]
)
TOPICS = st.one_of(NAMES, TRICKY, st.builds("{}/{}".format, NAMES, TRICKY))

EDGES = st.lists(
    st.tuples(TOPICS, TOPICS).filter(lambda edge: edge[0] < edge[1]),  # so that there is no cycle
    max_size=6,
    unique=True,
)


def state_of(edges: list[tuple[str, str]], label: str) -> GraphState:
    """The graph with these edges, held by a session with that label."""
    with Ledger.memory() as ledger:
        ledger.append([ev.SessionOpened(uuid="x", label=label)])
        ledger.append([ev.EdgeConnected(from_topic=a, to_topic=b, owner=1) for a, b in edges])
        return Timeline(ledger).at("end")
