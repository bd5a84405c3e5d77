"""The fold of edge events that writes lifetimes down as it goes.

The idea: a graph state gives its runs of edge events to its ``ownership``. The one here takes them in such a loop, too,
so that each event is looked at once, for the state and for its history; but an edge has, beside its owner, the row of
that one's hold, and an owner the rows of all its holds. A hold is a row at the end of five columns, and ends by one
write of its seq into ``hold.died``; nothing is ever moved. The other columns wait until a few thousand events are
folded, and are then made in loops of their own, over what came. A row names the hold before it on its edge, so that all
of an edge's are found from the last one on.
"""

from array import array
from collections.abc import Sequence
from itertools import chain, islice
from typing import Any

from ezmsg.ledger.events import EdgeConnected, EdgeDisconnected
from ezmsg.ledger.projections.graph.ownership import EdgeKey, Node, Owner, Ownership, Spelled, in_order
from ezmsg.ledger.projections.lifetimes.column import Column
from ezmsg.ledger.projections.lifetimes.columns import PERSISTENT
from ezmsg.ledger.projections.lifetimes.spans import OPEN
from ezmsg.ledger.projections.projection import contradiction

MANY = -1
"""The mark in the place of an edge's owner: the edge has several, whose rows stand in a dict."""


class HeldEdges(Ownership):
    """The owners of each edge, beside the columns of all holds that ever were. Applying one event costs O(1).

    It answers what a fold and a checkpoint ask for; other questions are for the columns. ``edge_places`` has the place
    of each edge that ever was by its topics, ``places`` that of each topic; ``last``, for each edge, the number of its
    last hold, from 1. ``seq`` is that of the event which releases.
    """

    __slots__ = (
        "_came",
        "_columns",
        "_growing",
        "_held",
        "_owners",
        "_row",
        "_seqs",
        "_texts",
        "_topics",
        "edge_places",
        "last",
        "places",
        "seq",
    )

    def __init__(self, columns: dict[str, Column], topics: list[str]) -> None:
        super().__init__()
        self.seq = 0
        self.edge_places: dict[str, dict[str, int]] = {}
        self.places = {topic: place for place, topic in enumerate(topics)}
        self.last = array("I", columns["edge.last"])
        self._columns = columns
        self._topics = topics
        self._growing = [columns[f"hold.{name}"] for name in ("born", "died", "edge", "owner", "before")]
        self._row = len(self._growing[0])
        self._held: dict[Owner, dict[int, EdgeKey]] = {None: {}}  # the edges of each owner's open holds, by their rows
        self._texts = {topic: topic for topic in topics}
        self._seqs: list[int] = []
        self._owners: list[Owner] = []
        self._came: list[EdgeKey] = []  # the events whose holds are not in the columns yet, but for their ends
        for place, (source, target) in enumerate(zip(columns["edge.from"], columns["edge.to"], strict=True)):
            self.edge_places.setdefault(topics[source], {})[topics[target]] = place

    def go_on(self, before: Ownership, rows: Sequence[int]) -> None:
        """Go on where ``before`` stands, whose holds have these ``rows``. Cost: O(state)."""
        self._take_nodes(before)
        columns, topics = self._columns, self._topics
        edges, owners = (columns[f"hold.{name}"].take(rows) for name in ("edge", "owner"))
        for row, edge, owner in zip(rows, edges, owners, strict=True):
            self._hold(topics[columns["edge.from"][edge]], topics[columns["edge.to"][edge]], owner or None, row)

    def begin(self, before: Ownership, seq: int) -> None:
        """Begin with what ``before`` holds: all of that counts as born with ``seq``. Cost: O(state)."""
        self._take_nodes(before)
        for edge, owners in before.edges():
            for owner in in_order(owners):
                self._hold(*edge, owner, self._row)
                self._row += 1
                self._growing[1].append(OPEN)
                self._came.append(edge)
                self._seqs.append(seq)
                self._owners.append(owner)
        self.settle()

    def _take_nodes(self, before: Ownership) -> None:
        self._held.update((owner, {}) for owner in before.known())
        for topic, node in before.nodes.items():
            self.nodes[topic] = Node(topic, node.born)

    def _hold(self, from_topic: str, to_topic: str, owner: Owner, row: int) -> None:
        node, target = self.nodes[from_topic], self.nodes[to_topic]
        if to_topic in node.out:
            _add_row(node.out, to_topic, owner, row)
        else:
            node.out[target.name] = (owner, row)
            target.into += 1
        self._held[owner][row] = node.name, target.name

    # --- folding -----------------------------------------------------------------------------------------------------

    def grow(self, events: Sequence[Any]) -> None:
        """Get ready to fold ``events``; ``settle`` is called after them."""
        ends = self._growing[1].grow()
        ends.extend(array("q", (OPEN,)) * list(map(type, events)).count(EdgeConnected))  # at once: that is faster

    def run(self, events: Sequence[Any], start: int, seq: int, changed: list[Any] | None) -> tuple[int, int]:
        """See ``Ownership.run``, which explains the loop; lifetimes do not ask for ``changed``."""
        nodes, held = self.nodes, self._held
        died = self._growing[1]
        intern = self._texts.setdefault
        ends, fixed, row = died.tail, died.fixed, self._row
        note, note_seq, note_owner = self._came.append, self._seqs.append, self._owners.append
        unchanged, first = 0, seq
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
                        from_topic = intern(from_topic, from_topic)
                        node = nodes[from_topic] = Node(from_topic, 2 * seq)
                    else:
                        from_topic = node.name
                    target = nodes.get(to_topic)
                    if target is None:
                        to_topic = intern(to_topic, to_topic)
                        target = nodes[to_topic] = Node(to_topic, 2 * seq + 1)
                    else:
                        to_topic = target.name
                    owner = event.owner
                    held[owner][row] = edge = (from_topic, to_topic)
                    out = node.out
                    if to_topic in out:
                        _add_row(out, to_topic, owner, row)
                        unchanged += 1
                    else:
                        out[to_topic] = (owner, row)
                        target.into += 1
                    row += 1
                    note(edge)
                    note_seq(seq)
                    note_owner(owner)
                elif cls is EdgeDisconnected:
                    seq += 1
                    if event.seq != seq:
                        seq -= 1
                        break
                    from_topic = event.from_topic
                    to_topic = event.to_topic
                    node = nodes[from_topic]
                    out = node.out
                    owner, ended = out.pop(to_topic)
                    if owner != event.owner:
                        out[to_topic], ended = _without((owner, ended), event.owner)
                        unchanged += 1
                    else:
                        if not (out or node.into):
                            del nodes[from_topic]
                        target = nodes[to_topic]
                        target.into -= 1
                        if not (target.into or target.out):
                            del nodes[to_topic]
                    del held[event.owner][ended]
                    if ended >= fixed:
                        ends[ended - fixed] = seq
                    else:
                        died[ended] = seq
                else:
                    break
        except KeyError as error:
            raise contradiction(seq, error) from error
        self._row = row
        return seq, seq - first - unchanged

    def settle(self) -> None:
        """Bring the columns up to date."""
        came = self._came
        if came:
            born, _, edge, owner, before = self._growing
            places, last, rows = self.edge_places, self.last, []
            found = []
            number = self._row - len(came)
            for from_topic, to_topic in came:
                try:  # most have been before
                    place = places[from_topic][to_topic]
                except KeyError:
                    place = self._new_edge(from_topic, to_topic)
                found.append(place)
                rows.append(last[place])
                number += 1
                last[place] = number
            born.grow().extend(self._seqs)
            edge.grow().extend(found)
            owner.grow().extend([each or PERSISTENT for each in self._owners])
            before.grow().extend(rows)
            came.clear()
            self._seqs.clear()
            self._owners.clear()
        for column in self._growing:
            column.settle()

    def _new_edge(self, from_topic: str, to_topic: str) -> int:
        place = len(self.last)
        self._columns["edge.from"].append(self._place_of(from_topic))
        target = self._place_of(to_topic)
        self._columns["edge.to"].append(target)
        self.last.append(0)
        own = self._topics[target]  # one text for all edges that lead there: it stays in the processor's cache
        self.edge_places.setdefault(from_topic, {})[own] = place
        return place

    def _place_of(self, topic: str) -> int:
        place = self.places.get(topic)
        if place is None:
            place = self.places[topic] = len(self._topics)
            self._topics.append(topic)
        return place

    def open(self, owner: Owner) -> None:
        """See ``Ownership.open``."""
        self._held[owner] = {}

    def close(self, owner: Owner) -> None:
        """See ``Ownership.close``."""
        del self._held[owner]

    def release(self, owner: Owner) -> list[EdgeKey]:
        """See ``Ownership.release``. Cost: O(what it holds)."""
        nodes, died = self.nodes, self._growing[1]
        vanished = []
        for row, edge in self._held[owner].items():
            died[row] = self.seq
            from_topic, to_topic = edge
            node = nodes[from_topic]
            out = node.out
            if out[to_topic][0] == MANY:
                out[to_topic], _ = _without(out[to_topic], owner)
                continue
            del out[to_topic]
            vanished.append(edge)
            if not (out or node.into):
                del nodes[from_topic]
            target = nodes[to_topic]
            target.into -= 1
            if not (target.into or target.out):
                del nodes[to_topic]
        self._held[owner] = {}
        return vanished

    # --- what stands -------------------------------------------------------------------------------------------------

    def rows(self) -> list[int]:
        """The rows of all open holds, in order. Cost: O(n log n)."""
        return sorted(chain.from_iterable(self._held.values()))

    def spelled(self) -> Spelled:
        """See ``Ownership.spelled``."""
        places = {topic: place for place, topic in enumerate(self.nodes)}
        edges = [
            (place, places[topic], in_order(row) if owner == MANY else [owner])
            for place, node in enumerate(self.nodes.values())
            for topic, (owner, row) in node.out.items()
        ]
        edges.sort()
        return [(topic, node.born) for topic, node in self.nodes.items()], edges


def _add_row(out: dict[str, Any], to_topic: str, owner: Owner, row: int) -> None:
    other, others = out[to_topic]
    if other != MANY:
        others = {other: others}
        out[to_topic] = (MANY, others)
    if owner in others:
        raise KeyError(f"{owner} holds the edge already")
    others[owner] = row


def _without(held_by: tuple[Owner, Any], owner: Owner) -> tuple[tuple[Owner, Any], int]:
    """The owners that are left of several when one goes, and the row of that one; a single one stands for itself."""
    other, rows = held_by
    if other != MANY or owner not in rows:
        raise KeyError(f"{owner} does not hold the edge; {other} does")
    ended: int = rows.pop(owner)
    return (next(iter(rows.items())) if len(rows) == 1 else held_by), ended
