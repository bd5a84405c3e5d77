"""The drawing that formats for graphs are made of: topics below the components they belong to, edges with owners."""

import re
from collections.abc import Callable
from itertools import count, groupby

import msgspec

from ezmsg.ledger.projections.graph.ownership import EdgeKey, Owner, in_order
from ezmsg.ledger.projections.graph.state import GraphState
from ezmsg.ledger.projections.natural_order import natural, natural_edge
from ezmsg.ledger.tools.export.narrowing import Narrowing
from ezmsg.ledger.tools.output import clean
from ezmsg.ledger.tools.text import names

EVERYTHING = Narrowing()


_NOT_XML = re.compile("[\ud800-\udfff\ufffe\uffff]")


def writable(text: str) -> str:
    """``text`` without what a format for graphs could not hold or would take for more than itself, as escapes."""
    return _NOT_XML.sub(lambda found: f"\\u{ord(found[0]):04x}", clean(text))


class Topic(msgspec.Struct, frozen=True):
    """A node. ``component`` is the address of the component that it belongs to: registered, or told from its name."""

    name: str
    component: str
    kind: str
    process: str

    @property
    def leaf(self) -> str:
        """The part of the name that is left inside its component."""
        return self.name.removeprefix(f"{self.component}/") or self.name


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

    def ids(self, escaped: Callable[[str], str] = writable) -> dict[str, str]:
        """A name for each topic that a format can hold, by default any of them: control characters, and what XML has no
        place for, as escapes; two topics that would look the same then are numbered."""
        found: dict[str, str] = {}
        taken: set[str] = {topic.name for topic in self.topics if escaped(topic.name) == topic.name}
        for topic in self.topics:
            name = escaped(topic.name)
            numbers = count(2)
            while name != topic.name and name in taken:
                name = f"{escaped(topic.name)} ({next(numbers)})"
            taken.add(name)
            found[topic.name] = name
        return found

    @property
    def components(self) -> list[tuple[str, list[Topic]]]:
        """The topics by component, in order."""
        return [(name, list(found)) for name, found in groupby(self.topics, lambda topic: topic.component)]


def drawing(state: GraphState, only: Narrowing = EVERYTHING) -> Drawing:
    """The graph of a state: of what is wanted, and of the topics at the other ends of its edges.

    Cost: O(n log n) in topics and edges.
    """
    held = sorted(state.ownership.edges(), key=lambda item: natural_edge(item[0]))
    wanted = {name: _topic(state, name) for name in state.ownership.nodes}
    if only:
        wanted = {name: topic for name, topic in wanted.items() if only.wants([name, topic.component])}
        held = [(edge, owners) for edge, owners in held if not wanted.keys().isdisjoint(edge)]
        for name in {name for edge, _ in held for name in edge} - wanted.keys():
            wanted[name] = _topic(state, name)
    topics = list(wanted.values())
    arrows = [_arrow(state, edge, owners) for edge, owners in held]
    return Drawing(sorted(topics, key=lambda topic: (natural(topic.component), natural(topic.name))), arrows)


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
    return Arrow(*edge, [names.owner(state, owner) for owner in in_order(owners)], None not in owners)
