"""The height of each node in a row of layers: near its neighbours, lines straight, nothing over anything else.

Each node wishes for the weighted median of where its strands would be straight. Isotonic regression (pool adjacent
violators) turns the wishes of a layer into heights that keep order and distances: O(n), and nothing overlaps.
"""

from collections import Counter
from collections.abc import Sequence
from typing import TypeAlias

from ezmsg.ledger.projections.drawing.layout.level import BACK, BEND, BOX, Level, Node

GAP_BOXES, GAP_BOX_BEND = 22, 12
"""Pixels between two boxes, and between a box and a line that passes by. Ports and bends need none."""

PASSES = 3
"""Rounds of wishing, forth and back in turn."""

LATE = 1
"""The last passes, in which boxes look to both sides. More of either, or an even number, made drawings taller."""

TALL, TALL_MIN = 150, 3
"""Pixels: what is taller is drawn to one middle line where there are some: tall collections would climb like stairs."""

BEND_BEND, CHAIN, BEND_NODE, PLAIN = 8, 6, 3, 1
"""How much it is worth that a strand is straight: between bends, between two ports with no other strand, ..."""


Tie: TypeAlias = tuple[int, int, int]
Wish: TypeAlias = tuple[float, float] | None


def settle(level: Level, layers: Sequence[Sequence[int]]) -> int:
    """Give each node of these layers its ``y``, from 0 on; returns the height of all. Cost: O(passes * strands)."""
    nodes = level.nodes
    ties = _Ties(level, {node for layer in layers for node in layer})
    offsets: list[list[int]] = []
    heights = [0.0] * len(nodes)
    for layer in layers:
        found: list[int] = []
        y = 0
        for number, node in enumerate(layer):
            y += _gap(level, layer[number - 1], node) if number else 0
            found.append(y)
            y += nodes[node].h
        offsets.append(found)
        for node, offset in zip(layer, found, strict=True):
            heights[node] = offset - y / 2
    tall = {node for layer in layers for node in layer if nodes[node].kind == BOX and nodes[node].h > TALL}
    if len(tall) < TALL_MIN:
        tall.clear()
    for turn in range(PASSES):
        onward = turn % 2 == 0
        chosen = ties.chosen(onward, turn >= PASSES - LATE)
        rounds = list(zip(layers, offsets, strict=True))
        for layer, found in rounds if onward else reversed(rounds):
            wishes: list[Wish] = []
            for node in layer:
                wish = _wish(chosen[node], heights)
                if node in tall and wish is not None:
                    wish = (-nodes[node].h / 2, wish[1] + 1)
                wishes.append(wish)
            for node, height in zip(layer, spread(wishes, found), strict=True):
                heights[node] = height
    for layer in layers:
        for node in layer:
            nodes[node].y = round(heights[node])
    return _close_up([nodes[node] for layer in layers for node in layer])


def _close_up(nodes: list[Node]) -> int:
    """Take away what no node of any layer stands in, but for a gap; returns the height of all."""
    moved = 0
    bottom: int | None = None
    for node in sorted(nodes, key=lambda node: node.y):
        if bottom is None:
            moved = bottom = node.y
        elif node.y > bottom + GAP_BOXES:
            moved += node.y - bottom - GAP_BOXES
        bottom = max(bottom, node.y + node.h) if node.y <= bottom + GAP_BOXES else node.y + node.h
        node.y -= moved
    return 0 if bottom is None else bottom - moved


def spread(wishes: Sequence[Wish], offsets: Sequence[float]) -> list[float]:
    """Heights near to the wishes (weighted least absolute deviations) at which each node is at least as far behind the
    one before as the offsets say: the heaviest in a crowd gets exactly what it wishes.

    Who wishes for nothing (None) stays as near as it may to the one before, or the first one to the next. Cost:
    O(n log n).
    """
    blocks: list[list[tuple[float, float]]] = []
    values: list[float] = []
    for wish, offset in zip(wishes, offsets, strict=True):
        if wish is None:
            continue
        value = wish[0] - offset
        members = [(value, wish[1])]
        while values and values[-1] > value:
            values.pop()
            members += blocks.pop()
            members.sort()
            value = median(members)
        values.append(value)
        blocks.append(members)
    placed = iter([value for value, members in zip(values, blocks, strict=True) for _ in members])
    value = values[0] if values else -offsets[-1] / 2 if offsets else 0.0
    heights = []
    for wish, offset in zip(wishes, offsets, strict=True):
        if wish is not None:
            value = next(placed)
        heights.append(value + offset)
    return heights


def median(members: Sequence[tuple[float, float]]) -> float:
    """The weighted median of sorted (value, weight); of two in the middle the lower one."""
    half = sum([weight for _, weight in members]) / 2
    passed = 0.0
    for value, weight in members:
        passed += weight
        if passed >= half:
            return value
    raise AssertionError("weights that do not add up")


def _gap(level: Level, upper: int, lower: int) -> int:
    boxes = (level.nodes[upper].kind == BOX) + (level.nodes[lower].kind == BOX)
    return GAP_BOXES if boxes == 2 else GAP_BOX_BEND if boxes else 0


class _Ties:
    """The ties of each node: another node, by how much lower than that it would have to be for a straight line, and
    a weight."""

    def __init__(self, level: Level, there: set[int]) -> None:
        nodes = self._nodes = level.nodes
        self._before: list[list[Tie]] = [[] for _ in nodes]
        self._after: list[list[Tie]] = [[] for _ in nodes]
        self._all: list[list[Tie]] = [[] for _ in nodes]
        for channel in level.channels:
            inside = [strand for strand in channel if strand.source in there and strand.target in there]
            leaving = Counter([(strand.source, strand.sy) for strand in inside])
            coming = Counter([(strand.target, strand.ty) for strand in inside])
            for strand in inside:
                a, b, lower = strand.source, strand.target, strand.ty - strand.sy
                bends = (nodes[a].kind in (BEND, BACK)) + (nodes[b].kind in (BEND, BACK))
                weight = BEND_BEND if bends == 2 else BEND_NODE if bends else PLAIN
                if not bends and leaving[a, strand.sy] == 1 and coming[b, strand.ty] == 1:
                    weight = CHAIN
                if nodes[a].layer < nodes[b].layer:
                    self._after[a].append((b, lower, weight))
                    self._before[b].append((a, -lower, weight))
                elif nodes[a].layer > nodes[b].layer:
                    self._before[a].append((b, lower, weight))
                    self._after[b].append((a, -lower, weight))
                else:
                    weight = PLAIN
                self._all[a].append((b, lower, weight))
                self._all[b].append((a, -lower, weight))

    def chosen(self, onward: bool, is_late: bool) -> list[list[Tie]]:
        """The ties that each node looks at in a pass: where that comes from. In a late one boxes look to both sides;
        bends never do, so that a long line comes out straight as a whole."""
        beside = self._before if onward else self._after
        return [
            both if (is_late and node.kind == BOX) or not one else one
            for node, one, both in zip(self._nodes, beside, self._all, strict=True)
        ]


def _wish(ties: list[Tie], heights: list[float]) -> Wish:
    """The height that a node would like to have, and how much that is worth: the weighted median of its ties."""
    if len(ties) == 1:
        other, lower, weight = ties[0]
        return heights[other] + lower, weight
    if not ties:
        return None
    found = sorted([(heights[other] + lower, weight) for other, lower, weight in ties])
    total = sum([weight for _, weight in found])
    passed = 0
    for number, (height, weight) in enumerate(found):
        passed += weight
        if 2 * passed > total:
            return height, total
        if 2 * passed == total:
            return (height + found[number + 1][0]) / 2, total
    raise AssertionError("weights that do not add up")
