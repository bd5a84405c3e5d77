"""How high each node of a row of layers stands: near its neighbours, lines straight, nothing over anything else.

Each node wishes for the weighted median of where its strands would be straight. Isotonic regression (pool adjacent
violators) turns the wishes of a layer into heights that keep order and distances: O(n), and nothing overlaps.
"""

from collections.abc import Sequence
from typing import TypeAlias

from ezmsg.ledger.projections.drawing.layout.level import BACK, BEND, BOX, Level

GAP_BOXES, GAP_BOX_BEND = 22, 12
"""Pixels between two boxes, and between a box and a line that passes by. Ports and bends need none."""

PASSES = 6
"""Rounds of wishing, forth and back in turn."""

TALL = 150
"""Pixels: what is taller is drawn to one middle line: tall collections would climb like stairs otherwise."""

BEND_BEND, CHAIN, BEND_NODE, PLAIN = 8, 6, 3, 1
"""How much it is worth that a strand is straight: between bends, between two ports with no other strand, ..."""


def settle(level: Level, layers: Sequence[Sequence[int]]) -> int:
    """Give each node of these layers its ``y``, from 0 on; returns the height of all. Cost: O(passes * strands)."""
    nodes = level.nodes
    ties = _ties(level, {node for layer in layers for node in layer})
    offsets: list[list[int]] = []
    heights = [0.0] * len(nodes)
    tallest = 0
    for layer in layers:
        found: list[int] = []
        y = 0
        for number, node in enumerate(layer):
            y += _gap(level, layer[number - 1], node) if number else 0
            found.append(y)
            y += nodes[node].h
        offsets.append(found)
        tallest = max(tallest, y)
        for node, offset in zip(layer, found, strict=True):
            heights[node] = offset - y / 2
    tall = {node for layer in layers for node in layer if nodes[node].kind == BOX and nodes[node].h > TALL}
    for turn in range(PASSES):
        onward = turn % 2 == 0
        rounds = list(zip(layers, offsets, strict=True))
        for layer, found in rounds if onward else reversed(rounds):
            wishes, weights = [], []
            for node in layer:
                wish, weight = _wish(nodes[node].kind, ties[node], heights, onward, turn >= PASSES - 2)
                if node in tall and len(tall) > 2 and wish is not None:
                    wish, weight = -nodes[node].h / 2, weight + 1
                wishes.append(wish)
                weights.append(weight)
            for node, height in zip(layer, spread(wishes, weights, found), strict=True):
                heights[node] = height
    top = min((heights[node] for layer in layers for node in layer), default=0.0)
    bottom = 0
    for layer in layers:
        for node in layer:
            nodes[node].y = round(heights[node] - top)
            bottom = max(bottom, nodes[node].y + nodes[node].h)
    return bottom


def spread(wishes: Sequence[float | None], weights: Sequence[float], offsets: Sequence[float]) -> list[float]:
    """Heights near to the wishes (weighted least absolute deviations) at which each node is at least as far behind the
    one before as the offsets say: whoever weighs most in a crowd gets exactly what it wishes.

    Who wishes for nothing (None) stays as near as it may to the one before, or the first one to the next. Cost:
    O(n log n).
    """
    blocks: list[tuple[float, list[tuple[float, float]]]] = []
    for wish, weight, offset in zip(wishes, weights, offsets, strict=True):
        if wish is None:
            continue
        value, members = wish - offset, [(wish - offset, weight)]
        while blocks and blocks[-1][0] > value:
            members = sorted(blocks.pop()[1] + members)
            value = median(members)
        blocks.append((value, members))
    values = iter([value for value, members in blocks for _ in members])
    value = blocks[0][0] if blocks else -offsets[-1] / 2 if offsets else 0.0
    heights = []
    for wish, offset in zip(wishes, offsets, strict=True):
        if wish is not None:
            value = next(values)
        heights.append(value + offset)
    return heights


def median(members: Sequence[tuple[float, float]]) -> float:
    """The weighted median of sorted (value, weight); of two in the middle the lower one."""
    half = sum(weight for _, weight in members) / 2
    passed = 0.0
    for value, weight in members:
        passed += weight
        if passed >= half:
            return value
    raise AssertionError("weights that do not add up")


def _gap(level: Level, upper: int, lower: int) -> int:
    boxes = (level.nodes[upper].kind == BOX) + (level.nodes[lower].kind == BOX)
    return GAP_BOXES if boxes == 2 else GAP_BOX_BEND if boxes else 0


Tie: TypeAlias = tuple[int, int, int, int]
"""Another node, by how much lower than that a node would have to be for a straight line, weight, and the side that the
other one is at: -1 left, 1 right, 0 in the same layer."""


def _ties(level: Level, there: set[int]) -> list[list[Tie]]:
    nodes = level.nodes
    ties: list[list[Tie]] = [[] for _ in nodes]
    for channel in level.channels:
        leaving: dict[tuple[int, int], int] = {}
        coming: dict[tuple[int, int], int] = {}
        inside = [strand for strand in channel if strand.source in there and strand.target in there]
        for strand in inside:
            start, goal = (strand.source, strand.sy), (strand.target, strand.ty)
            leaving[start] = leaving.get(start, 0) + 1
            coming[goal] = coming.get(goal, 0) + 1
        for strand in inside:
            a, b = strand.source, strand.target
            bends = (nodes[a].kind in (BEND, BACK)) + (nodes[b].kind in (BEND, BACK))
            weight = BEND_BEND if bends == 2 else BEND_NODE if bends else PLAIN
            if not bends and leaving[a, strand.sy] == 1 and coming[b, strand.ty] == 1:
                weight = CHAIN
            if nodes[a].layer == nodes[b].layer:
                weight = PLAIN
            side = (nodes[b].layer > nodes[a].layer) - (nodes[b].layer < nodes[a].layer)
            ties[a].append((b, strand.ty - strand.sy, weight, side))
            ties[b].append((a, strand.sy - strand.ty, weight, -side))
    return ties


def _wish(kind: int, ties: list[Tie], heights: list[float], onward: bool, is_late: bool) -> tuple[float | None, float]:
    """Where a node would like to be, and how much that is worth.

    It looks at what the pass comes from; boxes look at both sides in the last two, bends never do: a long line comes
    out straight as a whole.
    """
    side = -1 if onward else 1
    found = sorted(
        (heights[other] + lower, weight) for other, lower, weight, at in ties if at == side or (is_late and kind == BOX)
    )
    if not found:
        found = sorted((heights[other] + lower, weight) for other, lower, weight, _ in ties)
    if not found:
        return None, 0
    total = sum(weight for _, weight in found)
    half, passed = total / 2, 0
    for number, (height, weight) in enumerate(found):
        passed += weight
        if passed > half:
            return height, total
        if passed == half:
            return (height + found[number + 1][0]) / 2, total
    raise AssertionError("weights that do not add up")
