"""A list of nodes whose order is told by comparing two integers: where the cycle test keeps its topological order.

The idea: the nodes are linked to a ring, and each has an integer label that rises along it, so that of two nodes the
one with the lower label stands first. A node that comes between two others takes a label from the gap between theirs.
When there is none left, the labels of a short stretch of nodes are spread evenly, and the gaps are there again. A new
node at either end needs no gap at all.

Source: P. F. Dietz, D. D. Sleator, "Two Algorithms for Maintaining Order in a List", STOC 1987.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar


class Node:
    """A node of the cycle test, with its place in the order and its neighbours by name.

    Objects that point at each other were measured against dicts keyed by name (up to a half slower) and lists
    indexed by int (a tenth slower); and these adjacency dicts double as the views handed to callers.
    """

    __slots__ = ("label", "mark", "name", "next", "pred", "prev", "succ")

    label: int  # strictly increasing along the order
    prev: Node
    next: Node

    def __init__(self, name: str) -> None:
        self.name = name
        self.mark = 0  # the search that saw this node last, and from which end
        self.succ: dict[str, Node] = {}
        self.pred: dict[str, Node] = {}


class Order:
    """Nodes in their order. ``end`` closes the ring, so that no neighbour is ever missing: it is before and after all.

    Inserting a node costs O(log n) on average, wherever that is; taking one out O(1).
    """

    # Room between neighbours at either end. Each insertion at one place halves what is left there, so labels are
    # spread anew after 32 of them. That stays cheap while this exceeds the number of nodes.
    gap: ClassVar[int] = 1 << 32

    def __init__(self) -> None:
        end = self.end = Node("")
        end.label = 0  # where the labels of an empty order begin
        end.prev = end.next = end

    def __iter__(self) -> Iterator[Node]:
        node = self.end.next
        while node is not self.end:
            yield node
            node = node.next

    def remove(self, node: Node) -> None:
        """Take ``node`` out. The others keep their labels."""
        node.prev.next, node.next.prev = node.next, node.prev

    def insert(self, nodes: list[Node], before: Node) -> None:
        """Put ``nodes``, which are not in the order, right before ``before``."""
        end = self.end
        last = before.prev
        step = self.gap
        low = last.label
        if before is not end:
            if last is end:
                low = before.label - step * (len(nodes) + 1)
            else:
                step = (before.label - low) // (len(nodes) + 1) or self._spread(low, before, len(nodes))
        label = low
        for node in nodes:
            label += step
            node.label = label
            node.prev = last
            last.next = node
            last = node
        last.next = before
        before.prev = last

    def _spread(self, low: int, first: Node, room: int) -> int:
        """Make room for ``room`` labels between ``low`` and that of ``first``; the step at which to set them.

        Labels are spread evenly over the shortest stretch that is longer than the square of the nodes in it
        (Dietz and Sleator 1987): O(log n) for each node inserted, on average, even if all come to one place.
        """
        end = self.end
        crowded = [first]
        count = room + 1
        follower = first.next
        step = self.gap
        while follower is not end:
            width = follower.label - low
            if width > count * count:
                step = width // (count + 1)
                break
            crowded.append(follower)
            count += 1
            follower = follower.next
        label = low + step * room
        for node in crowded:
            label += step
            node.label = label
        return step

    def check(self, nodes: Mapping[str, Node]) -> None:
        """Raise AssertionError unless exactly ``nodes`` are linked, both ways, with labels that rise. O(n)."""
        last = self.end
        place = 0
        for node in self:
            name = node.name
            require(nodes.get(name) is node, f"{name} is in the order, but not among the nodes")
            require(node.prev is last, f"{name} stands after {last.name!r}, not {node.prev.name!r}")
            if place:
                order = f"{last.name} ({last.label}), {name} ({node.label})"
                require(last.label < node.label, f"labels do not increase: {order}")
            place += 1
            last = node
        require(self.end.prev is last, f"the last node is {last.name!r}, not {self.end.prev.name!r}")
        require(place == len(nodes), f"{place} nodes are in the order, {len(nodes)} are known")


def require(holds: bool, broken: str) -> None:
    """Raise AssertionError with the text ``broken`` unless ``holds``: with `python -O`, too."""
    if not holds:
        raise AssertionError(broken)
