"""Graphs to lay out, as registered components and edges: a rig of filter banks, a large system three levels deep."""

from random import Random
from typing import Any

Parts = tuple[list[dict[str, Any]], list[tuple[str, str]]]


def unit(address: str, inputs: tuple[str, ...], outputs: tuple[str, ...], kind: str) -> dict[str, Any]:
    """The metadata of a unit, as a session registers it."""
    streams = {
        name: {"$": f"{side}StreamMetadata", "name": name, "address": f"{address}/{name}", "msg_type": "lab.Samples"}
        for side, names in (("Input", inputs), ("Output", outputs))
        for name in names
    }
    name = address.rpartition("/")[2]
    return {"$": "UnitMetadata", "address": address, "name": name, "component_type": kind, "streams": streams}


def collection(address: str, inputs: tuple[str, ...], outputs: tuple[str, ...], kind: str) -> dict[str, Any]:
    """The metadata of a collection."""
    topics = {
        name: {"$": f"{side}TopicMetadata", "name": name, "address": f"{address}/{name}", "msg_type": "lab.Samples"}
        for side, names in (("Input", inputs), ("Output", outputs))
        for name in names
    }
    name = address.rpartition("/")[2]
    return {
        "$": "CollectionMetadata",
        "address": address,
        "name": name,
        "component_type": kind,
        "topics": topics,
        "relays": {},
        "children": [],
    }


def rig(banks: int) -> Parts:
    """An amplifier, so many banks of four filters whose settings a tuner turns, a merger, a decoder and a logger."""
    components = [
        collection("RIG", (), (), "Rig"),
        collection("RIG/AMP", ("INPUT_SETTINGS",), ("OUTPUT",), "Amplifier"),
        unit("RIG/AMP/SOURCE", (), ("OUTPUT",), "Source"),
        unit("RIG/AMP/GAIN", ("INPUT_SETTINGS", "INPUT"), ("OUTPUT",), "Gain"),
        unit("RIG/TUNER", ("INPUT",), ("OUTPUT_SETTINGS", "GAIN_SETTINGS"), "Tuner"),
        unit("RIG/MERGE", ("INPUT",), ("OUTPUT",), "Merge"),
        unit("RIG/DECODER", ("INPUT", "INPUT_SETTINGS"), ("OUTPUT", "STATE"), "Decoder"),
        unit("RIG/LOGGER", ("INPUT_SIGNAL", "INPUT_STATE"), (), "Logger"),
    ]
    edges = [
        ("RIG/AMP/SOURCE/OUTPUT", "RIG/AMP/GAIN/INPUT"),
        ("RIG/AMP/INPUT_SETTINGS", "RIG/AMP/GAIN/INPUT_SETTINGS"),
        ("RIG/AMP/GAIN/OUTPUT", "RIG/AMP/OUTPUT"),
        ("RIG/TUNER/GAIN_SETTINGS", "RIG/AMP/INPUT_SETTINGS"),
        ("RIG/MERGE/OUTPUT", "RIG/DECODER/INPUT"),
        ("RIG/DECODER/OUTPUT", "RIG/LOGGER/INPUT_SIGNAL"),
        ("RIG/DECODER/STATE", "RIG/LOGGER/INPUT_STATE"),
        ("RIG/DECODER/STATE", "RIG/TUNER/INPUT"),
        ("RIG/AMP/OUTPUT", "SCOPE/VIEW/INPUT"),
    ]
    for number in range(1, banks + 1):
        bank = f"RIG/BANK{number}"
        components.append(collection(bank, ("INPUT", "INPUT_SETTINGS"), ("OUTPUT",), "Bank"))
        for name in ("NOTCH", "BANDPASS", "SCALE", "POWER"):
            components.append(unit(f"{bank}/{name}", ("INPUT_SETTINGS", "INPUT"), ("OUTPUT",), name.title()))
        edges += [
            ("RIG/AMP/OUTPUT", f"{bank}/INPUT"),
            ("RIG/TUNER/OUTPUT_SETTINGS", f"{bank}/INPUT_SETTINGS"),
            (f"{bank}/INPUT", f"{bank}/NOTCH/INPUT"),
            (f"{bank}/NOTCH/OUTPUT", f"{bank}/BANDPASS/INPUT"),
            (f"{bank}/BANDPASS/OUTPUT", f"{bank}/SCALE/INPUT"),
            (f"{bank}/SCALE/OUTPUT", f"{bank}/POWER/INPUT"),
            (f"{bank}/POWER/OUTPUT", f"{bank}/OUTPUT"),
            *((f"{bank}/INPUT_SETTINGS", f"{bank}/{name}/INPUT_SETTINGS") for name in ("NOTCH", "BANDPASS")),
            (f"{bank}/OUTPUT", "RIG/MERGE/INPUT"),
        ]
    return components, edges


SITES, GROUPS, UNITS = 8, 6, 12


def deep(edges_through: int = 118, visitors: int = 445, seed: int = 1) -> Parts:
    """Eight sites of six groups of twelve units and some: about 600 units three deep.

    Unkind on purpose: ``edges_through`` lead from any unit to any other through all borders, and ``visitors`` to units
    outside that nobody registered, from single units.
    """
    random = Random(seed)
    components = [collection("LAB", (), (), "Lab")]
    found: dict[tuple[str, str], None] = {}
    units: list[str] = []
    for site in range(1, SITES + 1):
        place = f"LAB/SITE{site}"
        components.append(collection(place, ("INPUT", "INPUT_SETTINGS"), ("OUTPUT",), "Site"))
        for group in range(1, GROUPS + 1):
            inner = f"{place}/GROUP{group}"
            components.append(collection(inner, ("INPUT", "INPUT_SETTINGS"), ("OUTPUT",), "Group"))
            found[f"{place}/INPUT", f"{inner}/INPUT"] = None
            found[f"{inner}/OUTPUT", f"{place}/OUTPUT"] = None
            names = [f"{inner}/UNIT{number}" for number in range(1, UNITS + 1)]
            for number, name in enumerate(names):
                components.append(unit(name, ("INPUT_SETTINGS", "INPUT"), ("OUTPUT",), "Filter"))
                before = random.choice(names[max(0, number - 3) : number]) + "/OUTPUT" if number else f"{inner}/INPUT"
                found[before, f"{name}/INPUT"] = None
            found[f"{names[-1]}/OUTPUT", f"{inner}/OUTPUT"] = None
            units += names
        if site > 1:
            found[f"LAB/SITE{site - 1}/OUTPUT", f"{place}/INPUT"] = None
    for _ in range(edges_through):
        source, target = random.sample(units, 2)
        found[f"{source}/OUTPUT", f"{target}/INPUT"] = None
    for number in range(visitors):
        found[f"{random.choice(units)}/OUTPUT", f"VISITOR{number % 32}/INPUT{number // 32}"] = None
    return components, list(found)


def chain(number: int) -> Parts:
    """Units one behind the other."""
    components = [unit(f"UNIT{place}", ("INPUT",), ("OUTPUT",), "Filter") for place in range(number)]
    return components, [(f"UNIT{place}/OUTPUT", f"UNIT{place + 1}/INPUT") for place in range(number - 1)]
