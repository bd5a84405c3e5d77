"""What leads to what, at a moment and over a history: held against networkx."""

from itertools import pairwise
from random import Random
from typing import Any

import networkx
from hypothesis import given
from hypothesis import strategies as st

from ezmsg.ledger import events as ev
from ezmsg.ledger.events import stamped
from ezmsg.ledger.projections.lifetimes.lifetimes import Lifetimes
from ezmsg.ledger.projections.lifetimes.spans import OPEN, contains
from ezmsg.ledger.projections.questions.paths.reach import Basin, Ways, neighbours, reached, shortest

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


@given(st.lists(st.tuples(TOPICS, TOPICS, st.sampled_from([1, 2, None])), max_size=40), st.integers(1, 50), TOPICS)
def test_the_last_ways_into_a_topic_are_those_of_every_one_by_itself(
    moves: list[tuple[str, str, int | None]], until: int, target: str
) -> None:
    """Holds toggle; the same one again clears what its owner has, so that several edges go at once."""
    history = [ev.SessionOpened(uuid="a"), ev.SessionOpened(uuid="b")]
    held: set[tuple[str, str, int | None]] = set()
    for here, there, owner in moves:
        move = (here, there, owner)
        if here == there and owner is not None:
            history.append(ev.SessionCleared(session=owner))
            held = {each for each in held if each[2] != owner}
        elif here < there:
            kind = ev.EdgeDisconnected if move in held else ev.EdgeConnected
            history.append(kind(from_topic=here, to_topic=there, owner=owner))
            held ^= {move}
    told = Lifetimes()
    told.apply_batch([stamped(event, seq, seq) for seq, event in enumerate(history, 1)])
    ways = Ways(told)
    found = ways.last_into(target, set("ABCDEF"), until)
    for topic in "ABCDEF":
        expected = ways.stretches(topic, target, until) if topic != target else []
        assert (topic in found) == bool(expected)
        if expected:
            assert found[topic][:2] == expected[-1][:2]
            if found[topic].died != OPEN:
                way = found[topic].way
                assert (way[0][0], way[-1][1]) == (topic, target)
                assert all(first[1] == second[0] for first, second in pairwise(way))
                assert all(told.has_edge(edge, found[topic].died - 1) for edge in way)
                assert not all(told.has_edge(edge, found[topic].died) for edge in way)


def story(random: Random, topics: str) -> list[Any]:
    """Holds of two owners that toggle, and owners that let go of all at once."""
    history: list[Any] = [ev.SessionOpened(uuid="a"), ev.SessionOpened(uuid="b")]
    held: set[tuple[str, str, int | None]] = set()
    for _ in range(random.randrange(60)):
        here, there = random.choice(topics), random.choice(topics)
        owner = random.choice((1, 2, None))
        if here == there and owner is not None and random.random() < 0.3:
            history.append(ev.SessionCleared(session=owner))
            held = {each for each in held if each[2] != owner}
        elif here < there:
            kind = ev.EdgeDisconnected if (here, there, owner) in held else ev.EdgeConnected
            history.append(kind(from_topic=here, to_topic=there, owner=owner))
            held ^= {(here, there, owner)}
    return [stamped(event, seq, seq) for seq, event in enumerate(history, 1)]


def test_stretches_and_their_paths_are_those_of_a_search_after_each_event() -> None:
    """A thousand histories; also with links, which may lead in circles, and up to a moment in the middle."""
    random = Random(12)
    for _ in range(1000):
        topics = random.choice(("ABCD", "ABCDEF", "ABCDEFGHIJ"))
        history = story(random, topics)
        told = Lifetimes()
        told.apply_batch(history)
        links = {
            (random.choice(topics), random.choice(topics)): [(first, first + random.randrange(1, 30))]
            for first in random.sample(range(1, 50), random.choice((0, 0, 1, 3)))
        }
        a, b = random.choice(topics), random.choice(topics)
        until = random.choice((OPEN - 1, random.randrange(1, 70)))
        expected: list[tuple[int, int]] = []
        lengths: list[int] = []
        stands = False
        last = max([len(history), *(died for spans in links.values() for _, died in spans)])
        for seq in range(1, min(until, last) + 1):
            edges = set(told.edges_at(seq)) | {link for link, spans in links.items() if contains(spans, seq)}
            way, _ = shortest(neighbours(edges), a, b)
            if way and not stands:
                expected.append((seq, OPEN))
                lengths.append(0)
            elif stands and not way:
                expected[-1] = (expected[-1][0], seq)
            if way:
                lengths[-1] = len(way)
            stands = bool(way)
        found = Ways(told, links).stretches(a, b, until)
        assert [each[:2] for each in found] == expected
        assert [len(each.way) for each in found] == lengths, "the shortest, at the end of each"
        for each in found:
            assert (each.way[0][0], each.way[-1][1]) == (a, b)
            assert all(first[1] == second[0] for first, second in pairwise(each.way))
            seq = min(each.died - 1, until, last)
            assert all(told.has_edge(edge, seq) or contains(links.get(edge, []), seq) for edge in each.way)


def test_a_shorter_path_that_comes_is_the_one_that_is_told() -> None:
    edges = [("A", "B"), ("B", "C"), ("A", "C")]
    events = [ev.EdgeConnected(from_topic=here, to_topic=there, owner=None) for here, there in edges]
    told = Lifetimes()
    told.apply_batch([stamped(event, seq, seq) for seq, event in enumerate(events, 1)])
    assert Ways(told).stretches("A", "C") == [(2, OPEN, [("A", "C")])]
    assert Ways(told).stretches("A", "C", 2) == [(2, OPEN, [("A", "B"), ("B", "C")])]


def test_a_way_that_is_cut_at_two_places_at_once_is_cut_once() -> None:
    basin = Basin("D", {"A", "C"})
    edges = [("C", "D"), ("B", "C"), ("A", "B")]
    assert basin.change([(True, edge) for edge in edges]) == (["C", "A"], {})
    joined, left = basin.change([(False, edge) for edge in edges])
    assert joined == []
    assert left == {"C": [("C", "D")], "A": [("A", "B"), ("B", "C"), ("C", "D")]}
