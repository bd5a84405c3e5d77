"""Space for what comes into a level that is laid out: boxes and ports on its border, inserted between the others.

All below a cut moves down and all after a layer moves right, so whatever was above or left of something stays so.
"""

from collections.abc import Iterable, Mapping, Sequence
from statistics import median_low

from ezmsg.ledger.projections.drawing.layout.borders import DECLARED, FROM_BORDER, End, Key
from ezmsg.ledger.projections.drawing.layout.heights import GAP_BOX_BEND, GAP_BOXES
from ezmsg.ledger.projections.drawing.layout.inside import ASIDE, SHELF_GAP, Inside, Row
from ezmsg.ledger.projections.drawing.layout.level import BEND, BOX, ENTRY, EXIT, LANE, PITCH, Node, Strand
from ezmsg.ledger.projections.drawing.layout.tracks import CHANNEL_MIN

STEP = 24
"""Pixels: space is inserted in multiples of this, so that the next box may find some."""

NEAR = 160
"""Pixels: free space no further than this from where a box should be is taken, else space is inserted."""

Link = tuple[End, End]


def open_below(inside: Inside, row: int, cut: int, extra: int) -> None:
    """Move all of a row that begins at ``cut`` or below, and all rows below it, down by ``extra`` pixels."""
    if extra <= 0:
        return
    level = inside.level
    last = inside.rows[row].last if inside.rows else 0
    first = inside.rows[row].first if inside.rows else 0
    for number, node in enumerate(level.nodes):
        if number in inside.shelf or node.layer >= last or (node.layer >= first and node.y >= cut):
            node.y += extra
    for channel in level.channels:
        for strand in channel:
            if strand.turn is not None and strand.turn[1] >= cut:
                strand.turn = (strand.turn[0], strand.turn[1] + extra)
    for added in inside.added:
        if added.via is not None and added.via >= cut:
            added.via += extra
    for number, each in enumerate(inside.rows):
        if number > row:
            each.top += extra
        if number >= row:
            each.bottom += extra
    inside.h += extra


def open_behind(inside: Inside, cut: int, extra: int, layer: int = -1) -> None:
    """Move all that begins at x ``cut`` or after to the right by ``extra`` pixels, in all rows.

    The tracks after what moves, and after ``layer``, whose right side that is, move along.
    """
    if extra <= 0:
        return
    moved = {each for each, x in enumerate(inside.x) if x >= cut and each != layer}
    for each in moved:
        inside.x[each] += extra
    for number, x in inside.shelf.items():
        if x >= cut:
            inside.shelf[number] = x + extra
    moved.add(layer)
    nodes = inside.level.nodes
    for channel, strands in enumerate(inside.level.channels):
        if channel not in moved:
            continue
        for strand in strands:
            first, last = nodes[strand.source].layer, nodes[strand.target].layer
            begins_row = first > channel < last and inside.row_of(channel) != inside.row_of(channel + 1)
            if strand.turn is not None and first > last:  # it comes from the next row: its end is in this one
                strand.turn = (strand.turn[0] + extra, strand.turn[1])
            elif strand.track and not begins_row:
                strand.track += extra
    inside.w += extra
    _exits(inside)


def widen(inside: Inside, layer: int, width: int) -> None:
    """Make a layer so wide: what is behind it moves right."""
    extra, cut = width - inside.layer_w[layer], inside.x[layer] + inside.layer_w[layer]
    if extra > 0:
        inside.layer_w[layer] = width
        open_behind(inside, cut, extra, layer)


def _exits(inside: Inside) -> None:
    """The last layer is the border that lines leave through."""
    if inside.x:
        inside.x[-1] = inside.w - inside.layer_w[-1]


# --- boxes -----------------------------------------------------------------------------------------------------------


def resize(inside: Inside, place: int, w: int, h: int, left: Mapping[Key, int], right: Mapping[Key, int]) -> None:
    """Give the box at ``place`` a new size and new heights of its ports; what is below and after it makes room."""
    level = inside.level
    number = level.boxes[place]
    node = level.nodes[number]
    leaving = {node.right[key]: right[key] for key in node.right}
    coming = {node.left[key]: left[key] for key in node.left}
    for strand in (*(strand for channel in level.channels for strand in channel), *inside.added):
        if strand.source == number:
            strand.sy = leaving[strand.sy]
        if strand.target == number:
            strand.ty = coming[strand.ty]
    extra, old_w = h - node.h, node.w
    if number in inside.shelf:
        _resize_loose(inside, number, w - old_w, extra)
    else:
        open_below(inside, inside.row_of(node.layer), node.y + node.h, extra)
    node.left, node.right, node.w, node.h = left, right, w, h
    if number not in inside.shelf:
        widen(inside, node.layer, w)


def _resize_loose(inside: Inside, number: int, wider: int, higher: int) -> None:
    node = inside.level.nodes[number]
    open_behind(inside, inside.shelf[number] + node.w, wider)
    bottom = node.y + node.h
    for other in inside.shelf:
        if inside.level.nodes[other].y >= bottom:
            inside.level.nodes[other].y += higher
    inside.h += higher


def add_box(inside: Inside, node: Node, links: Iterable[Link], pad: int) -> None:
    """Take a new box in: in the layer that its links ask for, or on the shelf when it has none."""
    level = inside.level
    number = level.boxes[node.box] = level.add(node)
    before: list[int] = []
    behind: list[int] = []
    wishes: list[int] = []
    for source, target in links:
        end, other, offset = (source, target, node.right) if source.node == node.box else (target, source, node.left)
        if end.node != node.box or other.node == node.box or not _is_there(inside, other):
            continue
        found = level.find(other)
        if found in inside.shelf or found == number:
            continue
        heights = level.nodes[found].left if end is source else level.nodes[found].right
        wishes.append(level.nodes[found].y + heights[other.key] - offset[end.key])
        (behind if end is source else before).append(level.nodes[found].layer)
    if level.is_simple or not wishes:
        _put_on_shelf(inside, number, pad)
        return
    last = len(level.layers) - 1
    layer = max(before) + 1 if before else max(1, min(behind) - 1)
    if layer >= last:
        layer = last
        _append_layer(inside, pad)
    node.layer = layer
    _stand(inside, number, median_low(wishes))
    widen(inside, layer, node.w)


def _is_there(inside: Inside, end: End) -> bool:
    return end in inside.level.at if end.node < 0 else end.node in inside.level.boxes


def _put_on_shelf(inside: Inside, number: int, pad: int) -> None:
    """At the right of the last line of the shelf where that has room, else below it."""
    level = inside.level
    node = level.nodes[number]
    y, x = inside.h, pad
    if inside.shelf:
        line = max(level.nodes[other].y for other in inside.shelf)
        beside = [other for other in inside.shelf if level.nodes[other].y == line]
        end = max(inside.shelf[other] + level.nodes[other].w for other in beside) + SHELF_GAP
        bottom = max(level.nodes[other].y + level.nodes[other].h for other in beside)
        x, y = (end, line) if end + node.w + pad <= inside.w else (pad, bottom + SHELF_GAP)
    node.y = y
    inside.shelf[number] = x
    level.loose.append(number)
    inside.w = max(inside.w, x + node.w + pad)
    inside.h = max(inside.h, y + node.h + pad)
    _exits(inside)


def _append_layer(inside: Inside, pad: int) -> None:
    """Insert a layer before the last one, which lines leave through: they get a bend each in the new one."""
    level = inside.level
    last = len(level.layers) - 1
    leaving = level.layers[last]
    level.layers.insert(last, [])
    level.channels.append([])
    row = inside.rows[-1]
    begin = max(inside.x[last - 1] + inside.layer_w[last - 1] + CHANNEL_MIN, inside.x[last] if not leaving else 0)
    tracks = [strand.track for strand in level.channels[last - 1] if strand.turn is None]
    begin = max(begin, max(tracks, default=0) + CHANNEL_MIN // 2)
    row.last += 1
    inside.x.insert(last, begin)
    inside.layer_w.insert(last, 0)
    for number in leaving:
        node = level.nodes[number]
        node.layer = last + 1
        bend = level.add(Node(BEND, -1, 0, LANE, {}, {}, layer=last, y=node.y + node.h // 2 - LANE // 2))
        level.layers[last].append(bend)
        edges: set[int] = set()
        onward = Strand(bend, LANE // 2, number, PITCH // 2, [])
        for strand in level.channels[last - 1]:
            if strand.target == number:
                strand.target, strand.ty = bend, LANE // 2
                edges.update(strand.edges)
        for way in level.ways.values():
            if way[-1].target == bend:
                way.append(onward)
        onward.edges = sorted(edges)
        level.channels[last].append(onward)
    inside.w = max(inside.w, begin + CHANNEL_MIN + inside.layer_w[last + 1], begin + pad)
    _exits(inside)


def _stand(inside: Inside, number: int, wish: int) -> None:
    """Find a place in its layer for a box, near the height that it wishes for, or insert space there."""
    level = inside.level
    node = level.nodes[number]
    row = inside.rows[inside.row_of(node.layer)]
    if row.top == row.bottom:  # nothing but a shelf so far
        open_below(inside, inside.row_of(node.layer), row.bottom, 2 * ASIDE)
        row.top = row.bottom
    layer = level.layers[node.layer]
    y, cut, extra = _room(_obstacles(inside, node.layer), row, node.h, wish)
    open_below(inside, inside.row_of(node.layer), cut, extra)
    node.y = y
    layer.insert(sum(level.nodes[other].y < node.y for other in layer), number)


def _obstacles(inside: Inside, layer: int) -> list[tuple[int, int, int]]:
    """The neighbours that a box in a layer keeps clear of, from top to bottom: where each begins and ends, with
    the distance that is kept, and the height at which it is moved."""
    nodes = inside.level.nodes
    found = []
    for number in inside.level.layers[layer]:
        node = nodes[number]
        gap = GAP_BOXES if node.kind == BOX else GAP_BOX_BEND
        found.append((node.y - gap, node.y + node.h + gap, node.y))
    for added in inside.added:
        if added.via is not None:
            first, last = sorted((nodes[added.source].layer, nodes[added.target].layer))
            if first <= layer <= last:
                found.append((added.via - ASIDE, added.via + ASIDE, added.via))
    return sorted(found, key=lambda each: each[2])


def _room(obstacles: Sequence[tuple[int, int, int]], row: Row, height: int, wish: int) -> tuple[int, int, int]:
    """The place for a box of some height, and its price: from which height on all else moves down, and how far."""
    free: list[tuple[int, int]] = []
    inserted: list[tuple[int, int, int]] = []
    top = row.top
    for begin, end, cut in obstacles:
        free.append((top, begin))
        inserted.append((top, cut, top + height - begin))
        top = max(top, end)
    free.append((top, row.bottom))
    inserted.append((top, max(top, row.bottom), max(0, top + height - row.bottom)))
    fitting = [min(max(wish, begin), end - height) for begin, end in free if end - begin >= height]
    near = min(fitting, key=lambda y: abs(y - wish), default=None)
    if near is not None and abs(near - wish) <= NEAR:
        return near, row.bottom, 0
    y, cut, extra = min(inserted, key=lambda each: abs(each[0] - wish))
    return y, cut, extra + -extra % STEP


def add_border(inside: Inside, end: End, width: int, wish: int | None) -> None:
    """Take a new port on the level's own border in, near the height that it wishes for.

    One with a name gets space inserted where none is left; a silent one has room between any others: nothing moves.
    """
    level = inside.level
    is_entry, is_silent = end.node == FROM_BORDER, end.key[0] != DECLARED
    kind, layer = (ENTRY, 0) if is_entry else (EXIT, len(level.layers) - 1)
    offsets = {end.key: PITCH // 2}
    node = Node(kind, -1, 0 if is_silent else width, PITCH, offsets, offsets, end.key, layer)
    number = level.at[end] = level.add(node)
    row = inside.rows[inside.row_of(layer)]
    taken = sorted(level.nodes[other].y for other in level.layers[layer])
    wish = row.top if wish is None else wish - PITCH // 2
    heights = range(row.top, max(row.top, row.bottom - PITCH) + 1)
    free = {y: min((abs(y - other) for other in taken), default=PITCH) for y in heights}
    if max(free.values()) >= PITCH:
        node.y = min((y for y in free if free[y] >= PITCH), key=lambda y: abs(y - wish))
    elif is_silent:
        node.y = max(free, key=lambda y: (free[y], -abs(y - wish)))
    else:
        y = max(row.bottom, taken[-1] + PITCH)
        open_below(inside, inside.row_of(layer), y, y + PITCH - row.bottom)
        node.y = y
    level.layers[layer].insert(sum(other < node.y for other in taken), number)
    widen(inside, layer, node.w)
