"""Stretches of seqs: what they are together, and where they are not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ezmsg.ledger.projections.lifetimes.spans import (
    OPEN,
    Spans,
    check,
    complement,
    contains,
    densest,
    intersection,
    union,
)

PIECES = st.lists(st.tuples(st.integers(1, 20), st.integers(1, 20) | st.just(OPEN)), max_size=6)


@pytest.mark.parametrize(
    ("pieces", "spans"),
    [
        ([], []),
        ([(1, 3), (3, 5)], [(1, 5)]),
        ([(4, 5), (1, 3)], [(1, 3), (4, 5)]),
        ([(1, 9), (2, 3), (4, OPEN)], [(1, OPEN)]),
        ([(1, 9), (2, 3), (8, 10), (11, 11)], [(1, 10)]),
    ],
)
def test_pieces_that_touch_are_one_span(pieces: Spans, spans: Spans) -> None:
    assert union(pieces) == spans


@given(PIECES, PIECES)
def test_spans_are_sets_of_seqs(a: Spans, b: Spans) -> None:
    first, second = union(a), union(b)
    both, neither = intersection(first, second), complement(union([*a, *b]), 1)
    for spans in (first, second, both, neither):
        check(spans)
    for seq in range(1, 22):
        one, other = (any(born <= seq < died for born, died in pieces) for pieces in (a, b))
        assert (contains(first, seq), contains(both, seq), contains(neither, seq)) == (
            one,
            one and other,
            not (one or other),
        )


@given(PIECES)
def test_the_densest_stretch_is_the_last_in_which_most_pieces_are(pieces: Spans) -> None:
    pieces = [(born, died) for born, died in pieces if born < died]
    seqs = range(1, 22)
    counts = {seq: sum(born <= seq < died for born, died in pieces) for seq in seqs}
    found = densest(pieces)
    if found is None:
        assert not pieces
        return
    most = max(counts.values())
    last = max(seq for seq in seqs if counts[seq] == most)
    assert found[0] <= last < found[1]
    assert {counts[seq] for seq in seqs if found[0] <= seq < found[1]} == {most}
