"""The live cycle test: a directed acyclic graph that is asked before every connect.

The idea: all nodes stand in a topological order, each before those that it leads to. An edge that agrees with the
order can close no cycle, and one comparison of labels shows that (``order``). An edge a -> b against the order, where
b stands before a, closes a cycle exactly if b leads to a. That is searched from both ends at once, and only among the
nodes between the two, in their order: forward from b the earliest next, backward from a the latest next. Where the
searches meet, there is a cycle; where they pass each other, there is none, and only the nodes that they have seen
have to move for the order to hold again. Each turn goes to the side with less work before it, so that the cheaper of
the two searches sets the cost.

Sources:

* the ordered two-way search, and how the order is put right after it: B. Haeupler, T. Kavitha, R. Mathew,
  S. Sen, R. E. Tarjan, "Incremental Cycle Detection, Topological Ordering, and Strong Component Maintenance",
  ACM Transactions on Algorithms 8(1), 2012. See also M. A. Bender, J. T. Fineman, S. Gilbert, R. E. Tarjan,
  "A New Approach to Incremental Cycle Detection and Related Problems", the same journal, 12(2), 2016.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, KeysView, Set
from heapq import heappop, heappush
from typing import Self

from ezmsg.ledger.errors import CycleError
from ezmsg.ledger.projections.graph.topological_order import Node, Order, require
from ezmsg.ledger.wording import count

__all__ = ["DAG"]

_NOTHING: frozenset[str] = frozenset()


class DAG:
    """A directed acyclic graph of topics, without owners. A node exists while it has an edge.

    Adding an edge costs O(1) when it agrees with the order in which the nodes stand; otherwise its cost grows
    with the part of the graph between its two ends. While nothing is removed, m additions cost
    O(sqrt(m) log m) each on average, in whatever order they come (Haeupler et al. 2012); with removals among
    them no such bound is known. Removing an edge costs O(1).

    >>> from ezmsg.ledger.projections import DAG
    >>> dag = DAG()
    >>> dag.add("B", "C"), dag.add("A", "B"), dag.add("A", "B")
    (True, True, False)
    >>> dag.path("A", "C")
    ('A', 'B', 'C')
    >>> dag.add("C", "A")
    Traceback (most recent call last):
        ...
    ezmsg.ledger.errors.CycleError: C -> A would close a cycle: A -> B -> C -> A
    """

    def __init__(self) -> None:
        self._nodes: dict[str, Node] = {}  # in order of first appearance, which is ezmsg's order
        self._edge_count = 0
        self._mark = 0
        self._order = Order()

    # --- changing it ----------------------------------------------------------------------------------------

    def add(self, a: str, b: str) -> bool:
        """Let ``a`` lead to ``b``; True when the edge is new, False when it was there already (O(1)).

        Raises CycleError, and changes nothing, when ``b`` leads to ``a`` already; its path is a shortest one
        from ``b`` to ``a``, or ``(a,)`` when they are the same node. For the cost see the class.
        """
        nodes = self._nodes
        source = nodes.get(a)
        if source is not None and b in source.succ:
            return False
        if a == b:
            raise CycleError(a, b, (a,))
        target = nodes.get(b)
        if source is None:
            source = nodes[a] = Node(a)
            if target is None:
                target = nodes[b] = Node(b)
                self._order.insert([source, target], self._order.end)
            else:
                self._order.insert([source], self._order.end.next)
        elif target is None:
            target = nodes[b] = Node(b)
            self._order.insert([target], self._order.end)
        elif source.label > target.label:
            self._reorder(source, target)
        source.succ[b] = target
        target.pred[a] = source
        self._edge_count += 1
        return True

    def remove(self, a: str, b: str) -> bool:
        """Take the edge out; False when there is none. A node left without any edge disappears. O(1).

        The order of the others stays as it is: it suits every subset of the edges.
        """
        source = self._nodes.get(a)
        target = source.succ.pop(b, None) if source is not None else None
        if source is None or target is None:
            return False
        del target.pred[a]
        self._edge_count -= 1
        for node in (source, target):
            if not node.succ and not node.pred:
                del self._nodes[node.name]
                self._order.remove(node)
        return True

    def copy(self) -> Self:
        """An equal graph that shares nothing with this one, in the same orders. O(n + m)."""
        twin = type(self)()
        twins = twin._nodes = {name: Node(name) for name in self._nodes}
        for name, node in self._nodes.items():
            other = twins[name]
            other.label = node.label
            other.succ = {successor: twins[successor] for successor in node.succ}
            other.pred = {predecessor: twins[predecessor] for predecessor in node.pred}
        last = end = twin._order.end
        for node in self._order:
            other = twins[node.name]
            last.next, other.prev = other, last
            last = other
        last.next, end.prev = end, last
        twin._edge_count = self._edge_count
        return twin

    __copy__ = copy

    def __deepcopy__(self, memo: dict[int, object]) -> Self:
        # The default would walk node by node along the links and exceed the recursion limit.
        return self.copy()

    # --- asking it ------------------------------------------------------------------------------------------

    def __contains__(self, edge: tuple[str, str]) -> bool:
        a, b = edge
        node = self._nodes.get(a)
        return node is not None and b in node.succ

    def __len__(self) -> int:
        """The number of edges. O(1)."""
        return self._edge_count

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {count(len(self._nodes), 'node')}, {count(self._edge_count, 'edge')}>"

    @property
    def nodes(self) -> KeysView[str]:
        """Every node, as a live view in ezmsg's order. O(1).

        That is the order of first appearance in an edge, source before target; a node that disappeared and
        returns goes to the end.
        """
        return self._nodes.keys()

    def edges(self) -> Iterator[tuple[str, str]]:
        """Every edge, by its source in the order of ``nodes``, then in the order of addition. O(m) in all."""
        for name, node in self._nodes.items():
            for successor in node.succ:
                yield name, successor

    def successors(self, node: str) -> Set[str]:
        """The nodes that ``node`` leads to directly, in the order of addition; none if it is unknown. O(1).

        This is a read-only view of the live graph: copy it to keep it, or to change the graph while looping.
        """
        known = self._nodes.get(node)
        return known.succ.keys() if known is not None else _NOTHING

    def predecessors(self, node: str) -> Set[str]:
        """The nodes that lead to ``node`` directly: a view as in ``successors``. O(1)."""
        known = self._nodes.get(node)
        return known.pred.keys() if known is not None else _NOTHING

    def downstream(self, node: str) -> set[str]:
        """``node``, known or not, and all that it leads to. Costs O(the edges that leave the result)."""
        return self._reach(node, self.successors)

    def upstream(self, node: str) -> set[str]:
        """``node``, known or not, and all that lead to it. Costs O(the edges that enter the result)."""
        return self._reach(node, self.predecessors)

    @staticmethod
    def _reach(node: str, neighbours: Callable[[str], Set[str]]) -> set[str]:
        seen = {node}
        queue = [node]
        for name in queue:  # grows while it is walked
            for neighbour in neighbours(name):
                if neighbour not in seen:
                    seen.add(neighbour)
                    queue.append(neighbour)
        return seen

    def path(self, a: str, b: str) -> tuple[str, ...] | None:
        """A shortest path from ``a`` to ``b``, both included; None when there is none.

        From any node to itself, known or not, it is ``(a,)``.
        Costs O(1) when ``b`` stands before ``a``, else at most O(the edges between them in the order).
        """
        if a == b:
            return (a,)
        start, goal = self._nodes.get(a), self._nodes.get(b)
        if start is None or goal is None:
            return None
        limit = goal.label
        came_from = {start: start}
        queue = [start]
        for node in queue:  # grows while it is walked
            for neighbour in node.succ.values():
                if neighbour.label <= limit and neighbour not in came_from:
                    came_from[neighbour] = node
                    queue.append(neighbour)
            if goal in came_from:
                way = [goal]
                while way[-1] is not start:
                    way.append(came_from[way[-1]])
                return tuple(step.name for step in reversed(way))
        return None

    # --- the order ------------------------------------------------------------------------------------------

    def _reorder(self, source: Node, target: Node) -> None:
        """Move nodes so that ``source`` stands before ``target``, or raise CycleError and move none."""
        if not target.succ:  # nothing need follow it, and at the far end it uses up no room between others
            moved, before = [target], self._order.end
        elif not source.pred:
            moved, before = [source], self._order.end.next
        else:
            moved, before = self._search(source, target)
        for node in moved:
            self._order.remove(node)
        self._order.insert(moved, before)

    def _search(self, source: Node, target: Node) -> tuple[list[Node], Node]:
        """The nodes that must move, in their new order, and the one to put them before.

        Forward from the target the earliest node is looked at next, backward from the source the latest, so
        that the two close in on each other: plain searches can be made to look at the same nodes again and
        again. Each turn goes to the side that will have followed fewer edges after it, so that a hub on one
        side costs no more than the other side does. Raises CycleError when the two meet.
        """
        lowest, highest = target.label, source.label
        ahead = self._mark + 1
        behind = self._mark = ahead + 1
        target.mark, source.mark = ahead, behind
        # Labels differ, so the heaps never compare nodes.
        frontier, rear = [(lowest, target)], [(-highest, source)]
        passed: list[Node] = []  # ascending; all of them follow the target
        met: list[Node] = []  # descending; all of them lead to the source
        ahead_edges, behind_edges = len(target.succ), len(source.pred)
        while True:
            if ahead_edges <= behind_edges:
                node = heappop(frontier)[1]
                passed.append(node)
                for neighbour in node.succ.values():
                    label = neighbour.label
                    if label <= highest:
                        mark = neighbour.mark
                        if mark != ahead:
                            if mark == behind:
                                raise self._cycle(source, target)
                            neighbour.mark = ahead
                            heappush(frontier, (label, neighbour))
                if not frontier:  # nothing else between the two follows the target
                    return passed, source.next
                ahead_edges += len(frontier[0][1].succ) + 1
            else:
                node = heappop(rear)[1]
                met.append(node)
                for neighbour in node.pred.values():
                    label = neighbour.label
                    if label >= lowest:
                        mark = neighbour.mark
                        if mark != behind:
                            if mark == ahead:
                                raise self._cycle(source, target)
                            neighbour.mark = behind
                            heappush(rear, (-label, neighbour))
                if not rear:
                    break
                behind_edges += len(rear[0][1].pred) + 1
            if frontier[0][0] > -rear[0][0]:
                break
        # The frontier may stay where it is if all that must precede it is put right before it: first what
        # leads to the source, then the target and what follows it, each in the old order.
        limit, before = frontier[0]
        moved = [node for node in reversed(met) if node.label > limit]
        moved += passed
        return moved, before

    def _cycle(self, source: Node, target: Node) -> CycleError:
        path = self.path(target.name, source.name)
        assert path is not None, "two searches met, but no path joins their ends: run check()"
        return CycleError(source.name, target.name, path)

    # --- its invariants -------------------------------------------------------------------------------------

    def check(self) -> None:
        """Raise AssertionError, saying what is broken, unless every invariant holds. O(n + m)."""
        self._check_adjacency()
        self._order.check(self._nodes)
        for a, b in self.edges():
            low, high = self._nodes[a].label, self._nodes[b].label
            require(low < high, f"edge {a} -> {b} goes down in the order: {low} to {high}")

    def _check_adjacency(self) -> None:
        count = 0
        for name, node in self._nodes.items():
            require(node.name == name, f"node {name} is named {node.name}")
            require(bool(node.succ or node.pred), f"node {name} has no edge")
            for other_name, other in node.succ.items():
                require(other is self._nodes.get(other_name), f"{name} leads to {other_name}, a stray node")
                require(other.pred.get(name) is node, f"{name} -> {other_name} lacks its way back")
            for other_name, other in node.pred.items():
                require(other is self._nodes.get(other_name), f"{name} follows {other_name}, a stray node")
                require(other.succ.get(name) is node, f"{other_name} -> {name} is known at its end only")
            count += len(node.succ)
        require(count == self._edge_count, f"{count} edges are there, {self._edge_count} were counted")
