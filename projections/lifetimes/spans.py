"""Stretches of seqs: lists of (born, died) that rise and do not touch; ``born`` is in, ``died`` is not."""

from collections import Counter
from collections.abc import Iterable
from itertools import accumulate, pairwise
from typing import TypeAlias

OPEN = 2**63 - 1
"""The seq that stands for ``died`` while a thing lasts: the largest that a column of 8 bytes holds."""

Spans: TypeAlias = list[tuple[int, int]]
"""Stretches that rise and do not touch."""


def union(pieces: Iterable[tuple[int, int]]) -> Spans:
    """The stretches in which any of ``pieces`` is; these come in any order. Cost: O(n log n)."""
    out: Spans = []
    for born, died in sorted(pieces):
        if born >= died:
            continue
        if out and born <= out[-1][1]:
            out[-1] = (out[-1][0], max(out[-1][1], died))
        else:
            out.append((born, died))
    return out


def intersection(a: Spans, b: Spans) -> Spans:
    """The stretches in which both ``a`` and ``b`` are. Cost: O(n)."""
    out: Spans = []
    i = j = 0
    while i < len(a) and j < len(b):
        born, died = max(a[i][0], b[j][0]), min(a[i][1], b[j][1])
        if born < died:
            out.append((born, died))
        if a[i][1] < b[j][1]:
            i += 1
        else:
            j += 1
    return out


def complement(spans: Spans, begin: int) -> Spans:
    """The stretches in which ``spans`` are not, from ``begin`` on without an end. Cost: O(n)."""
    edges = [begin, *(seq for span in spans for seq in span), OPEN]
    return [(edges[i], edges[i + 1]) for i in range(0, len(edges), 2) if edges[i] < edges[i + 1]]


def counted(pieces: Iterable[tuple[int, int]], begin: int = 0) -> list[tuple[int, int, int]]:
    """The number of ``pieces``, as (born, died, number), from ``begin`` on without an end. Cost: O(n log n)."""
    steps = Counter({begin: 0})
    for born, died in pieces:
        steps[max(begin, born)] += 1
        steps[died] -= 1
    seqs = sorted(seq for seq in steps if seq < OPEN and (steps[seq] or seq == begin))
    numbers = accumulate(steps[seq] for seq in seqs)
    return [(born, died, number) for (born, died), number in zip(pairwise((*seqs, OPEN)), numbers, strict=True)]


def densest(pieces: Iterable[tuple[int, int]]) -> tuple[int, int] | None:
    """The last stretch in which as many of ``pieces`` are as ever; None when there is no piece. Cost: O(n log n)."""
    born, died, number = max(counted(pieces), key=lambda each: (each[2], each[0]))
    return (born, died) if number else None


def contains(spans: Spans, seq: int) -> bool:
    """Whether ``seq`` is in one of them. Cost: O(n)."""
    return any(born <= seq < died for born, died in spans)


def check(spans: Spans) -> None:
    """Assert that ``spans`` rise and do not touch."""
    assert all(born < died for born, died in spans), spans
    assert all(a[1] < b[0] for a, b in pairwise(spans)), spans
