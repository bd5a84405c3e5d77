"""The graph documents of ezmsg-dashboard's builder: the components of a past moment, to be opened and run there.

A document has components that are registered with the builder: classes that an installed distribution names as entry
points of the group ``ezmsg.components``. It has no collections around them, so what leads from one to another through
other topics (those of a collection, relays, units that are not registered) becomes one connection.
"""

import json
import re
from collections.abc import Iterable, Iterator
from hashlib import sha256
from importlib.metadata import entry_points
from math import isfinite
from typing import Any

import msgspec

from ezmsg.ledger.errors import InvalidValue
from ezmsg.ledger.projections.graph.records import SettingRecord
from ezmsg.ledger.projections.graph.state import GraphState
from ezmsg.ledger.projections.questions.settings.stored_value import shown_form
from ezmsg.ledger.tools.exits import Misuse
from ezmsg.ledger.tools.export.graph import EVERYTHING
from ezmsg.ledger.tools.export.narrowing import Narrowing
from ezmsg.ledger.tools.output import listed
from ezmsg.ledger.values import Form, fields_of, plain_of, tag_of, text_map, thaw
from ezmsg.ledger.wording import count

VERSION = 1
"""The version of the documents that ezmsg-dashboard 0.5.0 opens."""

GROUP = "ezmsg.components"
"""The entry points by which a distribution registers its components with the builder."""

SETTINGS_INPUT = "INPUT_SETTINGS"
"""The port that the builder wires by itself."""

NAME_MAX = 64
"""Characters of a component's name in a document."""

APART = (480, 240)
"""Places of the components on the builder's page: so far from one layer to the next, and within one."""

NAMED_MAX = 5


class Port(msgspec.Struct, frozen=True):
    """A port of a component: its name there, and whether data come in or go out."""

    component: str
    name: str
    direction: str
    message_type: str


class Document(msgspec.Struct, frozen=True):
    """A graph document, and what of the moment is not in it, in sentences."""

    content: dict[str, Any]
    left_out: list[str]


def to_graph_document(state: GraphState, title: str = "", only: Narrowing = EVERYTHING) -> str:
    """The document as the text of a file. Raises Misuse as ``graph_document`` does."""
    return json.dumps(graph_document(state, only).content, indent=2, ensure_ascii=False) + "\n"


def graph_document(state: GraphState, only: Narrowing = EVERYTHING) -> Document:
    """The components that were registered at a moment and that the builder knows, with settings and connections.

    What the builder knows is told by the distributions that are installed beside this one; none is imported. Raises
    Misuse when it knows none of them. Cost: O(components + edges * components).
    """
    left: list[str] = []
    nodes = dict(_nodes(state, only, left))
    if not nodes:
        raise Misuse(
            "no component of this moment is registered with the dashboard's builder",
            hint=f"Ask where the packages are installed that name them ({GROUP}), or at another moment: --at.",
        )
    ports = {topic: port for address in nodes for topic, port in _ports(state, address)}
    edges, external = _connections(state, nodes, ports, left)
    layers = _layers(nodes, edges)
    names = _names(nodes)
    content = {
        "version": VERSION,
        "nodes": [
            {
                "id": _id(address),
                "name": names[address],
                "component": registration,
                "settings": _settings(address, state.settings.get(address), left),
                "ports": [_port(port) for _, port in _ports(state, address)],
                "position": {"x": APART[0] * layers[address][0], "y": APART[1] * layers[address][1]},
            }
            for address, registration in nodes.items()
        ],
        "edges": [
            {
                "id": f"edge:{number}",
                "source": _id(source.component),
                "sourceHandle": source.name,
                "target": _id(target.component),
                "targetHandle": target.name,
            }
            for number, (source, target) in enumerate(edges, 1)
        ],
        "external_inputs": [
            {"id": f"binding:{number}", "topic": topic, "target": _id(port.component), "targetHandle": port.name}
            for number, (topic, port) in enumerate(external, 1)
        ],
    }
    return Document(content, left)


# --- components ------------------------------------------------------------------------------------------------------


def registrations() -> dict[str, dict[str, str]]:
    """Components that the builder knows, by their class (``module.name``), as its documents name them.

    One that is registered twice is left out: a document could mean either.
    """
    found: dict[str, dict[str, str]] = {}
    twice: set[str] = set()
    for entry in entry_points(group=GROUP):
        if entry.dist is None:
            continue
        package = entry.dist.metadata["Name"]
        identity = f"{package.lower()}:{entry.name}:{entry.value}"
        key = entry.value.split("[")[0].strip().replace(":", ".")
        record = {
            "id": sha256(identity.encode()).hexdigest(),
            "name": entry.name,
            "value": entry.value,
            "distribution": package,
            "version": entry.dist.version,
        }
        if key in found and found[key] != record:
            twice.add(key)
        found[key] = record
    return {key: record for key, record in found.items() if key not in twice}


def _components(state: GraphState) -> dict[str, Form]:
    """The registered components by their addresses, those outside first."""
    found = {
        component["address"]: component
        for registration in state.registrations.values()
        for component in registration.components.values()
    }
    return dict(sorted(found.items(), key=lambda item: item[0].count("/")))


def _nodes(state: GraphState, only: Narrowing, left: list[str]) -> Iterator[tuple[str, dict[str, str]]]:
    """The components that become nodes: of those that are inside one another, the outermost that the builder knows."""
    known = registrations()
    taken: set[str] = set()
    unknown: list[str] = []
    for address, component in _components(state).items():
        parts = address.split("/")
        if not taken.isdisjoint("/".join(parts[:end]) for end in range(1, len(parts))):
            continue
        record = known.get(str(component.get("component_type", "")))
        if record is not None and (not only or only.wants([address])):
            taken.add(address)
            yield address, record
        elif tag_of(component) == "UnitMetadata":
            unknown.append(address)
    if unknown:
        many = count(len(unknown), "unit")
        left.append(f"{many} left out that the builder does not know: {listed(sorted(unknown), NAMED_MAX)}")


def _names(nodes: Iterable[str]) -> dict[str, str]:
    """A name for each component that is one in Python, and no other's: the last part of its address where it can be."""
    names: dict[str, str] = {}
    for address in nodes:
        plain = re.sub(r"[^A-Za-z0-9_]", "_", address.rpartition("/")[2])
        plain = (plain if plain[:1].isalpha() or plain[:1] == "_" else f"_{plain}")[: NAME_MAX - 6]
        name, number = plain, 2
        while name in names.values():
            name, number = f"{plain}_{number}", number + 1
        names[address] = name
    return names


def _id(address: str) -> str:
    """The id of a node: the builder wants these to begin so, and to be short."""
    return f"draft:{address if len(address) <= 150 else sha256(address.encode()).hexdigest()}"


# --- ports and connections -------------------------------------------------------------------------------------------


def _ports(state: GraphState, address: str) -> Iterator[tuple[str, Port]]:
    """The ports of a component, by their topics."""
    component = state.registrations[state.components[_key(state, address)]].components[_key(state, address)]
    for table in ("streams", "topics", "relays"):
        for name, stream in text_map(component.get(table) or {}).items():
            tag = tag_of(stream)
            direction = "input" if tag.startswith("Input") else "output" if tag.startswith("Output") else "unknown"
            yield str(stream.get("address")), Port(address, name, direction, str(stream.get("msg_type")))


def _key(state: GraphState, address: str) -> str:
    """The key under which a component is registered: nearly always its address."""
    if address in state.components:
        return address
    return next(
        key
        for registration in state.registrations.values()
        for key, component in registration.components.items()
        if component["address"] == address
    )


def _port(port: Port) -> dict[str, Any]:
    return {
        "name": port.name,
        "direction": port.direction,
        "message_type": port.message_type,
        "type_resolved": True,
        "settings": port.name == SETTINGS_INPUT,
    }


def _connections(
    state: GraphState, nodes: dict[str, dict[str, str]], ports: dict[str, Port], left: list[str]
) -> tuple[list[tuple[Port, Port]], list[tuple[str, Port]]]:
    """The connections between nodes, and those from topics of others; without what the builder refuses."""
    before: dict[str, list[str]] = {}
    for (from_topic, to_topic), _ in sorted(state.ownership.edges(), key=lambda item: item[0]):
        before.setdefault(to_topic, []).append(from_topic)
    edges: list[tuple[Port, Port]] = []
    external: list[tuple[str, Port]] = []
    settings = loops = 0
    after: dict[str, set[str]] = {address: set() for address in nodes}
    for topic, port in ports.items():
        sources = list(_sources(topic, before, ports))
        if port.direction != "input" or port.name == SETTINGS_INPUT:
            settings += len(sources) if port.name == SETTINGS_INPUT else 0
            continue
        for found in sources:
            source = ports.get(found)
            if source is None:
                external.append((found, port))
            elif source.direction != "output":
                continue
            elif source.component == port.component or _leads(after, port.component, source.component):
                loops += 1
            else:
                after[source.component].add(port.component)
                edges.append((source, port))
    if settings:
        left.append(f"{count(settings, 'connection')} to {SETTINGS_INPUT} left out: the builder has none of these")
    if loops:
        left.append(f"{count(loops, 'connection')} left out that would close a circle of components")
    return edges, external


def _sources(topic: str, before: dict[str, list[str]], ports: dict[str, Port]) -> Iterator[str]:
    """The topics that a port hears: ports of nodes, or the first topics on ways that begin elsewhere."""
    seen, waiting = {topic}, list(reversed(before.get(topic, ())))
    while waiting:
        found = waiting.pop()
        if found in seen:
            continue
        seen.add(found)
        if found in ports or not before.get(found):
            yield found
        else:
            waiting.extend(reversed(before[found]))


def _leads(after: dict[str, set[str]], start: str, goal: str) -> bool:
    """Whether connections lead from one component to another."""
    seen, waiting = {start}, [start]
    while waiting:
        found = waiting.pop()
        if found == goal:
            return True
        waiting.extend(after[found] - seen)
        seen |= after[found]
    return False


def _layers(nodes: Iterable[str], edges: list[tuple[Port, Port]]) -> dict[str, tuple[int, int]]:
    """A place for each component: how many others are before it at most, and its number among those at that place."""
    depth = dict.fromkeys(nodes, 0)
    for _ in depth:
        deeper = False
        for source, target in edges:
            if depth[target.component] <= depth[source.component]:
                depth[target.component] = depth[source.component] + 1
                deeper = True
        if not deeper:
            break
    taken: dict[int, int] = {}
    places = {}
    for address, layer in depth.items():
        places[address] = (layer, taken.get(layer, 0))
        taken[layer] = taken.get(layer, 0) + 1
    return places


# --- settings --------------------------------------------------------------------------------------------------------


def _settings(address: str, setting: SettingRecord | None, left: list[str]) -> dict[str, Any]:
    """The settings in force that JSON can hold; a field that it cannot is left to its default, which is told."""
    found: dict[str, Any] = {}
    odd: list[str] = []
    for name, form in {} if setting is None else fields_of(shown_form(setting.value)).items():
        try:
            found[name] = _plain(thaw(form) if tag_of(form) != "o" else plain_of(form))
        except (InvalidValue, TypeError, ValueError):
            odd.append(name)
    if odd:
        left.append(f"settings of {address} left to their defaults, for JSON has no form for them: {', '.join(odd)}")
    return found


def _plain(value: Any) -> Any:
    """A value as JSON has it. Raises TypeError or ValueError for one that it has not."""
    if value is None or type(value) in (bool, int, str):
        return value
    if type(value) is float and isfinite(value):
        return value
    if type(value) in (list, tuple, set, frozenset):
        return [_plain(item) for item in value]
    if type(value) is dict and all(type(key) is str for key in value):
        return {key: _plain(item) for key, item in value.items()}
    raise TypeError(f"JSON has no {type(value).__name__}")
