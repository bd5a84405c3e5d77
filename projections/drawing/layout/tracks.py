"""Tracks for the vertical pieces of the lines in a channel: one per net, few crossings, none upon another.

A net is all strands of one source, or of one target where more come in than go out. Two nets are compared by how often
they would cross either way (as Sander, 1996, and ELK's orthogonal router do); those that do not meet share a track.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence

import msgspec

from ezmsg.ledger.projections.drawing.layout.level import LANE, Level, Strand

CHANNEL_MIN, MARGIN = 30, 14
"""Pixels: the width of a channel with few tracks; the space between its sides and the first and last track."""

COMPARED_MAX = 70
"""Nets of a channel that are compared one by one; more are sorted by where they lead."""

CLOSE = 5
"""Pixels: lines nearer to each other than this look like one."""

UPON = 40
"""Crossings that a line upon another counts for."""


class Net(msgspec.Struct, gc=False):
    """The strands of a net, the heights at which it meets the left side of a channel and the right one, its track."""

    strands: list[Strand]
    left: list[int]
    right: list[int]
    low: int
    high: int


def nets_of(level: Level, channel: int, strands: Sequence[Strand]) -> list[Net]:
    """Group strands of a channel into nets, at the heights that their nodes have now. Cost: O(strands * log)."""
    nodes = level.nodes
    leaving: dict[tuple[int, int], int] = {}
    coming: dict[tuple[int, int], int] = {}
    for strand in strands:
        start, goal = (strand.source, strand.sy), (strand.target, strand.ty)
        leaving[start] = leaving.get(start, 0) + 1
        coming[goal] = coming.get(goal, 0) + 1
    found: dict[tuple[int, int, bool], Net] = {}
    for strand in strands:
        start, goal = (strand.source, strand.sy), (strand.target, strand.ty)
        by_source = leaving[start] >= coming[goal]
        key = (*(start if by_source else goal), by_source)
        net = found.get(key)
        if net is None:
            net = found[key] = Net([], [], [], 0, 0)
        net.strands.append(strand)
        for node, y in (start, goal):
            side = net.left if nodes[node].layer == channel else net.right
            side.append(nodes[node].y + y)
    for net in found.values():
        net.left, net.right = sorted(set(net.left)), sorted(set(net.right))
        both = net.left + net.right
        net.low, net.high = min(both), max(both)
    return list(found.values())


def route(level: Level, channel: int, strands: Sequence[Strand]) -> int:
    """Number the tracks of strands of a channel from the left; returns how many there are. Straight ones need none."""
    lanes: list[list[tuple[int, int]]] = []
    for net in _order([net for net in nets_of(level, channel, strands) if net.low < net.high]):
        track = len(lanes)
        while track and not any(low - LANE < net.high and net.low < high + LANE for low, high in lanes[track - 1]):
            track -= 1
        if track == len(lanes):
            lanes.append([])
        lanes[track].append((net.low, net.high))
        for strand in net.strands:
            strand.track = track
    return len(lanes)


def width_of(tracks: int) -> int:
    """The width of a channel with so many tracks."""
    return max(CHANNEL_MIN, 2 * MARGIN + LANE * max(0, tracks - 1))


def _order(nets: list[Net]) -> list[Net]:
    """The nets from left to right."""
    downward = sorted((net for net in nets if _falls(net)), key=lambda net: -net.low)
    upward = sorted((net for net in nets if not _falls(net)), key=lambda net: net.high)
    nets = [*downward, *upward]
    if not 1 < len(nets) <= COMPARED_MAX:
        return nets
    size = len(nets)
    better = [[0] * size for _ in range(size)]
    for a in range(size):
        for b in range(a + 1, size):
            if nets[a].low <= nets[b].high and nets[b].low <= nets[a].high:
                better[a][b] = _cost(nets[b], nets[a]) - _cost(nets[a], nets[b])
                better[b][a] = -better[a][b]
    worth = [sum(row) for row in better]
    loses = [sum([min(0, each) for each in row]) for row in better]  # by being left of all that are not placed yet
    left = list(range(size))
    order = []
    while left:
        best = max(left, key=lambda number: (loses[number], worth[number]))
        left.remove(best)
        order.append(nets[best])
        for number in left:
            loses[number] -= min(0, better[number][best])
    return order


def _falls(net: Net) -> bool:
    """Whether a net leads down from left to right."""
    if not net.left or not net.right:
        return True
    return sum(net.left) * len(net.right) <= sum(net.right) * len(net.left)


def _cost(a: Net, b: Net) -> int:
    """Crossings of two nets when ``a`` is left of ``b``, and far more for lines that would be upon each other."""
    crossed = sum(b.low < y < b.high for y in a.right) + sum(a.low < y < a.high for y in b.left)
    return crossed + UPON * _near(a.right, b.left)


def _near(some: Sequence[int], others: Sequence[int]) -> int:
    return sum(bisect_right(others, y + CLOSE) - bisect_left(others, y - CLOSE) for y in some)
