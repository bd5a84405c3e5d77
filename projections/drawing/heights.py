"""How high each node of a row of layers stands: near its neighbours, lines straight, nothing over anything else.

Each node wishes for the weighted median of where its strands would be straight. Isotonic regression (pool adjacent
violators) turns the wishes of a layer into heights that keep order and distances: O(n), and nothing overlaps.
"""

from collections.abc import Sequence

from ezmsg.ledger.projections.drawing.level import BACK, BEND, BOX, Level

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
        found, y = [], 0
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
        rounds = list(zip(layers, offsets, strict=True))
        for layer, found in reversed(rounds) if turn % 2 else rounds:
            wishes, weights = [], []
            for node in layer:
                wish, weight = _wish(node, ties[node], heights, turn, layers)
                if node in tall and len(tall) > 2:
                    wish, weight = -nodes[node].h / 2, weight + 1
                wishes.append(wish)
                weights.append(weight)
            for node, y in zip(layer, spread(wishes, weights, found), strict=True):
                heights[node] = y
    top = min((heights[node] for layer in layers for node in layer), default=0.0)
    bottom = 0
    for layer in layers:
        for node in layer:
            nodes[node].y = round(heights[node] - top)
            bottom = max(bottom, nodes[node].y + nodes[node].h)
    return bottom


def spread(wishes: Sequence[float], weights: Sequence[float], offsets: Sequence[float]) -> list[float]:
    """The heights nearest to the wishes (weighted least squares) at which each node is at least as far behind the one
    before as the offsets say. Cost: O(n)."""
    blocks: list[tuple[float, float, int]] = []
    for wish, weight, offset in zip(wishes, weights, offsets, strict=True):
        value, mass, size = wish - offset, weight, 1
        while blocks and blocks[-1][0] > value:
            other, other_mass, other_size = blocks.pop()
            value = (value * mass + other * other_mass) / (mass + other_mass)
            mass += other_mass
            size += other_size
        blocks.append((value, mass, size))
    values = [value for value, _, size in blocks for _ in range(size)]
    return [value + offset for value, offset in zip(values, offsets, strict=True)]


def _gap(level: Level, upper: int, lower: int) -> int:
    boxes = (level.nodes[upper].kind == BOX) + (level.nodes[lower].kind == BOX)
    return GAP_BOXES if boxes == 2 else GAP_BOX_BEND if boxes else 0


def _ties(level: Level, there: set[int]) -> list[list[tuple[int, int, int]]]:
    """For each node: (other node, by how much lower than that it would have to be for a straight line, weight)."""
    nodes = level.nodes
    ties: list[list[tuple[int, int, int]]] = [[] for _ in nodes]
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
            if bends < 2 and leaving[a, strand.sy] == 1 and coming[b, strand.ty] == 1:
                weight = CHAIN
            if nodes[a].layer == nodes[b].layer:
                weight = PLAIN
            ties[a].append((b, strand.ty - strand.sy, weight))
            ties[b].append((a, strand.sy - strand.ty, weight))
    return ties


def _wish(
    node: int, ties: list[tuple[int, int, int]], heights: list[float], turn: int, layers: Sequence[Sequence[int]]
) -> tuple[float, float]:
    if not ties:
        return heights[node], 0.1
    found = sorted((heights[other] + lower, weight) for other, lower, weight in ties)
    total = sum(weight for _, weight in found)
    half, passed = total / 2, 0
    for number, (height, weight) in enumerate(found):
        passed += weight
        if passed > half:
            return height, total
        if passed == half:
            return (height + found[number + 1][0]) / 2, total
    raise AssertionError("weights that do not add up")
