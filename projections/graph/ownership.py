"""Edges with their owners, and the nodes in their order: the part of a graph state that nearly every event touches.

The idea of the loop in ``Ownership.run``: replay spends its time here, so each event costs a few look-ups in dicts and
nothing else. Adjacency is a dict of dicts that are keyed by the topics themselves; a tuple as a key would have to be
made and hashed for each event. An edge's value is its only owner, and a set only while it has several. What an owner
holds is not kept up to date at all: each edge that it gained is noted at the end of a list of its own (from, to, from,
to, ...: no tuples, which the garbage collector would visit), nothing is taken out when the edge goes, and the list is
looked through when the owner leaves, or is asked for. ``_compact`` throws the stale notes out now and then. Names in
the notes are the text objects that the nodes have: each event brings copies of its own, which would push everything
else out of the processor's cache. A run of edge events takes one call; the first event of another type ends it.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, TypeAlias

from ezmsg.ledger.events import EdgeConnected, EdgeDisconnected
from ezmsg.ledger.projections.projection import contradiction

Owner: TypeAlias = int | None
EdgeKey: TypeAlias = tuple[str, str]

Spelled: TypeAlias = tuple[list[tuple[str, int]], list[tuple[int, int, list[Owner]]]]
"""Nodes in their order, as (topic, rank of its birth); and edges, sorted, as (from, to, owners in order), the topics by
their place among the nodes."""

COMPACT_MIN = 2**16
"""Events applied before the notes of lost holds are thrown out: 1 MiB of notes at most."""

COMPACT_RATIO = 16
"""Events per live hold between two such cleanings: enough that they cost a few ns an event."""


class Node:
    """A topic that an edge touches.

    ``into``: how many edges lead to it; ``born``: the rank of its birth; ``out``: the topics that its edges lead to,
    with their owners; ``name``: its topic, as the text object that later events' notes of it share.
    """

    __slots__ = ("born", "into", "name", "out")

    def __init__(self, name: str, born: int) -> None:
        self.name = name
        self.born = born
        self.into = 0
        self.out: dict[str, Any] = {}


class Ownership:
    """Owners by edge, edges by owner, and ezmsg's node order.

    Owners are session ids; ``None`` is ezmsg's persistent owner. An edge exists while anyone holds it, a node while any
    edge touches it. Applying one event costs O(1). ``nodes`` is in ezmsg's order: that of first appearance, where a
    node that disappeared and came back goes to the end.
    """

    __slots__ = ("_gained", "_gained_count", "_gained_max", "nodes")

    def __init__(self) -> None:
        self.nodes: dict[str, Node] = {}
        self._gained: dict[Owner, list[str]] = {None: []}
        self._gained_count = 0
        self._gained_max = COMPACT_MIN

    def run(self, events: Sequence[Any], start: int, seq: int, changed: list[Any] | None) -> tuple[int, int]:
        """Apply the edge events from index ``start`` up to the first that is of another type or does not follow.

        ``seq`` is the last seq applied before. Returns the last applied now, and how many events changed the topology
        (an edge's first owner came, or its last one went); those are also added to ``changed`` if given. Raises
        InvalidEvent when an event contradicts the state.
        """
        nodes, gained = self.nodes, self._gained
        unchanged = 0
        first = seq
        try:
            for event in islice(events, start, None) if start else events:
                cls = type(event)
                if cls is EdgeConnected:
                    seq += 1
                    if event.seq != seq:
                        seq -= 1
                        break
                    from_topic = event.from_topic
                    to_topic = event.to_topic
                    node = nodes.get(from_topic)
                    if node is None:
                        node = nodes[from_topic] = Node(from_topic, 2 * seq)
                    else:
                        from_topic = node.name
                    target = nodes.get(to_topic)
                    if target is None:
                        target = nodes[to_topic] = Node(to_topic, 2 * seq + 1)
                    else:
                        to_topic = target.name
                    owner = event.owner
                    notes = gained[owner]
                    notes += from_topic, to_topic
                    out = node.out
                    if to_topic in out:
                        _add_owner(out, to_topic, owner)
                        unchanged += 1
                        continue
                    out[to_topic] = owner
                    target.into += 1
                elif cls is EdgeDisconnected:
                    seq += 1
                    if event.seq != seq:
                        seq -= 1
                        break
                    from_topic = event.from_topic
                    to_topic = event.to_topic
                    node = nodes[from_topic]
                    out = node.out
                    owners = out.pop(to_topic)
                    if owners != event.owner:
                        out[to_topic] = _without(owners, event.owner)
                        unchanged += 1
                        continue
                    if not (out or node.into):
                        del nodes[from_topic]
                    target = nodes[to_topic]
                    target.into -= 1
                    if not (target.into or target.out):
                        del nodes[to_topic]
                else:
                    break
                if changed is not None:
                    changed.append(event)
        except KeyError as error:
            raise contradiction(seq, error) from error
        self._gained_count += seq - first
        if self._gained_count > self._gained_max:
            self._compact()
        return seq, seq - first - unchanged

    def open(self, owner: Owner) -> None:
        """Begin to know an owner, which holds nothing yet."""
        self._gained[owner] = []

    def close(self, owner: Owner) -> None:
        """Forget an owner, which holds nothing any more."""
        del self._gained[owner]

    def known(self) -> set[Owner]:
        """Every owner that may hold edges: the persistent one and those opened and not closed. Cost: O(owners)."""
        return set(self._gained)

    def release(self, owner: Owner) -> list[EdgeKey]:
        """Take every hold of ``owner`` away; returns the edges that vanished with it, in no particular order.

        Cost: O(what it gained).
        """
        nodes = self.nodes
        vanished = []
        for from_topic, to_topic in _pairs(self._gained[owner]):
            node = nodes.get(from_topic)
            if node is None:
                continue
            out = node.out
            if to_topic not in out:
                continue
            owners = out[to_topic]
            if owners == owner:
                del out[to_topic]
                vanished.append((from_topic, to_topic))
                if not (out or node.into):
                    del nodes[from_topic]
                target = nodes[to_topic]
                target.into -= 1
                if not (target.into or target.out):
                    del nodes[to_topic]
            elif type(owners) is set and owner in owners:
                out[to_topic] = _without(owners, owner)
        self._gained[owner] = []
        return vanished

    def held(self, owner: Owner) -> list[EdgeKey]:
        """The edges that ``owner`` holds, sorted. Cost: O(k log k) in what it gained."""
        return sorted({edge for edge in _pairs(self._gained[owner]) if self.holds(edge, owner)})

    def holds(self, edge: EdgeKey, owner: Owner) -> bool:
        """Whether ``owner`` holds ``edge``. Cost: O(1)."""
        return owner in self.owners(edge)

    def owners(self, edge: EdgeKey) -> frozenset[Owner]:
        """The owners of ``edge``; none when it does not exist. Cost: O(owners)."""
        node = self.nodes.get(edge[0])
        if node is None or edge[1] not in node.out:
            return frozenset()
        return _as_set(node.out[edge[1]])

    def __contains__(self, edge: EdgeKey) -> bool:
        node = self.nodes.get(edge[0])
        return node is not None and edge[1] in node.out

    def edges(self) -> Iterator[tuple[EdgeKey, frozenset[Owner]]]:
        """Every edge with its owners, in no particular order. Cost: O(edges)."""
        for from_topic, node in self.nodes.items():
            for to_topic, owners in node.out.items():
                yield (from_topic, to_topic), _as_set(owners)

    def spelled(self) -> Spelled:
        """Spell the tables as plain lists: equal tables give equal ones. Cost: O(n + e log e)."""
        places = {topic: place for place, topic in enumerate(self.nodes)}
        edges = [
            (place, to_place, in_order(owners) if type(owners) is set else [owners])
            for place, node in enumerate(self.nodes.values())
            for to_place, owners in sorted(((places[topic], owners) for topic, owners in node.out.items()), key=_first)
        ]
        return [(topic, node.born) for topic, node in self.nodes.items()], edges

    def graph(self) -> dict[str, list[str]]:
        """Successors, sorted, by node in ezmsg's order. Cost: O(n + e log e)."""
        return {topic: sorted(node.out) for topic, node in self.nodes.items()}

    def put(self, edge: EdgeKey, owner: Owner, births: dict[str, int]) -> None:
        """Set one hold without an event, for a state rebuilt from facts; every node it names must have a birth."""
        for topic in edge:
            if topic not in self.nodes:
                self.nodes[topic] = Node(topic, births[topic])
        out = self.nodes[edge[0]].out
        if edge[1] in out:
            _add_owner(out, edge[1], owner)
        else:
            out[edge[1]] = owner
            self.nodes[edge[1]].into += 1
        self._gained.setdefault(owner, []).extend(edge)

    def load(
        self,
        nodes: Sequence[tuple[str, int]],
        edges: Iterable[tuple[int, int, Sequence[Owner]]],
        owners: Iterable[int],
    ) -> None:
        """Fill an empty table: nodes as (topic, rank of birth) in their order, edges by the nodes' places, open owners.

        Raises KeyError when an edge is held by none of ``owners``, ValueError when it is there twice or has no owner.
        Cost: O(holds).
        """
        cells = [Node(topic, birth) for topic, birth in nodes]
        self.nodes = {cell.name: cell for cell in cells}
        self._gained.update((owner, []) for owner in owners)
        gained = self._gained
        for from_place, to_place, held_by in edges:
            node, target = cells[from_place], cells[to_place]
            from_topic, to_topic = node.name, target.name
            out = node.out
            if to_topic in out or not held_by:
                raise ValueError(f"{from_topic} -> {to_topic} is there twice, or has no owner")
            out[to_topic] = held_by[0] if len(held_by) == 1 else set(held_by)
            target.into += 1
            for owner in held_by:
                gained[owner] += from_topic, to_topic
        self._gained_count = sum(map(len, gained.values())) // 2
        self._gained_max = COMPACT_RATIO * self._gained_count + COMPACT_MIN

    def _compact(self) -> None:
        """Throw out the notes of holds that are gone, so that memory follows the state and not the history."""
        gained: dict[Owner, list[str]] = {owner: [] for owner in self._gained}
        for from_topic, node in self.nodes.items():
            for to_topic, owners in node.out.items():
                for owner in owners if type(owners) is set else (owners,):
                    gained[owner] += from_topic, to_topic
        self._gained = gained
        self._gained_count = sum(map(len, gained.values())) // 2
        self._gained_max = COMPACT_RATIO * self._gained_count + COMPACT_MIN

    def check(self) -> None:
        """Assert that all indexes tell the same story; say where they differ. Cost: O(state)."""
        into = dict.fromkeys(self.nodes, 0)
        gained = {owner: set(_pairs(notes)) for owner, notes in self._gained.items()}
        for edge, owners in self.edges():
            assert owners, f"an edge without an owner: {edge}"
            assert edge[0] != edge[1], f"a self-edge: {edge}"
            assert edge[1] in into, f"an edge to a topic that is not a node: {edge}"
            into[edge[1]] += 1
            for owner in owners:
                assert edge in gained.get(owner, ()), f"{edge} is held by {owner}, which never gained it"
        kept = {topic: node.into for topic, node in self.nodes.items()}
        assert into == kept, f"numbers of edges into a node differ: counted {into}, kept {kept}"
        lonely = [topic for topic, node in self.nodes.items() if not (node.into or node.out)]
        assert not lonely, f"nodes without an edge: {lonely}"
        assert all(topic == node.name for topic, node in self.nodes.items()), "a node bears another's name"
        births = [node.born for node in self.nodes.values()]
        assert births == sorted(set(births)), f"births do not rise along the nodes: {births}"


def in_order(owners: Iterable[Owner]) -> list[Owner]:
    """Owners in the order of all lists of them: the persistent one, then sessions by id. Cost: O(n log n)."""
    return sorted(owners, key=lambda owner: owner or 0)


def _first(pair: tuple[int, Any]) -> int:
    return pair[0]


def _pairs(notes: list[str]) -> Iterator[EdgeKey]:
    each = iter(notes)
    return zip(each, each, strict=True)


def _as_set(owners: Any) -> frozenset[Owner]:
    return frozenset(owners) if type(owners) is set else frozenset((owners,))


def _add_owner(out: dict[str, Any], to_topic: str, owner: Owner) -> None:
    owners = out[to_topic]
    if type(owners) is not set:
        owners = out[to_topic] = {owners}
    if owner in owners:
        raise KeyError(f"{owner} holds the edge already")
    owners.add(owner)


def _without(owners: Any, owner: Owner) -> Any:
    """Several owners without one of them; a single one that is left stands for itself again."""
    if type(owners) is not set or owner not in owners:
        raise KeyError(f"{owner} does not hold the edge; {owners} do")
    owners.discard(owner)
    return owners.pop() if len(owners) == 1 else owners
