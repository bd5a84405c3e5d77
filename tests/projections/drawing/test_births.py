"""A drawing follows its ledger: what was born since is taken in, event by event."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from ezmsg.ledger import events as ev
from ezmsg.ledger.log import Ledger
from ezmsg.ledger.projections.drawing.births import births
from ezmsg.ledger.projections.drawing.soundness import check
from ezmsg.ledger.projections.graph.segment_start import rotate
from ezmsg.ledger.projections.questions.timeline import Timeline

from .graphs import collection, unit

EDGES = [("RIG/OUT", "SEEN/IN"), ("RIG/A/OUT", "RIG/OUT"), ("RIG/OUT", "RIG2/B/IN")]


def registered(session: int, *components: Any) -> ev.Event:
    metadata = {
        "$": "GraphMetadata",
        "schema_version": 1,
        "root_name": None,
        "components": {
            each["address"]: {"initial_settings": {"$": "t", "v": [None, ""]}, "settings_schema": None, **each}
            for each in components
        },
    }
    return ev.MetadataRegistered(session=session, metadata=metadata)


@pytest.fixture
def ledger() -> Ledger:
    """Seqs 1 to 7: edges, then the registration that explains two of them, an edge that goes and comes again."""
    ledger = Ledger.memory()
    ledger.append([ev.SessionOpened(uuid="s")])
    for from_topic, to_topic in EDGES[:2]:
        ledger.append([ev.EdgeConnected(from_topic=from_topic, to_topic=to_topic, owner=1)])
    ledger.append([registered(1, collection("RIG", [], ["OUT"]), unit("RIG/A", [], ["OUT"]))])
    ledger.append([ev.EdgeDisconnected(from_topic=EDGES[0][0], to_topic=EDGES[0][1], owner=1)])
    ledger.append([ev.EdgeConnected(from_topic=EDGES[0][0], to_topic=EDGES[0][1], owner=None)])
    ledger.append([ev.EdgeConnected(from_topic=EDGES[2][0], to_topic=EDGES[2][1], owner=None)])
    return ledger


def test_births_are_what_never_was_before(ledger: Ledger) -> None:
    timeline = Timeline(ledger)
    lifetimes = timeline.lifetimes
    found = births(lifetimes, lambda fact: timeline.at(fact.born).registrations[fact.name], 2, 1)
    assert [(birth.seq, birth.edges, len(birth.components)) for birth in found] == [
        (3, (EDGES[1],), 0),
        (4, (), 2),
        (7, (EDGES[2],), 0),
    ]


@pytest.mark.parametrize("opened", range(8))
def test_a_drawing_that_follows_has_all_that_one_has_that_is_drawn_at_the_end(ledger: Ledger, opened: int) -> None:
    events = list(ledger.entries())
    followed = Ledger.memory()
    append = [msgspec.structs.replace(event, seq=0, time=0) for event in events]
    if opened:
        followed.append(append[:opened])
    timeline = Timeline(followed)
    drawing = timeline.drawing()
    assert drawing.document().seq == opened
    for event in append[opened:]:
        followed.append([event])
        assert timeline.drawing(drawing) is drawing
    document, whole = drawing.document(), Timeline(ledger).drawing().document()
    check(document)
    assert document.seq == 7
    assert document.edges == whole.edges == EDGES
    assert {(box.address, box.kind) for box in document.boxes} == {(box.address, box.kind) for box in whole.boxes}
    # The first edge alone makes RIG a unit: the registration tells better. Both edges together make it a collection.
    assert document.generation == (2 if opened < 3 else 1)
    assert {box.type for box in document.boxes if box.address.startswith("RIG/")} == {"Filter"}


def test_what_dropped_segments_had_registered_is_drawn(tmp_path: Path) -> None:
    path = tmp_path / "x.ledger"
    with Ledger.open(path, durability="none", segmented=True) as ledger:
        ledger.append([ev.SessionOpened(uuid="s")])
        ledger.append([ev.EdgeConnected(from_topic="RIG/A/OUT", to_topic="RIG/OUT", owner=1)])
        ledger.append([registered(1, collection("RIG", [], ["OUT"]), unit("RIG/A", [], ["OUT"]))])
        rotate(ledger)
        ledger.append([ev.EdgeConnected(from_topic="RIG/OUT", to_topic="VIEW/IN", owner=None)])
    (path / "000001.ledger").unlink()
    with Ledger.open(path, "r") as dropped:
        assert dropped.first == 4
        document = Timeline(dropped, index=False).drawing().document()
    check(document)
    assert [(box.address, box.type) for box in document.boxes] == [("RIG", "Bank"), ("VIEW", ""), ("RIG/A", "Filter")]
    assert len(document.edges) == 2


@pytest.mark.parametrize("opened", range(8))
def test_a_drawing_of_two_ledgers_follows_the_first_and_has_the_edges_of_both(ledger: Ledger, opened: int) -> None:
    other = Ledger.memory()
    for edge in (EDGES[2], ("RIG/A/OUT", "STORE/IN"), EDGES[0]):
        other.append([ev.EdgeConnected(from_topic=edge[0], to_topic=edge[1], owner=None)])
    growing, beside = Ledger.memory(), Timeline(other)
    timeline = Timeline(growing)
    events = [msgspec.structs.replace(event, seq=0, time=0) for event in ledger.entries()]
    for event in events[:opened]:
        growing.append([event])
    drawing = timeline.drawing(None, beside)
    assert set(drawing.document().edges) >= {EDGES[2], ("RIG/A/OUT", "STORE/IN"), EDGES[0]}
    for event in events[opened:]:
        growing.append([event])
        drawing = timeline.drawing(drawing, beside)
    document = drawing.document()
    check(document)
    assert sorted(document.edges) == sorted([*EDGES, ("RIG/A/OUT", "STORE/IN")])
    assert {place for segment in document.segments for place in segment.edges} == set(range(4))
