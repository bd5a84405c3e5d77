"""The live cycle test: what it accepts, what it says when it refuses, and that its order always holds."""

import copy
import doctest
import random
from collections import deque
from collections.abc import Callable, Iterable
from itertools import pairwise
from math import log2
from typing import Any

import pytest
from ezmsg.core.dag import DAG as EzmsgDAG
from ezmsg.core.dag import CyclicException
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from ezmsg.ledger.errors import CycleError
from ezmsg.ledger.projections.graph import dag as dag_module
from ezmsg.ledger.projections.graph.dag import DAG
from ezmsg.ledger.projections.graph.topological_order import Order

Edge = tuple[str, str]


class CrowdedOrder(Order):
    """Without room between labels: every insertion between two nodes has to spread them."""

    gap = 1


class CrowdedDAG(DAG):
    def __init__(self) -> None:
        super().__init__()
        self._order = CrowdedOrder()


def built(edges: Iterable[Edge], kind: type[DAG] = DAG) -> DAG:
    dag = kind()
    for a, b in edges:
        dag.add(a, b)
    return dag


def facts(dag: DAG) -> object:
    """All that a caller can see, and the labels too."""
    labels = {name: node.label for name, node in dag._nodes.items()}
    adjacency = [(n, list(dag.successors(n)), list(dag.predecessors(n))) for n in dag.nodes]
    return len(dag), list(dag.edges()), adjacency, labels


def distance(edges: Iterable[Edge], a: str, b: str) -> int | None:
    """Edges on a shortest path, by a search that shares nothing with the code under test."""
    successors: dict[str, list[str]] = {}
    for source, target in edges:
        successors.setdefault(source, []).append(target)
    steps = {a: 0}
    queue = deque([a])
    while queue:
        node = queue.popleft()
        if node == b:
            return steps[node]
        for successor in successors.get(node, []):
            if successor not in steps:
                steps[successor] = steps[node] + 1
                queue.append(successor)
    return None


# --- examples -----------------------------------------------------------------------------------------------


def test_a_pipeline_is_wired_and_asked() -> None:
    dag = DAG()
    assert dag.add("ECOG/OUT", "FILTER/IN")
    assert dag.add("FILTER/IN", "DECODER/IN")
    assert dag.add("ECOG/OUT", "LOGGER/IN")
    assert len(dag) == 3
    assert ("ECOG/OUT", "FILTER/IN") in dag
    assert ("FILTER/IN", "ECOG/OUT") not in dag
    assert dag.successors("ECOG/OUT") == {"FILTER/IN", "LOGGER/IN"}
    assert dag.predecessors("DECODER/IN") == {"FILTER/IN"}
    assert dag.downstream("ECOG/OUT") == {"ECOG/OUT", "FILTER/IN", "DECODER/IN", "LOGGER/IN"}
    assert dag.upstream("DECODER/IN") == {"DECODER/IN", "FILTER/IN", "ECOG/OUT"}
    assert dag.path("ECOG/OUT", "DECODER/IN") == ("ECOG/OUT", "FILTER/IN", "DECODER/IN")
    assert dag.path("DECODER/IN", "ECOG/OUT") is None
    assert dag.path("LOGGER/IN", "DECODER/IN") is None
    assert repr(dag) == "<DAG: 4 nodes, 3 edges>"


def test_the_example_in_the_docstring_is_true() -> None:
    outcome = doctest.testmod(dag_module)
    assert outcome.attempted > 0
    assert outcome.failed == 0


def test_an_edge_is_there_once() -> None:
    dag = DAG()
    assert dag.add("A", "B") is True
    assert dag.add("A", "B") is False
    assert len(dag) == 1
    assert dag.remove("A", "B") is True
    assert dag.remove("A", "B") is False
    assert len(dag) == 0


def test_a_cycle_is_refused_and_told() -> None:
    dag = built([("A", "B"), ("B", "C"), ("C", "D")])
    with pytest.raises(CycleError) as refusal:
        dag.add("D", "A")
    assert (refusal.value.from_topic, refusal.value.to_topic) == ("D", "A")
    assert refusal.value.path == ("A", "B", "C", "D")
    assert "D -> A would close a cycle: A -> B -> C -> D -> A" in str(refusal.value)


def test_of_several_cycles_the_shortest_is_told() -> None:
    dag = built([("A", "B"), ("B", "C"), ("C", "D"), ("A", "X"), ("X", "D")])
    with pytest.raises(CycleError) as refusal:
        dag.add("D", "A")
    assert refusal.value.path == ("A", "X", "D")


def test_a_topic_does_not_lead_to_itself() -> None:
    dag = built([("A", "B")])
    for topic in ("A", "NEW"):
        with pytest.raises(CycleError) as refusal:
            dag.add(topic, topic)
        assert refusal.value.path == (topic,)
    assert list(dag.nodes) == ["A", "B"]


def test_a_refusal_changes_nothing() -> None:
    dag = built([("C", "D"), ("A", "B"), ("D", "A"), ("X", "C")])
    before = facts(dag)
    for edge in [("B", "C"), ("A", "D"), ("B", "X"), ("A", "A"), ("NEW", "NEW")]:
        with pytest.raises(CycleError):
            dag.add(*edge)
        assert facts(dag) == before
    dag.check()


def test_nodes_stand_in_ezmsgs_order() -> None:
    dag = built([("B", "C"), ("A", "B"), ("A", "D")])
    assert list(dag.nodes) == ["B", "C", "A", "D"]
    dag.remove("B", "C")
    assert list(dag.nodes) == ["B", "A", "D"], "C has no edge left, B has"
    dag.add("C", "D")
    assert list(dag.nodes) == ["B", "A", "D", "C"], "C came back"


def test_removing_an_edge_reopens_the_way() -> None:
    dag = built([("A", "B"), ("B", "C")])
    with pytest.raises(CycleError):
        dag.add("C", "A")
    dag.remove("A", "B")
    assert dag.add("C", "A")
    assert dag.path("B", "A") == ("B", "C", "A")
    dag.check()


def test_an_unknown_topic_has_no_neighbours_but_itself() -> None:
    dag = built([("A", "B")])
    assert dag.successors("X") == frozenset()
    assert dag.predecessors("X") == frozenset()
    assert dag.downstream("X") == {"X"}
    assert dag.upstream("X") == {"X"}
    assert dag.path("X", "X") == ("X",)
    assert dag.path("X", "A") is None
    assert dag.path("A", "X") is None
    assert dag.remove("X", "A") is False
    assert dag.remove("A", "X") is False
    assert list(dag.nodes) == ["A", "B"], "asking makes no node"


def test_what_is_handed_out_cannot_change_the_graph() -> None:
    dag = built([("A", "B")])
    for view in (dag.nodes, dag.successors("A"), dag.predecessors("B")):
        with pytest.raises((AttributeError, TypeError)):
            view.clear()  # type: ignore[attr-defined]
        with pytest.raises((AttributeError, TypeError)):
            del view["A"]  # type: ignore[attr-defined]
    dag.downstream("A").clear()
    assert list(dag.edges()) == [("A", "B")]


@pytest.mark.parametrize("duplicate", [DAG.copy, copy.copy, copy.deepcopy])
def test_a_copy_goes_its_own_way(duplicate: Callable[[DAG], DAG]) -> None:
    dag = built([("C", "D"), ("A", "B"), ("D", "A")], CrowdedDAG)
    twin = duplicate(dag)
    assert type(twin) is CrowdedDAG
    assert facts(twin) == facts(dag)
    before = facts(dag)
    twin.add("X", "C")
    twin.remove("A", "B")
    with pytest.raises(CycleError):
        twin.add("A", "C")
    twin.check()
    dag.check()
    assert facts(dag) == before
    assert list(twin.edges()) == [("C", "D"), ("D", "A"), ("X", "C")]


def test_a_copy_of_a_long_chain_needs_no_recursion() -> None:
    dag = built((str(i), str(i + 1)) for i in range(3000))
    twin = copy.deepcopy(dag)
    twin.check()
    assert facts(twin) == facts(dag)


# --- against ezmsg's own, and against plain searches --------------------------------------------------------

TOPICS = st.sampled_from("ABCDEFGH")


class BesideEzmsg(RuleBasedStateMachine):
    """Whatever is asked of ezmsg's DAG and of ours, the answers agree, and so do the graphs after it."""

    @initialize(kind=st.sampled_from([DAG, CrowdedDAG]))
    def start(self, kind: type[DAG]) -> None:
        self.ours = kind()
        self.theirs = EzmsgDAG()

    @rule(a=TOPICS, b=TOPICS)
    def add(self, a: str, b: str) -> None:
        before = facts(self.ours)
        try:
            expected = self.theirs.add_edge(a, b)
        except CyclicException:
            with pytest.raises(CycleError) as refusal:
                self.ours.add(a, b)
            self.path_is_true(refusal.value)
            assert facts(self.ours) == before
        else:
            assert self.ours.add(a, b) == expected

    def path_is_true(self, refusal: CycleError) -> None:
        path = refusal.path
        assert path[0] == refusal.to_topic
        assert path[-1] == refusal.from_topic
        for a, b in pairwise(path):
            assert b in self.theirs.graph.get(a, ())
        assert len(path) - 1 == distance(self.theirs.edge_owners, path[0], path[-1])

    @rule(a=TOPICS, b=TOPICS)
    def remove(self, a: str, b: str) -> None:
        assert self.ours.remove(a, b) == self.theirs.remove_edge(a, b)

    @rule(data=st.data())
    def remove_one_that_is_there(self, data: st.DataObject) -> None:
        if edges := sorted(self.ours.edges()):
            self.remove(*data.draw(st.sampled_from(edges)))

    @rule()
    def go_on_with_a_copy(self) -> None:
        before = facts(self.ours)
        self.ours = self.ours.copy()
        assert facts(self.ours) == before

    @rule(a=TOPICS, b=TOPICS)
    def ask(self, a: str, b: str) -> None:
        path = self.ours.path(a, b)
        steps = distance(self.theirs.edge_owners, a, b)
        assert steps == (None if path is None else len(path) - 1)
        assert self.ours.downstream(a) == set(self.theirs.downstream(a))
        assert self.ours.upstream(a) == set(self.theirs.upstream(a))
        assert ((a, b) in self.ours) == ((a, b) in self.theirs.edge_owners)

    @invariant()
    def they_are_the_same_graph(self) -> None:
        if not hasattr(self, "ours"):
            return  # before `start`
        self.ours.check()
        assert list(self.ours.nodes) == list(self.theirs.graph)
        assert {n: self.ours.successors(n) for n in self.ours.nodes} == dict(self.theirs.graph)
        inverse = {n: set(self.ours.predecessors(n)) for n in self.ours.nodes}
        assert inverse == dict(self.theirs.invgraph)
        assert len(self.ours) == len(self.theirs.edge_owners)
        assert set(self.ours.edges()) == set(self.theirs.edge_owners)


TestBesideEzmsg = BesideEzmsg.TestCase
TestBesideEzmsg.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)


def reaches(successors: dict[str, set[str]], a: str, b: str) -> bool:
    seen, stack = {a}, [a]
    while stack:
        for node in successors.get(stack.pop(), ()):
            if node not in seen:
                seen.add(node)
                stack.append(node)
    return b in seen


@pytest.mark.parametrize("kind", [DAG, CrowdedDAG])
@pytest.mark.parametrize(("seed", "topics"), [(1, 60), (2, 400)])
def test_edges_come_and_go_as_a_plain_search_allows(kind: type[DAG], seed: int, topics: int) -> None:
    chance = random.Random(seed)
    dag, plain, edges = kind(), dict[str, set[str]](), list[Edge]()
    accepted = refused = removed = 0
    for step in range(4000):
        if edges and chance.random() < 0.3:
            a, b = edges.pop(chance.randrange(len(edges)))
            plain[a].discard(b)
            assert dag.remove(a, b)
            removed += 1
        else:
            a, b = (f"T{chance.randrange(topics)}" for _ in range(2))
            if reaches(plain, b, a):
                with pytest.raises(CycleError) as refusal:
                    dag.add(a, b)
                path = refusal.value.path
                assert (path[0], path[-1]) == (b, a)
                assert all(y in plain[x] for x, y in pairwise(path))
                refused += 1
            elif dag.add(a, b):
                plain.setdefault(a, set()).add(b)
                edges.append((a, b))
                accepted += 1
        if step % 100 == 0:
            dag.check()
    dag.check()
    assert set(dag.edges()) == set(edges)
    assert min(accepted, refused, removed) > 300, "the run exercised all three"


# --- what it costs, counted rather than timed ---------------------------------------------------------------


def crossing_chains(length: int) -> tuple[list[Edge], list[Edge]]:
    """Two chains, and crossings that put the later one, node by node, ahead of ever more of the first."""
    chains = [(f"{c}{i}", f"{c}{i + 1}") for c in "ab" for i in range(length)]
    return chains, [(f"b{i}", f"a{length - i}") for i in range(length)]


class WatchedOrder(Order):
    """Counts how often labels had to be spread."""

    spread = 0

    def _spread(self, *where: Any) -> int:
        self.spread += 1
        return super()._spread(*where)


class WatchedDAG(DAG):
    """Counts how often it had to search; ``labels`` counts how often labels had to be spread."""

    searched = 0

    def __init__(self) -> None:
        super().__init__()
        self._order = self.labels = WatchedOrder()

    def _search(self, *ends: Any) -> Any:
        self.searched += 1
        return super()._search(*ends)


def test_sources_and_sinks_need_neither_search_nor_room() -> None:
    dag = WatchedDAG()
    dag.add("A", "B")
    dag.add("B", "C")
    for i in range(100):
        dag.add(f"source{i}", "B")  # new sources and sinks
        dag.add("B", f"sink{i}")
    for i in range(100):
        dag.add(f"late{i}", f"end{i}")  # known ones, against the order
        dag.add(f"late{i}", "A")
        dag.add(f"end{i}", f"sink{i}")
    dag.check()
    assert (dag.searched, dag.labels.spread) == (0, 0)
    dag.add("end99", "A")
    assert dag.searched == 1


def test_insertions_at_one_place_stay_cheap() -> None:
    length = 600
    chains, crossings = crossing_chains(length)
    dag = WatchedDAG()
    for a, b in chains:
        dag.add(a, b)
    assert dag.labels.spread == 0, "what comes at the ends needs no room"
    labels_set = 0
    for a, b in crossings:
        before = {name: node.label for name, node in dag._nodes.items()}
        dag.add(a, b)
        labels_set += sum(node.label != before[name] for name, node in dag._nodes.items())
    dag.check()
    assert dag.labels.spread > 1, "the room at that place was used up"
    # Two plain searches, in place of the ordered one, move 180,000 nodes here.
    assert labels_set < 2 * length * log2(2 * length)


@pytest.mark.parametrize("kind", [DAG, CrowdedDAG])
def test_the_order_holds_at_every_insertion_at_one_place(kind: type[DAG]) -> None:
    chains, crossings = crossing_chains(80)
    dag = built(chains, kind)
    for a, b in crossings:
        dag.add(a, b)
        dag.check()
    with pytest.raises(CycleError) as refusal:
        dag.add("a80", "b0")
    assert refusal.value.path == ("b0", "a80")


class CountedDict(dict[str, object]):
    """A dict that counts how often all of it is looked at."""

    looked_at = 0

    def values(self) -> Any:
        self.looked_at += 1
        return super().values()


def test_a_hub_is_not_searched_when_the_other_side_is_small() -> None:
    dag = built(("HUB", f"sink{i}") for i in range(100))
    counted = CountedDict(dag._nodes["HUB"].succ)
    dag._nodes["HUB"].succ = counted  # type: ignore[assignment]
    for i in range(50):
        dag.add(f"x{i}", f"source{i}")
        dag.add(f"source{i}", "HUB")
    dag.check()
    assert len(dag.predecessors("HUB")) == 50
    assert counted.looked_at == 0


# --- check() says what is broken ----------------------------------------------------------------------------


def lose_a_predecessor(dag: DAG) -> None:
    del dag._nodes["B"].pred["A"]


def lose_a_successor(dag: DAG) -> None:
    del dag._nodes["B"].succ["C"]


def leave_a_bare_node(dag: DAG) -> None:
    dag._nodes["Z"] = type(dag._nodes["A"])("Z")


def swap_two_labels(dag: DAG) -> None:
    a, b = dag._nodes["A"], dag._nodes["B"]
    a.label, b.label = b.label, a.label


def turn_the_order_round(dag: DAG) -> None:
    ordered = [dag._order.end, *reversed(list(dag._order)), dag._order.end]
    for label, (node, follower) in enumerate(pairwise(ordered)):
        node.label, node.next, follower.prev = label, follower, node


def break_a_link_back(dag: DAG) -> None:
    dag._nodes["C"].prev = dag._nodes["A"]


def break_the_ring(dag: DAG) -> None:
    dag._order.end.prev = dag._nodes["A"]


def drop_a_node_from_the_order(dag: DAG) -> None:
    dag._nodes["A"].next, dag._nodes["C"].prev = dag._nodes["C"], dag._nodes["A"]


def forget_a_node(dag: DAG) -> None:
    del dag._nodes["C"]


def put_a_stranger_in_its_place(dag: DAG) -> None:
    dag._nodes["C"] = dag.copy()._nodes["C"]


def rename_a_node(dag: DAG) -> None:
    dag._nodes["C"].name = "D"


def miscount(dag: DAG) -> None:
    dag._edge_count += 1


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lose_a_predecessor, "A -> B lacks its way back"),
        (lose_a_successor, "B -> C is known at its end only"),
        (leave_a_bare_node, "node Z has no edge"),
        (swap_two_labels, r"labels do not increase: A \(\d+\), B \(\d+\)"),
        (turn_the_order_round, "edge A -> B goes down in the order: 3 to 2"),
        (break_a_link_back, "C stands after 'B', not 'A'"),
        (break_the_ring, "the last node is 'C', not 'A'"),
        (drop_a_node_from_the_order, "2 nodes are in the order, 3 are known"),
        (forget_a_node, "B leads to C, a stray node"),
        (put_a_stranger_in_its_place, "B leads to C, a stray node"),
        (rename_a_node, "node C is named D"),
        (miscount, "2 edges are there, 3 were counted"),
    ],
)
def test_check_says_what_is_broken(spoil: Callable[[DAG], None], said: str) -> None:
    dag = built([("A", "B"), ("B", "C")])
    dag.check()
    spoil(dag)
    with pytest.raises(AssertionError, match=said):
        dag.check()
