"""The inside of one collection with a place for everything: its rows, the heights of its nodes, its tracks."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import msgspec

from ezmsg.ledger.projections.drawing.layout import heights, order, rows, tracks
from ezmsg.ledger.projections.drawing.layout.level import BACK, BEND, ENTRY, EXIT, LANE, Level, Strand

SHELF_GAP = 16
"""Pixels between boxes that no line leads to."""

SIMPLE_GAP = 60
"""Pixels between the boxes of a level with too many lines to route: some paper is left to see."""

ASIDE = 6
"""Pixels from the border, from a row and from a line of the shelf at which lines go round them: always free."""

SHELF_SHAPE = 2.4
"""Width by height of a level of such boxes alone."""


class Row(msgspec.Struct):
    """Layers ``first`` to ``last`` (not included), from height ``top`` to ``bottom``."""

    first: int
    last: int
    top: int = 0
    bottom: int = 0


class Added(Strand, gc=False):
    """A strand that came when all had its place: between any two nodes, through space that was free.

    ``track`` and ``into`` are how far behind its source's layer, and before its target's, it runs up or down; ``via``
    is the height at which it passes layers between, None when there are none; ``is_around``: it goes round the rows.
    """

    into: int = 0
    via: int | None = None
    is_around: bool = False


class Inside:
    """A level whose nodes and lines have their places, in pixels from its upper left corner: ``w`` by ``h``."""

    def __init__(self, level: Level) -> None:
        self.level = level
        self.w = self.h = 0
        self.rows: list[Row] = []
        self.x: list[int] = []
        self.layer_w = [max((level.nodes[node].w for node in layer), default=0) for layer in level.layers]
        self.shelf: dict[int, int] = {}
        self.added: list[Added] = []

    def node_x(self, number: int) -> int:
        """The height at which a node begins."""
        node = self.level.nodes[number]
        if number in self.shelf:
            return self.shelf[number]
        return self.w - node.w if node.kind == EXIT else self.x[node.layer]

    def lines(self) -> Iterator[tuple[list[int], list[int]]]:
        """The strands as [x, y, x, y, ...] from source to target, with the places of their edges."""
        for channel, strands in enumerate(self.level.channels):
            for strand in strands:
                yield self._line(channel, strand), strand.edges
        for added in self.added:
            yield self._added(added), added.edges

    def row_of(self, layer: int) -> int:
        """The number of the row that a layer is in."""
        return next(number for number, row in enumerate(self.rows) if layer < row.last)

    def _line(self, channel: int, strand: Strand) -> list[int]:
        nodes = self.level.nodes
        y1, y2 = nodes[strand.source].y + strand.sy, nodes[strand.target].y + strand.ty
        if self.level.is_simple:
            start = self.node_x(strand.source) + nodes[strand.source].w
            return [start, y1, self.node_x(strand.target), y2]
        x1, x2 = self._start_x(strand, channel), self._end_x(strand, channel)
        if strand.turn is not None:
            x, y = strand.turn
            return [x1, y1, strand.track, y1, strand.track, y, x, y, x, y2, x2, y2]
        if y1 == y2 and not strand.track:
            return [x1, y1, x2, y2]
        track = strand.track or self.x[channel] + self.layer_w[channel] + ASIDE  # growth may have bent a straight one
        return [x1, y1, track, y1, track, y2, x2, y2]

    def _added(self, strand: Added) -> list[int]:
        source, target = self.level.nodes[strand.source], self.level.nodes[strand.target]
        x1, y1 = self.node_x(strand.source) + source.w, source.y + strand.sy
        x2, y2 = self.w if target.kind == EXIT else self.node_x(strand.target), target.y + strand.ty
        out = x1 if strand.source in self.shelf else self.x[source.layer] + self.layer_w[source.layer]
        into = x2 if strand.target in self.shelf else self.x[target.layer]
        first, second = out + strand.track, into - strand.into
        if source.kind == ENTRY:
            x1 = 0
        if strand.is_around:
            down, up = self._beside(strand.source), self._beside(strand.target)
            return [x1, y1, first, y1, first, down, ASIDE, down, ASIDE, up, second, up, second, y2, x2, y2]
        if strand.via is not None:
            return [x1, y1, first, y1, first, strand.via, second, strand.via, second, y2, x2, y2]
        return [x1, y1, x2, y2] if y1 == y2 else [x1, y1, first, y1, first, y2, x2, y2]

    def _beside(self, number: int) -> int:
        """The height of the free space below the row that a node is in, or above its line of the shelf."""
        node = self.level.nodes[number]
        if number in self.shelf:
            return node.y - ASIDE
        return self.rows[self.row_of(node.layer)].bottom + ASIDE

    def _start_x(self, strand: Strand, channel: int) -> int:
        node = self.level.nodes[strand.source]
        if node.kind in (BEND, ENTRY):  # what came in at the left goes on
            return self.x[node.layer]
        if node.kind == BACK:
            return self.x[node.layer] + self.layer_w[node.layer]
        return self.node_x(strand.source) + node.w

    def _end_x(self, strand: Strand, channel: int) -> int:
        node = self.level.nodes[strand.target]
        if node.layer == channel:  # it leads back: to the right side of a bend
            return self.x[node.layer] + self.layer_w[node.layer]
        return self.w if node.kind == EXIT else self.x[node.layer]


def laid_out(level: Level, pad: int, title: int) -> Inside:
    """Order the nodes of a level, and give all of them places. ``pad``: the free space within the border, in pixels.

    ``title`` is the width that its name needs. Cost: see ``order`` and ``heights``.
    """
    if not level.is_simple:
        order.arrange(level)
    inside = Inside(level)
    nodes, layers = level.nodes, level.layers
    loads = [len({(strand.source, strand.sy) for strand in channel}) for channel in level.channels]
    rooms = [*(tracks.width_of(load // 2) for load in loads), 0]
    stacked = max((sum(nodes[node].h + heights.GAP_BOX_BEND for node in layer) for layer in layers), default=0)
    widths = [width + room for width, room in zip(inside.layer_w, rooms, strict=True)]
    begins = [0, *rows.breaks(widths, stacked, loads), len(layers)]
    inside.rows = [Row(first, last) for first, last in pairwise(begins)]
    y = pad
    for row in inside.rows:
        if row.first:
            y += _turn(level, row.first - 1, y)
        row.top = y
        y += heights.settle(level, layers[row.first : row.last])
        row.bottom = y
        for layer in layers[row.first : row.last]:
            for node in layer:
                nodes[node].y += row.top
    if not any(layers):  # what the shelf stands in is no row: there is free space above it
        inside.rows[0].top = inside.rows[0].bottom = pad - 2 * ASIDE
    inside.h = y + pad
    _across(inside, pad)
    inside.w = max(inside.w, title)
    if level.loose:
        _shelve(inside, pad)
    if layers:
        inside.x[-1] = inside.w - inside.layer_w[-1]
    return inside


def _sides(level: Level, channel: int) -> tuple[list[Strand], list[Strand], list[Strand]]:
    """The strands of a channel that stay beside its left layer, those that cross it, and those beside its right one."""
    found: tuple[list[Strand], list[Strand], list[Strand]] = ([], [], [])
    for strand in level.channels[channel]:
        ends = level.nodes[strand.source].layer, level.nodes[strand.target].layer
        found[1 if ends[0] != ends[1] else 0 if ends[0] == channel else 2].append(strand)
    return found


def _turn(level: Level, channel: int, y: int) -> int:
    """Number the tracks of what leads from a row to the next; returns the height between the rows.

    The lowest one turns first, so that the others go round it: they cross only if they arrive in another order.
    """
    nets = tracks.nets_of(level, channel, _sides(level, channel)[1])
    nets.sort(key=lambda net: (-max(net.left), max(net.right)))
    for number, net in enumerate(nets):
        for strand in net.strands:
            strand.track, strand.turn = number, (number, y + rows.ROW_GAP // 2 + LANE * number)
    return rows.ROW_GAP + LANE * max(0, len(nets) - 1)


def _across(inside: Inside, pad: int) -> None:
    """Give layers and tracks their x, row by row."""
    level = inside.level
    inside.x = [0] * len(level.layers)
    for row in inside.rows:
        x = 0
        if row.first:
            _, crossing, beside = _sides(level, row.first - 1)
            x = _turned(level, crossing, pad, False)
            x = _tracked(level, row.first - 1, beside, x)
        for layer in range(row.first, row.last):
            inside.x[layer] = x
            x += inside.layer_w[layer]
            if layer < row.last - 1:
                x = _tracked(level, layer, level.channels[layer], x)
            elif row.last < len(level.layers):
                beside, crossing, _ = _sides(level, layer)
                x = _turned(level, crossing, _tracked(level, layer, beside, x), True) + pad
        inside.w = max(inside.w, x)


def _tracked(level: Level, channel: int, strands: Sequence[Strand], x: int) -> int:
    """Route strands in a channel that begins at x; returns where it ends."""
    if level.is_simple:
        return x + tracks.CHANNEL_MIN
    count = tracks.route(level, channel, strands)
    for strand in strands:
        source, target = level.nodes[strand.source], level.nodes[strand.target]
        is_straight = source.y + strand.sy == target.y + strand.ty and source.layer != target.layer
        strand.track = 0 if is_straight else x + tracks.MARGIN + LANE * strand.track
    return x + tracks.width_of(count)


def _turned(level: Level, strands: Sequence[Strand], x: int, leaves: bool) -> int:
    """Place the tracks of what turns into another row: at the end of a row (``leaves``), or where the next begins."""
    count = 0
    for strand in strands:
        assert strand.turn is not None
        goes_on = level.nodes[strand.source].layer < level.nodes[strand.target].layer
        number, y = strand.turn
        if leaves == goes_on:
            count = max(count, strand.track + 1)
            strand.track = x + LANE * strand.track
        else:
            count = max(count, number + 1)
            strand.turn = (x + LANE * number, y)
    return x + LANE * count


def _shelve(inside: Inside, pad: int) -> None:
    """Put boxes without a line below all others, in rows."""
    level = inside.level
    gap = SIMPLE_GAP if level.is_simple else SHELF_GAP
    sizes = [(level.nodes[number].w, level.nodes[number].h) for number in level.loose]
    area = sum((w + gap) * (h + gap) for w, h in sizes)
    width = max(inside.w - 2 * pad, int((area * SHELF_SHAPE) ** 0.5), *(w for w, _ in sizes))
    left, y, line = pad, pad, 0
    if level.is_simple:
        left += inside.layer_w[0]
    elif any(level.layers):
        y = inside.h
    x = left
    for number in level.loose:
        node = level.nodes[number]
        if x > left and x + node.w > left + width:
            x, y, line = left, y + line + gap, 0
        node.y = y
        inside.shelf[number] = x
        inside.w = max(inside.w, x + node.w + pad)
        x += node.w + gap
        line = max(line, node.h)
    inside.h = max(inside.h, y + line + pad)
    if level.is_simple:
        inside.w += inside.layer_w[-1]
