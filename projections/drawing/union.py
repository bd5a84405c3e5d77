"""The union of all that ever lived, as boxes in boxes with ports and the edges between these: a drawing lays it out.

Components that were registered say what they are. Of the topics of programs that registered nothing the names tell:
``A/B/OUT`` is the port ``OUT`` of a unit ``A/B``, and ``A`` is a collection when more than one thing is in it.
"""

import re
from collections.abc import Iterable, Mapping, Sequence, Set
from itertools import islice
from typing import Any, TypeAlias

import msgspec

from ezmsg.ledger.projections.natural_order import natural

Address: TypeAlias = str

COLLECTION, UNIT, RELAY, TOPIC = "collection", "unit", "relay", "topic"
IN, OUT, BOTH = "in", "out", "both"

_RELAY_UNIT = "_CollectionRelayUnit"
"""The class of the units that ezmsg 3.9 puts into a collection for its relays."""


class Port(msgspec.Struct):
    """A port: edges meet a box there. ``side``: in (left), out (right) or both; ``name``: what it is called there."""

    topic: str
    name: str
    side: str | None
    box: int


class Box(msgspec.Struct):
    """A unit, a collection, a relay, or a topic that belongs to nothing.

    ``parent`` is the place of the collection that it is in, -1 for none; ``type`` the name of its class, "" when it
    was never registered. ``ports`` are topics, those of settings last.
    """

    address: Address
    kind: str
    type: str
    parent: int
    name: str
    ports: list[str]


class Union:
    """The union of all that ever lived, which only grows.

    ``components`` are the forms of registered components (as ``Registration.components`` has them), ``edges`` pairs of
    topics by their places in the lifetimes. What is added later never changes what was there: a box keeps its kind and
    its collection. Cost: O(components + topics + edges).

    >>> union = Union((), [("RIG/AMP/OUT", "RIG/SINK/IN")])
    >>> [(box.address, box.kind) for box in union.boxes]
    [('RIG', 'collection'), ('RIG/AMP', 'unit'), ('RIG/SINK', 'unit')]
    """

    def __init__(self, components: Iterable[Mapping[str, Any]] = (), edges: Sequence[tuple[str, str]] = ()) -> None:
        self.boxes: list[Box] = []
        self.ports: dict[str, Port] = {}
        self.edges: list[tuple[str, str]] = []
        self.places: dict[Address, int] = {}
        self.components: dict[bytes, Mapping[str, Any]] = {}
        self.add(components, edges)

    def add(self, components: Iterable[Mapping[str, Any]] = (), edges: Sequence[tuple[str, str]] = ()) -> list[str]:
        """Take in what was born since, in order; returns the topics that got a port. New boxes stand after the others.

        Cost: O(what was born).
        """
        found = _Found(self)
        for component in components:
            shape = _shape(component)
            if shape not in self.components:
                self.components[shape] = component
                found.register(component)
        for edge in edges:
            for topic in edge:
                found.touch(topic)
        known = len(self.ports)
        found.settle(edges)
        fresh = list(islice(self.ports, known, None))
        self.edges.extend(edges)
        self._sides(edges, fresh)
        return fresh

    def knows(self, component: Mapping[str, Any]) -> bool:
        """Whether a component was registered just so before: sessions that come again bring nothing new."""
        return _shape(component) in self.components

    def agrees(self, other: "Union", addresses: Iterable[Address]) -> bool:
        """Whether what is at these addresses, or inside of it, is of the same kind and in the same box in ``other``."""
        asked = set(addresses)
        for box in self.boxes:
            address = box.address
            while address and address not in asked:
                address = address.rpartition("/")[0]
            if not address:
                continue
            place = other.places.get(box.address)
            if place is None or other.boxes[place].kind != box.kind:
                return False
            if self._around(box) != other._around(other.boxes[place]):
                return False
            if any(other.boxes[other.ports[topic].box].address != box.address for topic in box.ports):
                return False
        return True

    def _around(self, box: Box) -> Address:
        return self.boxes[box.parent].address if box.parent >= 0 else ""

    def children(self) -> dict[int, list[int]]:
        """The places of the boxes in each collection, in people's order; -1 has those in none."""
        out: dict[int, list[int]] = {-1: []}
        for place, box in enumerate(self.boxes):
            out.setdefault(box.parent, []).append(place)
        for found in out.values():
            found.sort(key=lambda place: natural(self.boxes[place].address))
        return out

    def within(self, address: Address, box: int) -> bool:
        """Whether what has this address is inside a box."""
        return address.startswith(self.boxes[box].address + "/")

    def _sides(self, edges: Sequence[tuple[str, str]], fresh: Iterable[str]) -> None:
        votes: dict[str, list[int]] = {}
        for edge in edges:
            for topic, other, end in ((edge[0], edge[1], OUT), (edge[1], edge[0], IN)):
                port = self.ports[topic]
                if self.boxes[port.box].kind == COLLECTION:
                    if port.side is None:
                        inside = self.within(other, port.box)
                        votes.setdefault(topic, [0, 0])[inside == (end == IN)] += 1
                elif port.side is None:
                    port.side = end
                elif port.side != end:
                    port.side = BOTH
        for topic, (into, out) in votes.items():
            self.ports[topic].side = OUT if out > into else IN
        for topic in fresh:
            if self.ports[topic].side is None:
                self.ports[topic].side = IN


def _shape(component: Mapping[str, Any]) -> bytes:
    """The part of a component's metadata that matters here: settings do not."""
    kept = ("$", "address", "name", "component_type", "topics", "relays", "streams", "children")
    return msgspec.json.encode([component.get(name) for name in kept])


class _Found:
    """Components and topics as they were found, before they are boxes."""

    def __init__(self, union: Union) -> None:
        self.union = union
        self.kinds: dict[Address, str] = {}
        self.types: dict[Address, str] = {}
        self.names: dict[Address, str] = {}
        self.ports: dict[Address, dict[str, tuple[str, str | None]]] = {}
        self.owners: dict[str, Address] = {}
        self.loose: list[str] = []

    def register(self, component: Mapping[str, Any]) -> None:
        address, form = component.get("address"), component.get("$")
        if type(address) is not str or not address:
            return
        class_name = str(component.get("component_type") or "").rpartition(".")[2]
        groups = [(group, component.get(group)) for group in ("topics", "relays", "streams")]
        is_collection = form == "CollectionMetadata" or component.get("children") is not None
        kind = COLLECTION if is_collection else RELAY if class_name == _RELAY_UNIT else UNIT
        if self.kinds.get(address) != COLLECTION:
            self.kinds[address] = kind
        self.types[address] = class_name
        name = str(component.get("name") or "")
        if kind == RELAY:
            name = "relay " + re.sub("^__relay_(in|out)_", "", name)
        self.names.setdefault(address, name)
        for _, items in groups:
            if isinstance(items, Mapping):
                for key, item in items.items():
                    if isinstance(item, Mapping):
                        self._port(address, str(key), item)

    def _port(self, address: Address, key: str, item: Mapping[str, Any]) -> None:
        topic = item.get("address")
        if type(topic) is not str or not topic:
            return
        kind = str(item.get("$") or "")
        side = IN if kind.startswith("Input") else OUT if kind.startswith("Output") else None
        name = item.get("name")
        self.ports.setdefault(address, {}).setdefault(topic, (name if type(name) is str and name else key, side))
        self.owners.setdefault(topic, address)
        group, into, out = (item.get(f"relay_{part}") for part in ("group", "input_topic", "output_topic"))
        if type(into) is str and type(out) is str and into and out:
            group = group if type(group) is str and group else into.rpartition("/")[0] or into
            self.kinds.setdefault(group, RELAY)
            self.types.setdefault(group, kind.removesuffix("Metadata"))
            self.names.setdefault(group, f"relay {key}")
            for end, end_side in ((into, IN), (out, OUT)):
                self.ports.setdefault(group, {}).setdefault(end, (end.rpartition("/")[2], end_side))
                self.owners.setdefault(end, group)

    def touch(self, topic: str) -> None:
        if topic not in self.owners and topic not in self.union.ports:
            self.owners[topic] = ""
            self.loose.append(topic)

    def settle(self, edges: Iterable[tuple[str, str]]) -> None:
        union = self.union
        known = {*self.kinds, *union.places}
        for topic in self.loose:
            self._place(topic, known)
        self._nest()
        self._centre(edges)
        order = sorted(self.kinds, key=lambda address: (address.count("/"), natural(address)))
        for address in order:
            if address not in union.places:
                union.places[address] = len(union.boxes)
                name = self.names.get(address) or address
                union.boxes.append(Box(address, self.kinds[address], self.types.get(address, ""), -1, name, []))
                box = union.boxes[-1]
                box.parent = self._parent(address)
                if not self.names.get(address) and box.parent >= 0:
                    box.name = address.removeprefix(union.boxes[box.parent].address + "/")
        for address, type_ in self.types.items():
            box = union.boxes[union.places[address]]
            box.type = box.type or type_
        for address, ports in self.ports.items():
            place = union.places[address]
            for topic, (name, side) in ports.items():
                if topic not in union.ports:
                    union.ports[topic] = Port(topic, name or topic, side, place)
                    union.boxes[place].ports.append(topic)
                elif union.ports[topic].side is None:
                    union.ports[topic].side = side
            union.boxes[place].ports.sort(key=lambda topic: topic.endswith("SETTINGS"))

    def _place(self, topic: str, known: Set[Address]) -> None:
        """Find out which component a topic is of that nobody registered: of those known before, or one of its name."""
        prefix, _, leaf = topic.rpartition("/")
        address = prefix
        while address and address not in known:
            address = address.rpartition("/")[0]
        if not prefix:
            self.kinds.setdefault(topic, TOPIC)
            owner = topic
        elif address and self._kind(address) != COLLECTION:
            owner = address
        else:
            owner = prefix
            if self._kind(owner) is None:
                self.kinds[owner] = UNIT
        name = topic.removeprefix(owner + "/") if owner != topic else topic
        self.ports.setdefault(owner, {})[topic] = (name or leaf, None)

    def _kind(self, address: Address) -> str | None:
        place = self.union.places.get(address)
        return self.kinds.get(address) if place is None else self.union.boxes[place].kind

    def _nest(self) -> None:
        """Units of which nobody registered anything are in collections, when these hold more than one thing."""
        below: dict[Address, set[Address]] = {}
        for address, kind in list(self.kinds.items()):
            if kind == RELAY:
                continue
            child, parent = address, address.rpartition("/")[0]
            while parent:
                below.setdefault(parent, set()).add(child)
                child, parent = parent, parent.rpartition("/")[0]
        for address, children in below.items():
            if address in self.union.places:
                continue
            if self.types.get(address):
                continue
            if self.kinds.get(address) == UNIT or (address not in self.kinds and len(children) > 1):
                self.kinds[address] = COLLECTION

    def _centre(self, edges: Iterable[tuple[str, str]]) -> None:
        """A collection's topic without a side of its own is a box inside when edges lead to it and from it there."""
        owners = {
            topic: address
            for address, ports in self.ports.items()
            if self._kind(address) == COLLECTION
            for topic, (_, side) in ports.items()
            if side is None and topic not in self.union.ports
        }
        into, out = set(), set()
        for source, target in edges:
            if target in owners and source.startswith(owners[target] + "/"):
                into.add(target)
            if source in owners and target.startswith(owners[source] + "/"):
                out.add(source)
        for topic in sorted(into & out):
            name, _ = self.ports[owners[topic]].pop(topic)
            self.kinds[topic], self.names[topic] = TOPIC, name
            self.ports[topic] = {topic: (name, None)}

    def _parent(self, address: Address) -> int:
        parent = address.rpartition("/")[0]
        while parent:
            place = self.union.places.get(parent)
            if place is not None and self.union.boxes[place].kind == COLLECTION:
                return place
            parent = parent.rpartition("/")[0]
        return -1
