"""The part of a drawing that is there: at a moment, or in a difference between two."""

from collections.abc import Iterable, Mapping, Set
from typing import TypeAlias

import msgspec

from ezmsg.ledger.projections.drawing.document import Document
from ezmsg.ledger.projections.drawing.union import COLLECTION

SAME, CAME, WENT, HELD = "", "+", "-", "~"
"""Marks: there and unchanged, new, gone, held by others than before."""

EdgeKey: TypeAlias = tuple[str, str]


class Scene(msgspec.Struct, frozen=True):
    """Things that are there at a moment: edges, each with all that hold it, and addresses of registered components."""

    edges: Mapping[EdgeKey, Set[object]]
    components: Set[str]


class Mask(msgspec.Struct, frozen=True):
    """Marks by the places of boxes and edges; what has none is not there. ``notes`` say more of edges."""

    boxes: Mapping[int, str]
    edges: Mapping[int, str]
    notes: Mapping[int, str] = {}


def mask(document: Document, scene: Scene, notes: Mapping[EdgeKey, str] | None = None) -> Mask:
    """The part of a drawing that is there in one scene. Cost: O(size)."""
    edges = {place: SAME for place, edge in enumerate(document.edges) if tuple(edge) in scene.edges}
    boxes = dict.fromkeys(_boxes(document, scene), SAME)
    return Mask(boxes, edges, _placed(document, notes))


def compared(document: Document, before: Scene, after: Scene, notes: Mapping[EdgeKey, str] | None = None) -> Mask:
    """The parts of a drawing that came, went, changed hands or stayed from one scene to the other. Cost: O(size)."""
    edges: dict[int, str] = {}
    for place, (source, target) in enumerate(document.edges):
        old, new = before.edges.get((source, target)), after.edges.get((source, target))
        if new is not None:
            edges[place] = CAME if old is None else SAME if old == new else HELD
        elif old is not None:
            edges[place] = WENT
    old_boxes, new_boxes = _boxes(document, before), _boxes(document, after)
    boxes = {place: SAME if place in old_boxes else CAME for place in new_boxes}
    boxes |= dict.fromkeys(old_boxes - new_boxes, WENT)
    return Mask(boxes, edges, _placed(document, notes))


def _boxes(document: Document, scene: Scene) -> set[int]:
    """The boxes that are there: registered, or with an edge, or around one that is."""
    touched = {topic for edge in scene.edges for topic in edge}
    found: set[int] = set()
    for place in range(len(document.boxes) - 1, -1, -1):  # those inside come after what is around them
        box = document.boxes[place]
        if place in found or box.address in scene.components or any(port.topic in touched for port in box.ports):
            found.add(place)
            if box.parent >= 0 and document.boxes[box.parent].kind == COLLECTION:
                found.add(box.parent)
    return found


def _placed(document: Document, notes: Mapping[EdgeKey, str] | None) -> dict[int, str]:
    known: Iterable[tuple[int, EdgeKey]] = ((place, (a, b)) for place, (a, b) in enumerate(document.edges))
    return {place: notes[edge] for place, edge in known if edge in notes} if notes else {}
