"""Lines joined to segments: each as long as it leads the same edges on."""

from collections.abc import Iterable

from ezmsg.ledger.projections.drawing.document import Segment


def joined(lines: Iterable[tuple[list[int], list[int]]]) -> list[Segment]:
    """Lines as segments: those of the same edges that lead on from one another are one. Cost: O(size)."""
    found = [(points, tuple(sorted(edges))) for points, edges in lines]
    starts: dict[tuple[int, int, tuple[int, ...]], int] = {}
    for number, (points, edges) in enumerate(found):
        starts[points[0], points[1], edges] = number
    following = [starts.get((points[-2], points[-1], edges)) for points, edges in found]
    led_to = {number for number in following if number is not None}
    segments = []
    for number in range(len(found)):
        if number in led_to:
            continue
        points, edges = found[number]
        if len(points) == 4 and following[number] is None:
            segments.append(Segment(points, list(edges)))
            continue
        way, after = list(points), following[number]
        while after is not None:
            way += found[after][0][2:]
            after = following[after]
        segments.append(Segment(_straightened(way), list(edges)))
    return segments


def _straightened(points: list[int]) -> list[int]:
    """Without the points that lie on the way between the ones before and after."""
    out = points[:2]
    for place in range(2, len(points), 2):
        x, y = points[place], points[place + 1]
        if len(out) >= 4:
            (x0, y0), (x1, y1) = out[-4:-2], out[-2:]
            if (x0 == x1 == x and (y0 <= y1 <= y or y0 >= y1 >= y)) or (
                y0 == y1 == y and (x0 <= x1 <= x or x0 >= x1 >= x)
            ):
                out[-2:] = [x, y]
                continue
        if (x, y) != (out[-2], out[-1]):
            out += [x, y]
    return out
