"""Where boxes stand when a graph is drawn from left to right: in layers, with few crossings.

The method of Sugiyama, Tagawa and Toda (1981): break cycles, give each box the layer behind its furthest predecessor,
then sort each layer by the middle of its neighbours, a few times forth and back.
"""

from collections.abc import Iterable
from itertools import count, pairwise
from typing import NamedTuple, TypeAlias

SWEEPS = 4
"""Passes over the layers. After the second or third there are rarely fewer crossings."""

Place: TypeAlias = str | int
"""A box, or a number: a bend, where an arrow passes a layer on its way."""


class Layers(NamedTuple):
    """``layers``: what stands in each, from top to bottom; ``bends``: those that an arrow passes, in its order."""

    layers: list[list[Place]]
    bends: dict[tuple[str, str], list[int]]


def layers(boxes: Iterable[str], arrows: Iterable[tuple[str, str]]) -> Layers:
    """The boxes in layers. The same graph always gives the same picture.

    Arrows that would close a cycle, or lead to where they come from, count for nothing and have no bends. Cost:
    O((n + e) log n), and as many bends as arrows pass layers.
    """
    out: dict[str, list[str]] = {box: [] for box in boxes}
    for source, target in dict.fromkeys(arrows):
        if source != target:
            out[source].append(target)
    order = _forward(out)
    place = {box: number for number, box in enumerate(order)}
    rank = dict.fromkeys(order, 0)
    for box in order:
        for target in out[box]:
            if place[target] > place[box]:
                rank[target] = max(rank[target], rank[box] + 1)
    made: list[list[Place]] = [[] for _ in range(max(rank.values(), default=-1) + 1)]
    for box in order:
        made[rank[box]].append(box)
    into: dict[Place, list[Place]] = {}
    onward: dict[Place, list[Place]] = {}
    bends: dict[tuple[str, str], list[int]] = {}
    numbers = count()
    for source, target in ((box, other) for box in order for other in out[box]):
        if place[target] > place[source]:
            passed = bends[source, target] = [next(numbers) for _ in range(rank[source] + 1, rank[target])]
            for layer, bend in zip(range(rank[source] + 1, rank[target]), passed, strict=True):
                made[layer].append(bend)
            way: list[Place] = [source, *passed, target]
            for before, after in pairwise(way):
                into.setdefault(after, []).append(before)
                onward.setdefault(before, []).append(after)
    _untangle(made, into, onward)
    return Layers(made, bends)


def _forward(out: dict[str, list[str]]) -> list[str]:
    """An order in which arrows lead forward, but for those that close a cycle: depth first, without recursion."""
    done: list[str] = []
    seen: set[str] = set()
    for root in out:
        stack: list[tuple[str, int]] = [(root, 0)] if root not in seen else []
        seen.add(root)
        while stack:
            box, index = stack.pop()
            if index < len(out[box]):
                stack.append((box, index + 1))
                target = out[box][index]
                if target not in seen:
                    seen.add(target)
                    stack.append((target, 0))
            else:
                done.append(box)
    return done[::-1]


def _untangle(made: list[list[Place]], into: dict[Place, list[Place]], onward: dict[Place, list[Place]]) -> None:
    for sweep in range(SWEEPS):
        ahead = sweep % 2 == 0
        neighbours = into if ahead else onward
        height = {each: number / max(1, len(layer) - 1) for layer in made for number, each in enumerate(layer)}
        for layer in made if ahead else made[::-1]:
            middle = {}
            for each in layer:
                near = neighbours.get(each)
                middle[each] = sum(height[other] for other in near) / len(near) if near else height[each]
            layer.sort(key=middle.__getitem__)
            height.update((each, number / max(1, len(layer) - 1)) for number, each in enumerate(layer))
