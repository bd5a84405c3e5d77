"""Taking in what was born since a layout, so that no two boxes change sides and edges alone move none."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ezmsg.ledger.projections.drawing.layout.added_lines import add_link
from ezmsg.ledger.projections.drawing.layout.borders import FROM_BORDER, ROOT, End
from ezmsg.ledger.projections.drawing.layout.layout import MARGIN, PAD, Layout
from ezmsg.ledger.projections.drawing.layout.level import BOX, Node
from ezmsg.ledger.projections.drawing.layout.space import add_border, add_box, resize
from ezmsg.ledger.projections.drawing.sizes import with_port
from ezmsg.ledger.projections.drawing.union import COLLECTION


def grow(layout: Layout, components: Iterable[Mapping[str, Any]], edges: Sequence[tuple[str, str]]) -> None:
    """Take in components that were registered and edges that never were before, level by level from the inside out.

    Collections of which all is new are laid out as ever. Cost: O(size of the levels that change).
    """
    union = layout.union
    known = len(union.boxes)
    topics = union.add(components, edges)
    routed = layout.borders.extend()
    fresh = range(known, len(union.boxes))
    for place in fresh:
        layout.children.setdefault(union.boxes[place].parent, []).append(place)
    for place in reversed(fresh):
        layout.measure(place)
    changed = _with_ports(layout, [topic for topic in topics if union.ports[topic].box < known])
    touched = {level for level, _, _ in routed} | {box.parent for box in union.boxes[known:]}
    touched |= {place if union.boxes[place].kind == COLLECTION else union.boxes[place].parent for place in changed}
    levels = {ROOT}
    for level in touched:
        while level not in levels:
            if level < known:
                levels.add(level)
            level = union.boxes[level].parent
    changed = {place for place in changed if union.boxes[place].kind != COLLECTION}
    for level in sorted(levels, reverse=True):  # those inside come after what is around them
        children = layout.children.get(level, ())
        resized = [child for child in children if child in changed]
        if level in touched or resized:
            _grow_level(layout, level, resized, [child for child in children if child >= known], routed)
            if level != ROOT:
                layout.fit(level)
                changed.add(level)


def _with_ports(layout: Layout, topics: Iterable[str]) -> set[int]:
    """Give boxes that were there new ports; returns their places. Those of collections follow from their inside."""
    union = layout.union
    changed = set()
    for topic in topics:
        place = union.ports[topic].box
        box = union.boxes[place]
        if box.kind != COLLECTION:
            layout.resized(place, with_port(layout.sizes[place], box.kind, topic, union.ports[topic].name))
        changed.add(place)
    return changed


def _grow_level(
    layout: Layout,
    level: int,
    changed: Iterable[int],
    fresh: Iterable[int],
    routed: Sequence[tuple[int, tuple[End, End], int]],
) -> None:
    inside = layout.insides[level]
    pad = MARGIN if level == ROOT else PAD
    links = [(link, edge) for where, link, edge in routed if where == level]
    for box in changed:
        resize(inside, box, layout.sizes[box].w, layout.sizes[box].h, *layout.ports[box])
    for box in fresh:
        size = layout.sizes[box]
        add_box(inside, Node(BOX, box, size.w, size.h, *layout.ports[box]), [link for link, _ in links], pad)
    borders = {} if level == ROOT else layout.declared(level)
    for link, _ in links:
        for end in link:
            if end.node < 0:
                borders.setdefault((end.node, end.key), pad)
    for (side, key), width in borders.items():
        end = End(side, key)
        if end not in inside.level.at:
            add_border(inside, end, width, _wish(inside, end, [link for link, _ in links]))
    for link, edge in links:
        add_link(inside, link, edge)


def _wish(inside: Any, end: End, links: Iterable[tuple[End, End]]) -> int | None:
    """The height of what a port on the border is linked to."""
    level = inside.level
    for source, target in links:
        other = target if source == end else source if target == end else None
        if other is not None and other.node >= 0:
            node = level.nodes[level.boxes[other.node]]
            heights = node.left if end.node == FROM_BORDER else node.right
            return int(node.y + heights[other.key])
    return None
