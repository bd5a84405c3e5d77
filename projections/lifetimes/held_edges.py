"""The fold of edge events that writes lifetimes down as it goes.

The idea: a graph state gives its runs of edge events to its ``ownership``. The one here takes them in such a loop, too,
so that each event is looked at once, for the state and for its history; but an edge has, in the place of its owner, the
row of the open hold, and an owner the rows of all its holds. The loop touches only what stands, which is little
and stays in the processor's cache; it notes which holds came, and which ended. Of a few thousand events the columns are
then made as whole arrays. A row names the hold before it on its edge, so that all of an edge's are found from the last
one on, and says whether the edge was held when it came: what was before a hold that found its edge free was over then.
"""

from array import array
from collections.abc import Sequence
from itertools import chain, islice, repeat
from typing import Any

from ezmsg.ledger.events import EdgeConnected, EdgeDisconnected
from ezmsg.ledger.projections.graph.ownership import EdgeKey, Node, Owner, Ownership, Spelled, in_order
from ezmsg.ledger.projections.lifetimes.column import Column
from ezmsg.ledger.projections.lifetimes.columns import PERSISTENT
from ezmsg.ledger.projections.lifetimes.spans import OPEN
from ezmsg.ledger.projections.projection import contradiction

SEVERAL = -1
"""The mark in the place of an edge's hold: the edge has several, which stand in a dict."""


class Held(dict[int, EdgeKey]):
    """The open holds of one owner: the edge by the row of the hold.

    ``most``: how many it had at once, up to its last disconnect; ``let_go``: how many the last release took away.
    """

    __slots__ = ("let_go", "most")

    def __init__(self, most: int = 0) -> None:
        super().__init__()
        self.most = most
        self.let_go = 0


class HeldEdges(Ownership):
    """The owners of each edge, beside the columns of all holds that ever were. Applying one event costs O(1).

    It answers what a fold and a checkpoint ask for; other questions are for the columns. ``edge_places`` has the place
    of each edge that ever was by its topics, ``places`` that of each topic; ``last``, for each edge, the number of its
    last hold, from 1. ``seq`` is that of the event which releases; ``ended`` has, for each owner that was closed, the
    number of holds that its last release took away, and the most that it had at once.
    """

    __slots__ = (
        "_came",
        "_columns",
        "_gone",
        "_growing",
        "_held",
        "_joined",
        "_row",
        "_several",
        "_texts",
        "_topics",
        "edge_places",
        "ended",
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
        self.ended: dict[Owner, tuple[int, int]] = {}
        self._columns = columns
        self._topics = topics
        self._growing = [columns[f"hold.{name}"] for name in ("born", "died", "edge", "owner", "before")]
        self._row = len(self._growing[0])
        self._held: dict[Owner, Held] = {None: Held()}
        self._several: dict[EdgeKey, list[int]] = {}  # the open holds of each edge that several hold
        self._texts = {topic: topic for topic in topics}
        self._came: list[Any] = []  # of each hold that is in no column yet: topics, owner, seq
        self._joined: list[int] = []  # the rows of those that did not find their edge free
        self._gone: list[int] = []  # of each end that is not: the row, and the seq
        for place, (source, target) in enumerate(zip(columns["edge.from"], columns["edge.to"], strict=True)):
            self.edge_places.setdefault(topics[source], {})[topics[target]] = place

    def go_on(self, before: Ownership, rows: Sequence[int]) -> None:
        """Go on where ``before`` stands, whose holds have these ``rows``. Cost: O(state)."""
        self._know(before)
        columns, topics = self._columns, self._topics
        edges, owners = (columns[f"hold.{name}"].take(rows) for name in ("edge", "owner"))
        for row, edge, owner in zip(rows, edges, owners, strict=True):
            source, target = topics[columns["edge.from"][edge]], topics[columns["edge.to"][edge]]
            self._hold(source, target, owner or None, row)
        self._joined.clear()  # the columns have these

    def begin(self, before: Ownership, seq: int) -> None:
        """Begin with what ``before`` holds: all of that counts as born with ``seq``. Cost: O(state)."""
        self._know(before)
        for edge, owners in before.edges():
            for owner in in_order(owners):
                self._hold(*edge, owner, self._row)
                self._came += (*edge, owner or PERSISTENT, seq)
                self._row += 1
        self.settle()

    def _know(self, before: Ownership) -> None:
        self._held.update((owner, Held()) for owner in before.known())
        for topic, node in before.nodes.items():
            self.nodes[topic] = Node(topic, node.born)

    def _hold(self, from_topic: str, to_topic: str, owner: Owner, row: int) -> None:
        node, target = self.nodes[from_topic], self.nodes[to_topic]
        mine, edge = self._held[owner], (node.name, target.name)
        if target.name in node.out:
            self._join(node.out, edge, row, mine)
        else:
            node.out[target.name] = row
            target.into += 1
        mine[row] = edge

    # --- folding -----------------------------------------------------------------------------------------------------

    def run(self, events: Sequence[Any], start: int, seq: int, changed: list[Any] | None) -> tuple[int, int]:
        """See ``Ownership.run``, which explains the loop; lifetimes do not ask for ``changed``."""
        nodes, held = self.nodes, self._held
        came, gone, row = self._came, self._gone, self._row
        intern = self._texts.setdefault
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
                    mine = held[owner]
                    out = node.out
                    edge = (from_topic, to_topic)
                    if to_topic in out:
                        self._join(out, edge, row, mine)
                        unchanged += 1
                    else:
                        out[to_topic] = row
                        target.into += 1
                    mine[row] = edge
                    row += 1
                    came += (from_topic, to_topic, owner or PERSISTENT, seq)
                elif cls is EdgeDisconnected:
                    seq += 1
                    if event.seq != seq:
                        seq -= 1
                        break
                    from_topic = event.from_topic
                    to_topic = event.to_topic
                    node = nodes[from_topic]
                    out = node.out
                    mine = held[event.owner]
                    if len(mine) > mine.most:  # it never has more than before it lets one go
                        mine.most = len(mine)
                    ended = out.pop(to_topic)
                    if ended >= 0:
                        if not (out or node.into):
                            del nodes[from_topic]
                        target = nodes[to_topic]
                        target.into -= 1
                        if not (target.into or target.out):
                            del nodes[to_topic]
                    else:
                        ended = self._leave(out, (from_topic, to_topic), mine)
                        unchanged += 1
                    del mine[ended]
                    gone += (ended, seq)
                else:
                    break
        except KeyError as error:
            raise contradiction(seq, error) from error
        self._row = row
        return seq, seq - first - unchanged

    def _join(self, out: dict[str, int], edge: EdgeKey, row: int, mine: Held) -> None:
        """Note that an edge, which is held, has one more hold, by the owner of ``mine``."""
        rows = self._several.setdefault(edge, [out[edge[1]]])
        if not mine.keys().isdisjoint(rows):
            raise KeyError("its owner holds the edge already")
        rows.append(row)
        out[edge[1]] = SEVERAL
        self._joined.append(row)

    def _leave(self, out: dict[str, int], edge: EdgeKey, mine: Held) -> int:
        """Note that one of several owners lets an edge go; the row of its hold, which is one of ``mine``."""
        rows = self._several[edge]
        row = next((each for each in rows if each in mine), None)
        if row is None:
            raise KeyError("its owner does not hold the edge; others do")
        rows.remove(row)
        out[edge[1]] = SEVERAL
        if len(rows) == 1:
            [out[edge[1]]] = self._several.pop(edge)
        return row

    def settle(self) -> None:
        """Bring the columns up to date."""
        came, gone = self._came, self._gone
        born, died, edge, owner, before = self._growing
        if came:
            known, last, places, befores = self.edge_places, self.last, [], []
            first = number = len(born)
            for from_topic, to_topic in zip(came[::4], came[1::4], strict=True):
                try:  # most have been before
                    place = known[from_topic][to_topic]
                except KeyError:
                    place = self._new_edge(from_topic, to_topic)
                places.append(place)
                befores.append(-last[place])
                number += 1
                last[place] = number
            for row in self._joined:
                befores[row - first] *= -1
            self._joined.clear()
            for column, rows in ((born, came[3::4]), (edge, places), (owner, came[2::4]), (before, befores)):
                column.grow().fromlist(rows)
            died.grow().extend(array("q", (OPEN,)) * len(places))
            came.clear()
        died.put(gone[::2], gone[1::2])
        gone.clear()
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
        self._held[owner] = Held()

    def close(self, owner: Owner) -> None:
        """See ``Ownership.close``."""
        held = self._held.pop(owner)
        self.ended[owner] = held.let_go, held.most

    def release(self, owner: Owner) -> list[EdgeKey]:
        """See ``Ownership.release``. Cost: O(what it holds)."""
        nodes, mine = self.nodes, self._held[owner]
        vanished = []
        for edge in mine.values():
            from_topic, to_topic = edge
            node = nodes[from_topic]
            out = node.out
            if out[to_topic] < 0:
                self._leave(out, edge, mine)
                continue
            del out[to_topic]
            vanished.append(edge)
            if not (out or node.into):
                del nodes[from_topic]
            target = nodes[to_topic]
            target.into -= 1
            if not (target.into or target.out):
                del nodes[to_topic]
        self._gone.extend(chain.from_iterable(zip(mine, repeat(self.seq))))
        left = self._held[owner] = Held(max(mine.most, len(mine)))
        left.let_go = len(mine)
        return vanished

    # --- what stands -------------------------------------------------------------------------------------------------

    def rows(self) -> list[int]:
        """The rows of all open holds, in order. Cost: O(n log n)."""
        return sorted(chain.from_iterable(self._held.values()))

    def holding(self, owner: Owner) -> tuple[int, int]:
        """The number of edges that an owner holds, and the most that it held at once."""
        held = self._held[owner]
        return len(held), max(len(held), held.most)

    def held_before(self, owner: Owner, most: int) -> None:
        """Note the most that an owner held at once, before this went on."""
        self._held[owner].most = most

    def spelled(self) -> Spelled:
        """See ``Ownership.spelled``."""
        places = {topic: place for place, topic in enumerate(self.nodes)}
        owners: dict[int, list[Owner]] = {}
        for owner, held in self._held.items():
            owners.update(zip(held, repeat([owner])))
        edges = [
            (place, places[topic], owners[row] if row >= 0 else self._owners_of((node.name, topic), owners))
            for place, node in enumerate(self.nodes.values())
            for topic, row in node.out.items()
        ]
        edges.sort()
        return [(topic, node.born) for topic, node in self.nodes.items()], edges

    def _owners_of(self, edge: EdgeKey, owners: dict[int, list[Owner]]) -> list[Owner]:
        return in_order(owner for row in self._several[edge] for owner in owners[row])
