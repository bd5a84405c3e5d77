"""How a layout takes in what was born since, so that no two boxes change sides and edges alone move none."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ezmsg.ledger.projections.drawing.layout.borders import FROM_BORDER, ROOT, End
from ezmsg.ledger.projections.drawing.layout.layout import MARGIN, PAD, Layout
from ezmsg.ledger.projections.drawing.layout.level import BOX, Node
from ezmsg.ledger.projections.drawing.layout.space import add_border, add_box, resize
from ezmsg.ledger.projections.drawing.layout.threads import add_link
from ezmsg.ledger.projections.drawing.sizes import with_port
from ezmsg.ledger.projections.drawing.union import COLLECTION


def grow(layout: Layout, components: Iterable[Mapping[str, Any]], edges: Sequence[tuple[str, str]]) -> None:
    """Take in components that were registered and edges that never were before, level by level from the inside out.

    Collections of which all is new are laid out as ever. Cost: O(size of the levels that change).
    """
    union = layout.union
    known = len(union.boxes)
    ports = {topic: port.box for topic, port in union.ports.items()}
    union.add(components, edges)
    routed = layout.borders.extend()
    layout.children = union.children()
    new_ports: dict[int, list[str]] = {}
    for topic, port in union.ports.items():
        if topic not in ports and port.box < known:
            new_ports.setdefault(port.box, []).append(topic)
    for place in range(len(union.boxes) - 1, known - 1, -1):
        layout.measure(place)
    changed: set[int] = set()
    for place, topics in new_ports.items():
        box = union.boxes[place]
        if box.kind != COLLECTION:
            size = layout.sizes[place]
            for topic in topics:
                size = with_port(size, box.kind, topic, union.ports[topic].name)
            layout.resized(place, size)
            changed.add(place)
    touched = {level for level, _, _ in routed} | set(new_ports) | {box.parent for box in union.boxes[known:]}
    touched |= {union.boxes[place].parent for place in changed}
    levels = [place for place in range(known - 1, -1, -1) if union.boxes[place].kind == COLLECTION]
    for level in (*levels, ROOT):
        children = [child for child in layout.children[level] if child in changed]
        if level not in touched and not children:
            continue
        _grow_level(layout, level, children, [box for box in layout.children[level] if box >= known], routed)
        if level != ROOT:
            layout.fit(level)
            changed.add(level)


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
