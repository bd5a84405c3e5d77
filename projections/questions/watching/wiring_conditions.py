"""The facts of a predicate that edges decide: that one is there, or a path; how many edges or topics there are.

The idea: edges are nearly all of a long ledger. So a condition goes through a run of their events by itself, in a loop
that costs a few look-ups for each, and keeps just the table that its own question needs: no graph state is told of
edges. What each owner holds stands there by owner, so that it can go when the owner does.
"""

from __future__ import annotations

from abc import abstractmethod
from collections import defaultdict, deque
from collections.abc import Iterator
from secrets import token_hex
from typing import Any, TypeAlias

from ezmsg.ledger import events as ev
from ezmsg.ledger.projections.graph.ownership import EdgeKey, Owner
from ezmsg.ledger.projections.graph.state import GraphState
from ezmsg.ledger.projections.questions import predicates as pr
from ezmsg.ledger.projections.questions.value_comparison import ORDERS
from ezmsg.ledger.projections.questions.watching.condition import RUN_ENDS, Condition

Run: TypeAlias = tuple[list[Any], Any]
"""The edge events of a run with which a fact turned, in order; and the event of another type that ended it, or None."""


class WiringCondition(Condition):
    """A fact that edges decide. ``_held``: what it has to know of the edges of each owner, by owner."""

    types = (ev.SessionCleared, ev.SessionClosed, ev.GraphCleared, *RUN_ENDS)  # with these go edges they do not name

    def __init__(self) -> None:
        self._held: defaultdict[Owner, Any] = defaultdict(set)

    @abstractmethod
    def take(self, events: Iterator[Any]) -> Run:
        """Go on over edge events, up to the first of another type, which is taken from ``events`` as well.

        ``now`` stays as it was before: the caller turns it while it goes through what is returned. Raises KeyError when
        an event contradicts those before it. An event costs O(1) but where it says otherwise.
        """

    @abstractmethod
    def put(self, edge: EdgeKey, owner: Owner) -> None:
        """Begin with an edge that is held already."""

    def drop(self, owner: Owner) -> None:
        """Take out all that an owner holds. Cost: O(that)."""
        self._held.pop(owner, None)

    def is_so(self) -> bool:
        """Whether the fact is so, by all that is held."""
        return bool(self._held)

    def look(self, event: Any, state: GraphState) -> None:
        if event is None:
            for edge, owners in state.ownership.edges():
                for owner in owners:
                    self.put(edge, owner)
        elif type(event) is ev.GraphCleared:
            self.drop(None)
        elif type(event) in RUN_ENDS:
            for owner in [owner for owner in self._held if owner is not None]:
                self.drop(owner)
        else:
            self.drop(event.session)
        self.now = self.is_so()


class EdgeCondition(WiringCondition):
    """An edge is there: somebody holds it."""

    def __init__(self, fact: pr.Edge) -> None:
        super().__init__()
        self._edge = (fact.from_topic, fact.to_topic)

    def take(self, events: Iterator[Any]) -> Run:
        connected, disconnected = ev.EdgeConnected, ev.EdgeDisconnected
        from_topic, to_topic = self._edge
        turns = []
        for event in events:
            if type(event) is connected or type(event) is disconnected:
                if event.to_topic == to_topic and event.from_topic == from_topic and _changes(self._held, event):
                    turns.append(event)
            else:
                return turns, event
        return turns, None

    def put(self, edge: EdgeKey, owner: Owner) -> None:
        if edge == self._edge:
            self._held[owner].add(edge)


class TopicCondition(WiringCondition):
    """An edge touches a topic."""

    def __init__(self, fact: pr.There) -> None:
        super().__init__()
        self._topic = fact.name

    def take(self, events: Iterator[Any]) -> Run:
        connected, disconnected = ev.EdgeConnected, ev.EdgeDisconnected
        topic, turns = self._topic, []
        for event in events:
            if type(event) is connected or type(event) is disconnected:
                if (event.to_topic == topic or event.from_topic == topic) and _changes(self._held, event):
                    turns.append(event)
            else:
                return turns, event
        return turns, None

    def put(self, edge: EdgeKey, owner: Owner) -> None:
        if self._topic in edge:
            self._held[owner].add(edge)


def _changes(held: defaultdict[Owner, set[EdgeKey]], event: Any) -> bool:
    """Take an edge event in; whether with it somebody came to hold something, or nobody does any longer."""
    edge, before = (event.from_topic, event.to_topic), bool(held)
    if type(event) is ev.EdgeConnected:
        held[event.owner].add(edge)
    else:
        held[event.owner].remove(edge)
        if not held[event.owner]:
            del held[event.owner]
    return bool(held) is not before


class PathCondition(WiringCondition):
    """Edges lead from one topic to another. ``_held``: where each owner's edges lead to, by topic: mostly to one other,
    which stands there by itself, else to those in a set.

    While they do, only the edges of one way matter. While they do not, only an edge that leaves what was reached, for a
    place that was not; an edge that went is not followed up, so that what was reached may be too much: then a search
    tells, and begins it anew. Each search changes the answer or what was reached. Cost: O(1) for any other event,
    O(what is newly reached) for such an edge, O(edges that the first topic reaches) for a search; each O(owners) for
    a topic.
    """

    def __init__(self, fact: pr.Reaches) -> None:
        self._held: defaultdict[Owner, dict[str, Any]] = defaultdict(dict)
        self._from, self._to = fact.from_topic, fact.to_topic
        self._reached = {self._from}
        self._way: dict[str, str] = {}

    def take(self, events: Iterator[Any]) -> Run:
        connected, disconnected, held = ev.EdgeConnected, ev.EdgeDisconnected, self._held
        turns: list[Any] = []
        reached, way = self._reached, self._way
        for event in events:
            if type(event) is connected:
                from_topic, to_topic = event.from_topic, event.to_topic
                mine = held[event.owner]
                if from_topic not in mine:
                    mine[from_topic] = to_topic
                elif type(mine[from_topic]) is set:
                    mine[from_topic].add(to_topic)
                else:
                    mine[from_topic] = {mine[from_topic], to_topic}
                if way or from_topic not in reached or to_topic in reached or not self._extend(to_topic):
                    continue
                before = False
            elif type(event) is disconnected:
                from_topic, to_topic = event.from_topic, event.to_topic
                mine = held[event.owner]
                there = mine.pop(from_topic)
                if there != to_topic:
                    mine[from_topic] = _without(there, to_topic)
                if from_topic not in way or way[from_topic] != to_topic or to_topic in self._out(from_topic):
                    continue
                before = True
            else:
                return turns, event
            self._search()
            reached, way = self._reached, self._way
            if bool(way) is not before:
                turns.append(event)
        return turns, None

    def put(self, edge: EdgeKey, owner: Owner) -> None:
        there = self._held[owner].setdefault(edge[0], edge[1])
        if there != edge[1]:
            self._held[owner][edge[0]] = {edge[1], *([there] if type(there) is str else there)}

    def look(self, event: Any, state: GraphState) -> None:
        super().look(event, state)
        if event is None or any(there not in self._out(here) for here, there in self._way.items()):
            self._search()
        self.now = bool(self._way)

    def _out(self, topic: str) -> set[str]:
        """The topics to which the edges of one lead."""
        found: set[str] = set()
        for mine in self._held.values():
            if topic in mine:
                there = mine[topic]
                found.update((there,) if type(there) is str else there)
        return found

    def _extend(self, topic: str) -> bool:
        """Add what a topic reaches; whether the goal is among it."""
        self._reached.add(topic)
        waiting = [topic]
        while waiting:
            new = self._out(waiting.pop()) - self._reached
            self._reached |= new
            waiting += new
        return self._to in self._reached

    def _search(self) -> None:
        came = {self._from: self._from}
        waiting = deque([self._from])
        self._way = {}
        while waiting and not self._way:
            here = waiting.popleft()
            for there in self._out(here):
                if there == self._to:
                    self._way = _way(came, here, there)
                    break
                if there not in came:
                    came[there] = here
                    waiting.append(there)
        self._reached = set(came)


def _without(topics: set[str], topic: str) -> str | set[str]:
    """Several topics but one of them. Raises KeyError when it is not among them."""
    if type(topics) is not set:
        raise KeyError(topic)
    topics.remove(topic)
    return topics if len(topics) > 1 else topics.pop()


def _way(came: dict[str, str], here: str, there: str) -> dict[str, str]:
    way = {here: there}
    while came[here] != here:
        way[came[here]] = here
        here = came[here]
    return way


class EdgeCount(WiringCondition):
    """The number of edges compares so. ``_held``: the edges of each owner; ``_owners``: by edge, how many hold it.

    An edge is both topics in one text, with something between them that stands in no topic, for it is drawn by lot. A
    pair of texts takes twice as long: it is hashed again at each look-up.
    """

    def __init__(self, fact: pr.Count) -> None:
        super().__init__()
        self._compare, self._limit = ORDERS[fact.sign], fact.number
        self._owners: dict[str, int] = {}
        self._between = token_hex(8)

    def take(self, events: Iterator[Any]) -> Run:
        connected, disconnected, held = ev.EdgeConnected, ev.EdgeDisconnected, self._held
        owners, between = self._owners, self._between
        turns: list[Any] = []
        compare, limit, now = self._compare, self._limit, self.now
        for event in events:
            if type(event) is connected:
                edge = f"{event.from_topic}{between}{event.to_topic}"
                held[event.owner].add(edge)
                if edge in owners:
                    owners[edge] += 1
                    continue
                owners[edge] = 1
            elif type(event) is disconnected:
                edge = f"{event.from_topic}{between}{event.to_topic}"
                held[event.owner].remove(edge)
                if owners[edge] > 1:
                    owners[edge] -= 1
                    continue
                del owners[edge]
            else:
                return turns, event
            if compare(len(owners), limit) is not now:
                now = not now
                turns.append(event)
        return turns, None

    def put(self, edge: EdgeKey, owner: Owner) -> None:
        key = self._between.join(edge)
        self._held[owner].add(key)
        self._owners[key] = self._owners.get(key, 0) + 1

    def drop(self, owner: Owner) -> None:
        for edge in self._held.pop(owner, ()):
            _less(self._owners, edge)

    def is_so(self) -> bool:
        return self._compare(len(self._owners), self._limit)


class TopicCount(WiringCondition):
    """The number of topics compares so. ``_held``: the edges of each owner; ``_ends``: how many of these touch a topic.

    An edge that several hold counts as often.
    """

    def __init__(self, fact: pr.Count) -> None:
        super().__init__()
        self._compare, self._limit = ORDERS[fact.sign], fact.number
        self._ends: defaultdict[str, int] = defaultdict(int)

    def take(self, events: Iterator[Any]) -> Run:
        connected, disconnected, held, ends = ev.EdgeConnected, ev.EdgeDisconnected, self._held, self._ends
        turns: list[Any] = []
        compare, limit, now = self._compare, self._limit, self.now
        before = len(ends)
        for event in events:
            if type(event) is connected:
                edge = from_topic, to_topic = event.from_topic, event.to_topic
                held[event.owner].add(edge)
                ends[from_topic] += 1
                ends[to_topic] += 1
            elif type(event) is disconnected:
                edge = from_topic, to_topic = event.from_topic, event.to_topic
                held[event.owner].remove(edge)
                for topic in edge:
                    number = ends[topic] - 1
                    if number:
                        ends[topic] = number
                    else:
                        del ends[topic]
            else:
                return turns, event
            if len(ends) != before:
                before = len(ends)
                if compare(before, limit) is not now:
                    now = not now
                    turns.append(event)
        return turns, None

    def put(self, edge: EdgeKey, owner: Owner) -> None:
        self._held[owner].add(edge)
        for topic in edge:
            self._ends[topic] += 1

    def drop(self, owner: Owner) -> None:
        for edge in self._held.pop(owner, ()):
            for topic in edge:
                _less(self._ends, topic)

    def is_so(self) -> bool:
        return self._compare(len(self._ends), self._limit)


def _less(numbers: dict[str, int], key: str) -> None:
    number = numbers[key] - 1
    if number:
        numbers[key] = number
    else:
        del numbers[key]
