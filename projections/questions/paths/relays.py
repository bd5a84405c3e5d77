"""Relays: they take messages at a border of a collection and send them on unchanged.

ezmsg 3.10 runs them beside the units: a collection's metadata names the topic at which a relay takes messages, and the
one at which it sends them. Before, each relay was a unit of its own, whose one task does that.
"""

from collections.abc import Collection, Iterable, Iterator
from typing import Any

from ezmsg.ledger.projections.graph.ownership import EdgeKey
from ezmsg.ledger.projections.graph.state import GraphState
from ezmsg.ledger.projections.questions.paths.reach import neighbours, shortest
from ezmsg.ledger.values import fields_of

RELAY_UNIT = "_CollectionRelayUnit"
"""The class of the units that ezmsg before 3.10 makes of relays."""


def bridges(component: Any) -> Iterator[EdgeKey]:
    """The topics at which relays without a unit take messages, each with the one where they send them on."""
    for relay in fields_of(component.get("relays")).values():
        fields = fields_of(relay)
        source, target = fields.get("relay_input_topic"), fields.get("relay_output_topic")
        if type(source) is str and type(target) is str:
            yield source, target


def relayed(component: Any) -> Iterator[EdgeKey]:
    """The topics at which relays of any kind take messages, units among them, each with one where they send them on."""
    yield from bridges(component)
    if str(component.get("component_type", "")).endswith(RELAY_UNIT):
        yield from task_links(component)


def task_links(component: Any) -> Iterator[EdgeKey]:
    """The topics that the tasks of a unit subscribe to, each with one that it publishes to then."""
    tasks = component.get("tasks")
    for task in tasks if isinstance(tasks, list) else ():
        fields = fields_of(task)
        source, targets = fields.get("subscribes"), fields.get("publishes")
        for target in targets if isinstance(targets, list) else ():
            if isinstance(source, str) and isinstance(target, str):
                yield source, target


def components_of(state: GraphState) -> Iterator[Any]:
    """The metadata of every component that is registered."""
    for registration in state.registrations.values():
        yield from registration.components.values()


def has_bridges(state: GraphState) -> bool:
    """Whether any component has a relay without a unit. A process of ezmsg's without units runs nothing but such."""
    return any(True for component in components_of(state) for _ in bridges(component))


def loops(edges: Iterable[EdgeKey], links: Collection[EdgeKey]) -> list[list[str]]:
    """The shortest loop through each relay that gets back what it sends, as topics, the first one again at the end.

    Only edges and relays count: what leads through a unit comes back as something else. Each loop once. Cost:
    O(relays x edges).

    >>> loops([("MID", "IN"), ("OUT", "MID")], [("IN", "OUT")])
    [['IN', 'OUT', 'MID', 'IN']]
    """
    out = neighbours((*edges, *links))
    found: dict[frozenset[str], list[str]] = {}
    for source, target in sorted(links):
        way = shortest(out, target, source)[0]
        if way:
            topics = [source, target, *(to_topic for _, to_topic in way)]
            found.setdefault(frozenset(topics), topics)
    return list(found.values())


def loops_in(state: GraphState) -> list[list[str]]:
    """The loops through relays in a state: see ``loops``."""
    links = {link for component in components_of(state) for link in relayed(component)}
    return loops((edge for edge, _ in state.ownership.edges()), links) if links else []
