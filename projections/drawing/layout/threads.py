"""Lines for edges that come into a level that is laid out: they take no room, and nothing moves for them.

They run on lines that are there already, beside other tracks, straight through gaps between boxes, or round the rows.
"""

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
    source, target = inside.level.nodes[added.source], inside.level.nodes[added.target]
    added.track = _track(inside, source.layer, added, True)
    added.into = _track(inside, target.layer - 1, added, False)
    is_loose = added.source in inside.shelf or added.target in inside.shelf
    if is_loose or inside.row_of(source.layer) != inside.row_of(target.layer):
        added.is_around = True
    elif target.layer != source.layer + 1:
        first, last = sorted((source.layer + 1, target.layer))
        if target.layer <= source.layer:
            first, last = target.layer, source.layer + 1
        added.via = _gap(inside, range(first, last), source.y + added.sy, target.y + added.ty)


def _track(inside: Inside, channel: int, added: Added, leaves: bool) -> int:
    """How far from a layer an added line may run up or down: as far from the others there as it goes."""
    used = sorted(
        {
            each.track if leaves else each.into
            for each in inside.added
            if (each.source if leaves else each.target) != (added.source if leaves else added.target)
            and inside.level.nodes[each.source if leaves else each.target].layer == channel + (not leaves)
        }
    )
    for offset in range(FIRST_TRACK, CHANNEL_MIN // 2, TRACK_STEP):
        if offset not in used:
            return offset
    return FIRST_TRACK


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
