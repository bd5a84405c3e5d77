"""What is a box, and in which: told by registrations, and by names where nobody registered anything."""

import pytest

from ezmsg.ledger.projections.drawing.union import BOTH, IN, OUT, Union
from ezmsg.ledger.projections.natural_order import natural

from .graphs import collection, unit


def boxes(union: Union) -> dict[str, tuple[str, str]]:
    """The kind of each box, and what it is in."""
    return {box.address: (box.kind, union.boxes[box.parent].address if box.parent >= 0 else "") for box in union.boxes}


def sides(union: Union) -> dict[str, str | None]:
    return {topic: port.side for topic, port in union.ports.items()}


def test_people_count_banks() -> None:
    names = ["BANK10", "BANK9", "BANK1", "BANK1A", "A", "BANK1/X", "10", "9"]
    assert sorted(names, key=natural) == ["9", "10", "A", "BANK1", "BANK1/X", "BANK1A", "BANK9", "BANK10"]


def test_names_tell_of_what_nobody_registered() -> None:
    union = Union((), [("SYS/A/OUT", "SYS/B/IN"), ("SYS/B/OUT", "LOOSE"), ("SYS/B/OUT", "VIEW/IN")])
    assert boxes(union) == {
        "SYS": ("collection", ""),
        "SYS/A": ("unit", "SYS"),
        "SYS/B": ("unit", "SYS"),
        "LOOSE": ("topic", ""),
        "VIEW": ("unit", ""),
    }
    assert {box.type for box in union.boxes} == {""}
    assert sides(union) == {
        "SYS/A/OUT": OUT,
        "SYS/B/IN": IN,
        "SYS/B/OUT": OUT,
        "LOOSE": IN,
        "VIEW/IN": IN,
    }


def test_a_component_with_others_below_it_is_a_collection_and_its_topics_are_on_its_border() -> None:
    union = Union((), [("RIG/AMP/OUT", "RIG/OUT"), ("RIG/OUT", "SINK/IN"), ("RIG/IN", "RIG/AMP/IN")])
    assert boxes(union)["RIG"] == ("collection", "")
    assert (sides(union)["RIG/OUT"], sides(union)["RIG/IN"]) == (OUT, IN)


def test_what_leads_against_a_stream_makes_its_port_one_of_both_sides() -> None:
    union = Union([unit("A", ["IN"], ["OUT"]), unit("B", [], ["OUT"])], [("B/OUT", "A/OUT"), ("A/IN", "C/IN")])
    assert (sides(union)["A/OUT"], sides(union)["A/IN"], sides(union)["B/OUT"]) == (BOTH, BOTH, OUT)


def test_ports_of_settings_are_last() -> None:
    [box] = Union([unit("A", ["INPUT_SETTINGS", "IN"], ["OUT"])]).boxes
    assert box.ports == ["A/IN", "A/OUT", "A/INPUT_SETTINGS"]


def relay(side: str, address: str) -> dict[str, object]:
    collection_, _, name = address.rpartition("/")
    group = f"{collection_}/__relays__/{name}"
    return {
        "$": f"{side}RelayMetadata",
        "name": name,
        "address": address,
        "relay_group": group,
        "relay_input_topic": f"{group}/INPUT",
        "relay_output_topic": f"{group}/OUTPUT",
    }


def test_bridges_of_310_and_relay_units_of_39_are_relays() -> None:
    new = Union([collection("M", [], [], {"IN": relay("Input", "M/IN"), "OUT": relay("Output", "M/OUT")})])
    assert boxes(new) == {
        "M": ("collection", ""),
        "M/__relays__/IN": ("relay", "M"),
        "M/__relays__/OUT": ("relay", "M"),
    }
    assert (sides(new)["M/IN"], sides(new)["M/OUT"]) == (IN, OUT)
    assert sides(new)["M/__relays__/IN/OUTPUT"] == OUT
    kind = "ezmsg.core.relay._CollectionRelayUnit"
    old = Union([collection("M", ["IN"], []), unit("M/__relay_in_IN", ["INPUT"], ["OUTPUT"], kind)])
    assert boxes(old) == {"M": ("collection", ""), "M/__relay_in_IN": ("relay", "M")}
    assert [box.name for box in (*new.boxes[1:2], *old.boxes[1:])] == ["relay IN", "relay IN"]


def test_a_topic_without_a_direction_is_inside_when_its_inside_both_writes_and_reads_it() -> None:
    middle = {"MID": {"$": "TopicMetadata", "name": "MID", "address": "C/MID"}}
    form = collection("C", [], []) | {"topics": middle}
    parts = [form, unit("C/A", [], ["OUT"]), unit("C/B", ["IN"], [])]
    assert boxes(Union(parts, [("C/A/OUT", "C/MID"), ("C/MID", "C/B/IN")]))["C/MID"] == ("topic", "C")
    assert "C/MID" not in boxes(Union(parts, [("C/A/OUT", "C/MID"), ("C/MID", "X/IN")]))


@pytest.mark.parametrize("form", [{}, {"address": 7}, {"address": ""}, {"address": "A", "streams": [1]}])
def test_metadata_of_another_shape_is_passed_over(form: dict[str, object]) -> None:
    assert [box.address for box in Union([form]).boxes] in ([], ["A"])


def test_a_component_that_comes_again_is_known() -> None:
    union = Union([unit("A", ["IN"], [])])
    assert union.knows(unit("A", ["IN"], []) | {"initial_settings": 7})
    assert not union.knows(unit("A", ["IN"], ["OUT"]))


def test_what_is_added_changes_nothing_of_what_was_there() -> None:
    union = Union((), [("RIG/OUT", "VIEW/IN")])
    assert union.add([unit("RIG/A", [], ["OUT"])], [("RIG/A/OUT", "RIG/OUT")]) == ["RIG/A/OUT"]
    assert boxes(union) == {"RIG": ("unit", ""), "VIEW": ("unit", ""), "RIG/A": ("unit", "")}
    told = Union([unit("RIG/A", [], ["OUT"])], union.edges)
    assert not union.agrees(told, ["RIG"])
    assert told.agrees(told, ["RIG", "RIG/A", "VIEW"])
    assert union.agrees(told, ["VIEW"])
