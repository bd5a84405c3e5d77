"""Which layer each box of a level stands in: left to right, as messages go.

The method of Sugiyama, Tagawa and Toda (1981): break cycles, give each box the layer behind its furthest predecessor,
then move each towards where most of its edges lead, a cheap stand-in for the network simplex of Gansner et al. (1993).
"""

from collections.abc import Iterable, Sequence


def layers(boxes: Sequence[int], arrows: Iterable[tuple[int, int]]) -> dict[int, int]:
    """The layer of each box, from 1 on. ``boxes`` are in people's order, which decides where a cycle is broken.

    Arrows that would close a cycle lead back to the same layer or an earlier one. Cost: O(n + e).
    """
    out: dict[int, list[int]] = {box: [] for box in boxes}
    into: dict[int, list[int]] = {box: [] for box in boxes}
    for source, target in dict.fromkeys(arrows):
        if source != target:
            out[source].append(target)
    order = _forward(out)
    place = {box: number for number, box in enumerate(order)}
    for box in order:
        out[box] = [target for target in out[box] if place[target] > place[box]]
        for target in out[box]:
            into[target].append(box)
    layer: dict[int, int] = {}
    for box in order:
        layer[box] = max((layer[source] + 1 for source in into[box]), default=1)
    for box in reversed(order):
        if len(out[box]) > len(into[box]):
            layer[box] = max(layer[box], min(layer[target] for target in out[box]) - 1)
    return layer


def _forward(out: dict[int, list[int]]) -> list[int]:
    """The boxes so that few arrows lead back: depth first, those without an arrow to them as roots first."""
    entered = {target for targets in out.values() for target in targets}
    roots = [box for box in out if box not in entered] + [box for box in out if box in entered]
    done: set[int] = set()
    order: list[int] = []
    for root in roots:
        if root in done:
            continue
        done.add(root)
        stack = [(root, iter(out[root]))]
        while stack:
            box, targets = stack[-1]
            for target in targets:
                if target not in done:
                    done.add(target)
                    stack.append((target, iter(out[target])))
                    break
            else:
                order.append(box)
                stack.pop()
    return order[::-1]
