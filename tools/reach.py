"""From which topic messages come to which, in a state."""

from collections import deque
from collections.abc import Iterator

from ezmsg.ledger.projections.ownership import OUT
from ezmsg.ledger.projections.state import GraphState


def reached(state: GraphState, a: str, through_units: bool = False) -> dict[str, str | None]:
    """The topics that messages from topic ``a`` come to, nearest first, each with the one before it; ``a`` with None.

    ``through_units``: from what a unit subscribes to on to what it publishes then, as its tasks say. Cost: O(graph).
    """
    nodes = state.ownership.nodes
    inside = unit_links(state) if through_units else {}
    came: dict[str, str | None] = {a: None}
    ahead = deque([a])
    while ahead:
        topic = ahead.popleft()
        for target in (*(nodes[topic][OUT] if topic in nodes else ()), *inside.get(topic, ())):
            if target not in came:
                came[target] = topic
                ahead.append(target)
    return came


def way_to(b: str, came: dict[str, str | None]) -> list[str] | None:
    """The way to topic ``b`` in what ``reached`` found, both ends included; None when it was not reached."""
    if b not in came:
        return None
    way = [b]
    while (before := came[way[-1]]) is not None:
        way.append(before)
    return way[::-1]


def route(state: GraphState, a: str, b: str, through_units: bool = False) -> list[str] | None:
    """A shortest way from topic ``a`` to topic ``b``; None when there is none. Cost: O(graph)."""
    way = way_to(b, reached(state, a, through_units))
    return way if a != b or a in state.ownership.nodes else None


def upstream(state: GraphState, topic: str) -> list[str]:
    """The topics whose messages reach ``topic``, nearest first, itself not included. Cost: O(graph)."""
    into: dict[str, list[str]] = {}
    for from_topic, to_topic in (edge for edge, _ in state.ownership.edges()):
        into.setdefault(to_topic, []).append(from_topic)
    seen = {topic: None}
    ahead = deque([topic])
    while ahead:
        for source in sorted(into.get(ahead.popleft(), ())):
            if source not in seen:
                seen[source] = None
                ahead.append(source)
    return list(seen)[1:]


def unit_links(state: GraphState) -> dict[str, list[str]]:
    """Inside the registered units: which topics a task publishes on, by the one that it subscribes to."""
    links: dict[str, list[str]] = {}
    for source, target in _links(state):
        links.setdefault(source, []).append(target)
    return links


def _links(state: GraphState) -> Iterator[tuple[str, str]]:
    for registration in state.registrations.values():
        for component in registration.components.values():
            tasks = component.get("tasks")
            for task in tasks if isinstance(tasks, list) else ():
                source = task.get("subscribes")
                for target in task.get("publishes") or ():
                    if isinstance(source, str) and isinstance(target, str):
                        yield source, target
