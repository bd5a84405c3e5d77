"""A collection's inside while it is laid out: nodes in layers, and the strands that run between neighbouring ones."""

from collections.abc import Mapping, Sequence

import msgspec

from ezmsg.ledger.projections.drawing.layout.borders import DECLARED, FROM_BORDER, End, Key, Links
from ezmsg.ledger.projections.drawing.layout.layers import layers

BOX, ENTRY, EXIT, BEND, BACK = range(5)
"""Kinds of nodes: boxes, ports of the level's own border, and bends, where a line passes a layer onward or back."""

PITCH = 17
"""Pixels: the height of a port on a border, that of a row in a unit: parallel lines then stay straight."""

LANE = 9
"""Pixels: the height of a bend, and the distance between two tracks."""


class Node(msgspec.Struct, gc=False):
    """A node. ``left`` and ``right`` are the heights within it at which lines meet it, by port."""

    kind: int
    box: int
    w: int
    h: int
    left: Mapping[Key, int]
    right: Mapping[Key, int]
    key: Key = (DECLARED, "")
    layer: int = 0
    y: int = 0


class Strand(msgspec.Struct, gc=False):
    """A piece of line within one channel, from a node to one: ``sy`` and ``ty`` are the heights within these.

    ``track`` is the x of its vertical piece; ``turn`` is set where it leads into another row: the x of the track there,
    and the y of the one between the rows.
    """

    source: int
    sy: int
    target: int
    ty: int
    edges: list[int]
    track: int = 0
    turn: tuple[int, int] | None = None


LINKS_MAX = 6_000
"""Links of one level that are routed. A drawing of more is a tangle, whatever is done: it is drawn in a second then."""


COLUMN_MAX = 4
"""Boxes of a level without any link that stand in one layer; more stand on a shelf."""


class Level:
    """The nodes of one level, their layers, and the strands in each channel: channel n is behind layer n.

    Layer 0 is the border that lines come in through, the last one that which they leave through.
    """

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.layers: list[list[int]] = []
        self.channels: list[list[Strand]] = []
        self.loose: list[int] = []
        self.is_simple = False
        self.at: dict[End, int] = {}
        self.boxes: dict[int, int] = {}
        self.ways: dict[tuple[End, End], list[Strand]] = {}
        self._trunks: dict[tuple[int, int, bool], dict[int, tuple[int, Strand]]] = {}

    def add(self, node: Node) -> int:
        """Take a node in; returns its number."""
        self.nodes.append(node)
        return len(self.nodes) - 1

    def find(self, end: End) -> int:
        """The number of the node that an end of a link is."""
        return self.at[end] if end.node < 0 else self.boxes[end.node]


def level_of(
    boxes: Sequence[tuple[int, int, int, Mapping[Key, int], Mapping[Key, int]]],
    borders: Sequence[tuple[int, Key, int]],
    links: Links,
) -> Level:
    """A level ready to be ordered. ``boxes``: (place, width, height, left ports, right ports) in people's order.

    ``borders``: (FROM_BORDER or TO_BORDER, key, width of its name). Long links get bends: one trunk for all from one
    port, and for those that lead back one for all to one port. A level of too many links is simple: all its boxes are
    loose and its lines straight. Cost: O(n + links * layers).
    """
    level = Level()
    level.is_simple = len(links) > LINKS_MAX
    linked = {end.node for link in links for end in link}
    for place, w, h, left, right in boxes:
        number = level.boxes[place] = level.add(Node(BOX, place, w, h, left, right))
        if level.is_simple or (place not in linked and (linked or len(boxes) > COLUMN_MAX)):
            level.loose.append(number)
    for side, key, w in borders:
        kind = ENTRY if side == FROM_BORDER else EXIT
        offsets = {key: PITCH // 2}
        level.at[End(side, key)] = level.add(Node(kind, -1, w, PITCH, offsets, offsets, key))
    loose = set(level.loose)
    inner = [place for place, *_ in boxes if level.boxes[place] not in loose]
    found: dict[int, int] = {}
    if not level.is_simple:
        arrows = [(a.node, b.node, _is_settings(b.key)) for a, b in links if a.node >= 0 and b.node >= 0]
        found = layers(inner, arrows, {place: (w, h) for place, w, h, *_ in boxes})
    last = max(found.values(), default=0) + 1
    level.layers = [[] for _ in range(last + 1)]
    level.channels = [[] for _ in range(last)]
    for number, node in enumerate(level.nodes):
        if number not in loose:
            node.layer = 0 if node.kind == ENTRY else last if node.kind == EXIT else found[node.box]
            level.layers[node.layer].append(number)
    for (source, target), edges in links.items():
        if level.is_simple:
            a, b = level.find(source), level.find(target)
            sy, ty = level.nodes[a].right[source.key], level.nodes[b].left[target.key]
            level.channels[0].append(Strand(a, sy, b, ty, list(edges)))
            level.ways[source, target] = level.channels[0][-1:]
        else:
            _string(level, source, target, edges)
    return level


def _is_settings(key: Key) -> bool:
    return key[1].endswith("SETTINGS")


def _string(level: Level, source: End, target: End, edges: list[int]) -> None:
    """Lay a link through the layers that it passes."""
    nodes = level.nodes
    a, b = level.find(source), level.find(target)
    sy, ty = nodes[a].right[source.key], nodes[b].left[target.key]
    first, last = nodes[a].layer, nodes[b].layer
    way = level.ways[source, target] = []
    if first < last:
        here, y = a, sy
        trunk = level._trunks.setdefault((a, sy, True), {})
        for layer in range(first + 1, last):
            here, strand = _bend(level, trunk, layer, (here, y), BEND, layer - 1, edges)
            way.append(strand)
            y = LANE // 2
        way.append(Strand(here, y, b, ty, list(edges)))
        level.channels[last - 1].append(way[-1])
        return
    trunk = level._trunks.setdefault((b, ty, False), {})
    here, y = b, ty
    for layer in range(last, first + 1):  # from the target on, against the direction of the messages
        channel = last - 1 if layer == last else layer - 1
        here, strand = _bend(level, trunk, layer, (here, y), BACK, channel, edges)
        way.append(strand)
        y = LANE // 2
    way.append(Strand(a, sy, here, y, list(edges)))
    level.channels[first].append(way[-1])


def _bend(
    level: Level,
    trunk: dict[int, tuple[int, Strand]],
    layer: int,
    here: tuple[int, int],
    kind: int,
    channel: int,
    edges: list[int],
) -> tuple[int, Strand]:
    """The bend of a trunk in a layer, and the strand between it and where the trunk comes from."""
    known = trunk.get(layer)
    if known is not None:
        known[1].edges.extend(edges)
        return known
    middle = {(DECLARED, ""): LANE // 2}
    bend = level.add(Node(kind, -1, 0, LANE, middle, middle, layer=layer))
    level.layers[layer].append(bend)
    ends = (*here, bend, LANE // 2) if kind == BEND else (bend, LANE // 2, *here)
    strand = Strand(*ends, list(edges))
    level.channels[channel].append(strand)
    trunk[layer] = (bend, strand)
    return bend, strand
