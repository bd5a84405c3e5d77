"""Invariants of every drawing: nothing overlaps or sticks out, no line runs through a unit, no label is cut off."""

from bisect import bisect_left
from collections.abc import Iterator

from ezmsg.ledger.projections.drawing.document import Document, PlacedBox
from ezmsg.ledger.projections.drawing.layout.layout import TITLE
from ezmsg.ledger.projections.drawing.sizes import NAME_PX, PAD, PORT_PX, shown, width
from ezmsg.ledger.projections.drawing.union import COLLECTION, OUT


def check(document: Document) -> None:
    """Assert that a drawing is sound; says what is wrong where. Cost: O(boxes^2 + lines * boxes) at worst."""
    for place, box in enumerate(document.boxes):
        _check_inside(document, place, box)
        _check_labels(box)
    _check_siblings(document.boxes)
    _check_ways(document)
    if not document.simplified:
        _check_lines(document)


def _check_inside(document: Document, place: int, box: PlacedBox) -> None:
    assert -1 <= box.parent < place, f"{box.address} comes before what it is in"
    left, top, right, bottom = 0, 0, document.width, document.height
    if box.parent >= 0:
        around = document.boxes[box.parent]
        assert around.kind == COLLECTION, f"{box.address} is in {around.address}, a {around.kind}"
        left, top, right, bottom = around.x, around.y + TITLE, around.x + around.w, around.y + around.h
    assert left <= box.x <= right - box.w, f"{box.address} sticks out at a side"
    assert top <= box.y <= bottom - box.h, f"{box.address} sticks out above or below"
    for port in box.ports:
        assert port.x in (box.x, box.x + box.w), f"{port.topic} is not on a side of its box"
        assert (port.x == box.x) == (port.side != OUT), f"{port.topic} is on the wrong side"
        assert box.y < port.y < box.y + box.h, f"{port.topic} is not beside its box"


def _check_labels(box: PlacedBox) -> None:
    assert width(shown(box.name), NAME_PX, True) + PAD <= box.w, f"the name of {box.address} is cut off"
    rows: dict[int, int] = {}
    for port in box.ports:
        if box.kind in ("unit", COLLECTION):
            rows[port.y] = rows.get(port.y, 0) + width(shown(port.name), PORT_PX)
    for y, used in rows.items():
        assert used < box.w, f"the names of ports of {box.address} at y {y} are cut off"


def _check_siblings(boxes: list[PlacedBox]) -> None:
    inside: dict[int, list[PlacedBox]] = {}
    for box in boxes:
        inside.setdefault(box.parent, []).append(box)
    for siblings in inside.values():
        siblings.sort(key=lambda box: box.y)
        for number, box in enumerate(siblings):
            for other in siblings[number + 1 :]:
                if other.y >= box.y + box.h:
                    break
                beside = box.x + box.w <= other.x or other.x + other.w <= box.x
                assert beside, f"{box.address} and {other.address} overlap"


def _check_ways(document: Document) -> None:
    """Each edge has a way from its source to its target, without a gap."""
    spots: dict[str, set[tuple[int, int]]] = {}
    for box in document.boxes:
        for port in box.ports:
            spots[port.topic] = {(port.x, port.y), (box.x, port.y), (box.x + box.w, port.y)}
    ways: list[dict[tuple[int, int], tuple[int, int]]] = [{} for _ in document.edges]
    for segment in document.segments:
        start, end = tuple(segment.points[:2]), tuple(segment.points[-2:])
        for edge in segment.edges:
            assert start not in ways[edge], f"the way of {document.edges[edge]} forks"
            ways[edge][start] = end  # type: ignore[index,assignment]
    for (source, target), way in zip(document.edges, ways, strict=True):
        begins = set(way) - set(way.values())
        assert len(begins) == 1, f"the way of {source} -> {target} is broken"
        here = begins.pop()
        assert here in spots[source], f"{source} -> {target} begins elsewhere"
        while here in way:
            here = way.pop(here)
        assert here in spots[target], f"{source} -> {target} ends elsewhere"
        assert not way, f"{source} -> {target} has pieces that lead nowhere"


def pieces(document: Document) -> Iterator[tuple[int, int, int, int]]:
    """The straight pieces of all lines: (x, y, x, y), the smaller ones first."""
    for segment in document.segments:
        points = segment.points
        for place in range(0, len(points) - 2, 2):
            x1, y1, x2, y2 = points[place : place + 4]
            yield min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)


def _check_lines(document: Document) -> None:
    solid = sorted((box for box in document.boxes if box.kind != COLLECTION), key=lambda box: box.x)
    begins = [box.x for box in solid]
    widest = max((box.w for box in solid), default=0)
    for x1, y1, x2, y2 in pieces(document):
        assert x1 == x2 or y1 == y2, f"a line runs askew from {x1}, {y1} to {x2}, {y2}"
        for box in solid[bisect_left(begins, x1 - widest) : bisect_left(begins, x2)]:
            through = x1 < box.x + box.w and x2 > box.x and y1 < box.y + box.h and y2 > box.y
            assert not through, f"a line from {x1}, {y1} to {x2}, {y2} runs through {box.address}"
