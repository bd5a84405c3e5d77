"""The order of the nodes within each layer: few crossings, and people's order wherever these leave a choice.

Each layer is sorted by where its neighbours' ports are, forth and back (Sugiyama, Tagawa and Toda, 1981); crossings are
counted at port heights, as Barth, Mutzel and Juenger (2004) do, and the best order is kept. Then neighbours are swapped
where that alone helps.
"""

from bisect import bisect_left, bisect_right, insort

from ezmsg.ledger.projections.drawing.layout.level import Level

SWEEPS = 6
"""Passes over all layers. Nearly always one of the first four was the best."""

IDLE_MAX = 2
"""Sweeps that may bring nothing before the rest is left out."""

SWAPS = 3
"""Rounds of swapping neighbours."""


class _Ties(list[tuple[int, float, float]]):
    """The ties of a node on one side: (other node, port height there, port height here), heights as shares."""


def arrange(level: Level) -> int:
    """Sort each layer of a level; returns the crossings that are left. Cost: O(sweeps * strands * log)."""
    before, after, beside = _ties(level)
    layers = level.layers
    place = [0.0] * len(level.nodes)
    for layer in layers:
        _number(layer, place)
    best = [list(layer) for layer in layers]
    least = _crossings(level, after, place)
    idle = 0
    for sweep in range(SWEEPS):
        if least == 0 or idle == IDLE_MAX:
            break
        onward = sweep % 2 == 0
        for layer in layers if onward else reversed(layers):
            _sort(layer, before if onward else after, beside, place)
        found = _crossings(level, after, place)
        idle += 1
        if found < least:
            least, idle = found, 0
            best = [list(layer) for layer in layers]
    level.layers[:] = best
    for layer in best:
        _number(layer, place)
    if least:
        least -= _swap(level, before, after, place)
    return least


def _ties(level: Level) -> tuple[list[_Ties], list[_Ties], list[_Ties]]:
    nodes = level.nodes
    before, after, beside = ([_Ties() for _ in nodes] for _ in range(3))
    for channel in level.channels:
        for strand in channel:
            a, b = strand.source, strand.target
            ya, yb = strand.sy / nodes[a].h, strand.ty / nodes[b].h
            if nodes[a].layer == nodes[b].layer:
                beside[a].append((b, yb, ya))
                beside[b].append((a, ya, yb))
                continue
            if nodes[a].layer > nodes[b].layer:
                a, ya, b, yb = b, yb, a, ya
            after[a].append((b, yb, ya))
            before[b].append((a, ya, yb))
    return before, after, beside


def _number(layer: list[int], place: list[float]) -> None:
    """Note where each node of a layer is, between 0 and 1: layers differ in size."""
    share = 1 / (len(layer) or 1)
    for number, node in enumerate(layer):
        place[node] = number * share


def _sort(layer: list[int], ties: list[_Ties], beside: list[_Ties], place: list[float]) -> None:
    share = 1 / (len(layer) or 1)
    wanted = {}
    for node in layer:
        found = ties[node] or beside[node]
        if found:
            wanted[node] = sum([place[other] + height * share for other, height, _ in found]) / len(found)
        else:
            wanted[node] = place[node]
    layer.sort(key=wanted.__getitem__)
    _number(layer, place)


def _crossings(level: Level, after: list[_Ties], place: list[float]) -> int:
    """How many pairs of strands cross, over all channels. Cost: O(strands * log)."""
    total = 0
    for layer, following in zip(level.layers, level.layers[1:], strict=False):
        share, share_after = 1 / (len(layer) or 1), 1 / (len(following) or 1)
        ends = sorted(
            [
                (place[node] + here * share, place[other] + there * share_after)
                for node in layer
                for other, there, here in after[node]
            ]
        )
        seen: list[float] = []
        for number, (_, end) in enumerate(ends):
            total += number - bisect_right(seen, end)
            insort(seen, end)
    return total


def _swap(level: Level, before: list[_Ties], after: list[_Ties], place: list[float]) -> int:
    """Swap neighbours in a layer while that takes crossings away; returns how many it took."""
    gained = 0
    for _ in range(SWAPS):
        gain = 0
        for layer in level.layers:
            if len(layer) < 2:
                continue
            ends = [
                [sorted([place[other] + there * 1e-3 for other, there, _ in ties[node]]) for ties in (before, after)]
                for node in layer
            ]
            for number in range(len(layer) - 1):
                upper, lower = ends[number], ends[number + 1]
                saved = 0
                for above, below in zip(upper, lower, strict=True):
                    if above and below and above[-1] > below[0]:
                        saved += _over(above, below) - _over(below, above)
                if saved > 0:
                    a, b = layer[number], layer[number + 1]
                    layer[number], layer[number + 1] = b, a
                    ends[number], ends[number + 1] = lower, upper
                    place[a], place[b] = place[b], place[a]
                    gain += saved
        gained += gain
        if not gain:
            break
    return gained


def _over(upper: list[float], lower: list[float]) -> int:
    """Crossings of the strands of two neighbours, of which one is above the other."""
    return sum([bisect_left(lower, end) for end in upper])
