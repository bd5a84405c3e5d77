"""The layer of each box of a level: left to right, as messages go.

The method of Sugiyama, Tagawa and Toda (1981). Cycles are broken by the greedy order of Eades, Lin and Smyth (1993),
which keeps banks side by side when one feedback line closes their loop. Each box then gets the layer after its
furthest predecessor, and moves towards where most of its edges lead: a cheap stand-in for the network simplex of
Gansner et al. (1993).
"""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from heapq import heapify, heappop, heappush

SETTINGS_WEIGHT, WEIGHT = 1, 3
"""The worth of an arrow that leads to the right: those of settings lead back rather than those of data."""

SHAPE = 1 / 3
"""Width by height that a layer of boxes at which ways begin or end may have, however low all others are."""

HIGH_MIN = 900
"""Pixels: no layer up to this height is too high; a screen has as many."""

ROOM_X, ROOM_Y = 60, 22
"""Pixels that a box takes beside its own size."""


def layers(
    boxes: Sequence[int], arrows: Iterable[tuple[int, int, bool]], sizes: Mapping[int, tuple[int, int]]
) -> dict[int, int]:
    """The layer of each box, from 1 on. ``boxes`` are in people's order, which decides where there is a choice.

    ``arrows``: (source, target, whether it is of settings); those that would close a cycle lead back to the same layer
    or an earlier one. ``sizes``: widths and heights. Cost: O(n log n + e).
    """
    weights: dict[tuple[int, int], int] = {}
    for source, target, is_settings in arrows:
        if source != target:
            key = (source, target)
            weights[key] = weights.get(key, 0) + (SETTINGS_WEIGHT if is_settings else WEIGHT)
    place = {box: number for number, box in enumerate(_forward(boxes, weights))}
    out: dict[int, list[int]] = {box: [] for box in place}
    into: dict[int, list[int]] = {box: [] for box in place}
    for source, target in weights:
        if place[source] < place[target]:
            out[source].append(target)
            into[target].append(source)
    layer: dict[int, int] = {}
    for box in place:
        layer[box] = max((layer[source] + 1 for source in into[box]), default=1)
    for box in reversed(place):
        if len(out[box]) > len(into[box]):
            layer[box] = max(layer[box], min(layer[target] for target in out[box]) - 1)
    return _spread(boxes, layer, out, into, sizes)


def _forward(boxes: Sequence[int], weights: Mapping[tuple[int, int], int]) -> list[int]:
    """The boxes in an order in which little leads back: sources first, sinks last, else the box that gives most."""
    out: dict[int, dict[int, int]] = {box: {} for box in boxes}
    into: dict[int, dict[int, int]] = {box: {} for box in boxes}
    for (source, target), weight in weights.items():
        out[source][target] = weight
        into[target][source] = weight
    rank = {box: number for number, box in enumerate(boxes)}
    gives = {box: sum(out[box].values()) - sum(into[box].values()) for box in boxes}
    heap = [(-gives[box], rank[box], box) for box in boxes]
    heapify(heap)
    sources = deque(box for box in boxes if not into[box])
    sinks = [box for box in reversed(boxes) if into[box] and not out[box]]
    left = dict.fromkeys(boxes)
    first: list[int] = []
    last: list[int] = []
    while left:
        if sinks:
            box, to = sinks.pop(), last
        elif sources:
            box, to = sources.popleft(), first
        else:
            negative, _, box = heappop(heap)
            if -negative != gives[box]:
                continue
            to = first
        if box not in left:
            continue
        del left[box]
        to.append(box)
        for other, weight in out[box].items():
            if other in left:
                del into[other][box]
                gives[other] += weight
                if not into[other]:
                    sources.append(other)
                heappush(heap, (-gives[other], rank[other], other))
        for other, weight in into[box].items():
            if other in left:
                del out[other][box]
                gives[other] -= weight
                if not out[other]:
                    sinks.append(other)
                heappush(heap, (-gives[other], rank[other], other))
    return [*first, *reversed(last)]


def _spread(
    boxes: Sequence[int],
    layer: dict[int, int],
    out: Mapping[int, Sequence[int]],
    into: Mapping[int, Sequence[int]],
    sizes: Mapping[int, tuple[int, int]],
) -> dict[int, int]:
    """Give boxes at which ways end, or begin, further layers where one would be far higher than all is wide."""
    if not layer:
        return layer
    last = max(layer.values())
    columns: list[list[int]] = [[] for _ in range(last + 1)]
    for box in boxes:
        columns[layer[box]].append(box)
    tallest = max(sizes[box][1] for box in boxes) + ROOM_Y
    found: dict[int, int] = {}
    number = 0
    for column in columns[1:]:
        starts = [box for box in column if not into[box]]
        inner = [box for box in column if into[box] and out[box]]
        goals = [box for box in column if into[box] and not out[box]]
        area = sum((sizes[box][0] + ROOM_X) * (sizes[box][1] + ROOM_Y) for box in (*starts, *goals))
        high = max(HIGH_MIN, tallest, _height(inner, sizes), int((area / SHAPE) ** 0.5))
        room = high - _height(inner, sizes)
        beside, *before = _filled(starts, room, high, sizes)
        below, *behind = _filled(goals, room - _height(beside, sizes), high, sizes)
        for group in (*reversed(before), [*beside, *inner, *below], *behind):
            number += 1
            found.update(dict.fromkeys(group, number))
    return found


def _height(group: Iterable[int], sizes: Mapping[int, tuple[int, int]]) -> int:
    return sum(sizes[box][1] + ROOM_Y for box in group)


def _filled(group: Sequence[int], room: int, high: int, sizes: Mapping[int, tuple[int, int]]) -> list[list[int]]:
    """The boxes in columns of about equal height: the first one has so much room and may stay empty."""
    total = _height(group, sizes)
    if total <= room:
        return [list(group)]
    count = -(-total // high)
    first: list[int] = []
    is_low = room * count < total
    if is_low:
        while room >= _height(group[: len(first) + 1], sizes):
            first.append(group[len(first)])
        group = group[len(first) :]
        total = _height(group, sizes)
        count = -(-total // high)
    columns: list[list[int]] = [[] for _ in range(count)]
    passed = 0
    for box in group:
        height = sizes[box][1] + ROOM_Y
        columns[(2 * passed + height) * count // (2 * total)].append(box)
        passed += height
    return [first, *columns] if is_low else columns
