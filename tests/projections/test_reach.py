"""What leads to what, at a moment and over a history: held against networkx."""

from itertools import pairwise

import networkx
from hypothesis import given
from hypothesis import strategies as st

from ezmsg.ledger.projections.reach import neighbours, reached, shortest

TOPICS = st.sampled_from("ABCDEF")


@given(st.sets(st.tuples(TOPICS, TOPICS), max_size=14), TOPICS, TOPICS)
def test_paths_are_those_that_networkx_finds(pairs: set[tuple[str, str]], a: str, b: str) -> None:
    edges = {edge for edge in pairs if edge[0] < edge[1]}
    graph = networkx.DiGraph(edges)
    graph.add_nodes_from("ABCDEF")
    way, _ = shortest(neighbours(edges), a, b)
    if a == b or not networkx.has_path(graph, a, b):
        assert way == []
    else:
        assert len(way) == networkx.shortest_path_length(graph, a, b)
        assert (way[0][0], way[-1][1]) == (a, b)
        assert all(first[1] == second[0] for first, second in pairwise(way))
        assert set(way) <= edges
    assert reached(neighbours(edges), a) == {a, *networkx.descendants(graph, a)}
    assert reached(neighbours(edges, back=True), b) == {b, *networkx.ancestors(graph, b)}
