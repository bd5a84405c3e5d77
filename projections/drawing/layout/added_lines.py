"""Lines for edges that come into a level that is laid out: they take no room, and nothing moves for them.

They run on lines that are there already, beside other tracks, straight through gaps between boxes, or round the rows.
"""

from collections.abc import Set

from ezmsg.ledger.projections.drawing.layout.borders import End
from ezmsg.ledger.projections.drawing.layout.inside import ASIDE, Added, Inside
from ezmsg.ledger.projections.drawing.layout.level import BOX
from ezmsg.ledger.projections.drawing.layout.tracks import CHANNEL_MIN

FIRST_TRACK, TRACK_STEP = 5, 4
"""Pixels from a layer at which added lines run, and how far apart."""

Link = tuple[End, End]


def add_link(inside: Inside, link: Link, edge: int) -> None:
    """Draw an edge on a link: on its lines when it is there already, else on a new one through free space."""
    level = inside.level
    way = level.ways.get(link)
    if way is not None:
        for strand in way:
            if edge not in strand.edges:
                strand.edges.append(edge)
        return
    a, b = level.find(link[0]), level.find(link[1])
    sy, ty = level.nodes[a].right[link[0].key], level.nodes[b].left[link[1].key]
    added = Added(a, sy, b, ty, [edge])
    if level.is_simple:
        level.channels[0].append(added)
    else:
        _thread(inside, added)
        inside.added.append(added)
    level.ways[link] = [added]


def _thread(inside: Inside, added: Added) -> None:
    nodes = inside.level.nodes
    source, target = nodes[added.source], nodes[added.target]
    leaving = [each for each in inside.added if nodes[each.source].layer == source.layer]
    coming = [each for each in inside.added if nodes[each.target].layer == target.layer]
    added.track = _free({each.track for each in leaving if each.source != added.source})
    added.into = _free({each.into for each in coming if each.target != added.target})
    is_loose = added.source in inside.shelf or added.target in inside.shelf
    if is_loose or inside.row_of(source.layer) != inside.row_of(target.layer):
        added.is_around = True
    elif target.layer != source.layer + 1:
        leads_on = source.layer < target.layer
        passed = range(source.layer + 1, target.layer) if leads_on else range(target.layer, source.layer + 1)
        added.via = _gap(inside, passed, source.y + added.sy, target.y + added.ty)


def _free(used: Set[int]) -> int:
    """How far from a layer a line may run up or down so that it is not upon another added one, while there is room."""
    choices = range(FIRST_TRACK, CHANNEL_MIN // 2, TRACK_STEP)
    return next((offset for offset in choices if offset not in used), FIRST_TRACK)


def _gap(inside: Inside, layers: range, start: int, goal: int) -> int:
    """A height at which a line passes layers of one row without meeting a box: near both its ends."""
    level = inside.level
    row = inside.rows[inside.row_of(layers[0])]
    solid = sorted(
        (level.nodes[number].y - ASIDE, level.nodes[number].y + level.nodes[number].h + ASIDE)
        for layer in layers
        for number in level.layers[layer]
        if level.nodes[number].kind == BOX
    )
    free, top = [], row.top - ASIDE
    for begin, end in solid:
        if begin >= top:
            free.append((top, begin))
        top = max(top, end)
    free.append((top, max(top, row.bottom + ASIDE)))
    choices = [min(max(y, begin), end) for begin, end in free for y in (start, goal)]
    return min(choices, key=lambda y: (abs(y - start) + abs(y - goal), y))
