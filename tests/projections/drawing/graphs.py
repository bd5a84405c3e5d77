"""Unions for tests: any nesting, any wiring, also edges that go against a port's side, back, or through borders."""

from typing import Any

from hypothesis import strategies as st

Parts = tuple[list[dict[str, Any]], list[tuple[str, str]]]

NAMES = ("A", "BANK2", "BANK10", "a rather long name of a thing", "Ünï", "x")


def stream(address: str, name: str, side: str) -> dict[str, Any]:
    """The form of a stream's metadata."""
    return {"$": f"{side}StreamMetadata", "name": name, "address": f"{address}/{name}", "msg_type": "int"}


def unit(address: str, inputs: list[str], outputs: list[str], kind: str = "lab.Filter") -> dict[str, Any]:
    """The form of a unit's metadata."""
    streams = {name: stream(address, name, "Input") for name in inputs}
    streams |= {name: stream(address, name, "Output") for name in outputs}
    name = address.rpartition("/")[2]
    return {"$": "UnitMetadata", "address": address, "name": name, "component_type": kind, "streams": streams}


def collection(address: str, inputs: list[str], outputs: list[str], relays: dict[str, Any] | None = None) -> Any:
    """The form of a collection's metadata."""
    topics = {name: {"$": "InputTopicMetadata", "name": name, "address": f"{address}/{name}"} for name in inputs}
    topics |= {name: {"$": "OutputTopicMetadata", "name": name, "address": f"{address}/{name}"} for name in outputs}
    return {
        "$": "CollectionMetadata",
        "address": address,
        "name": address.rpartition("/")[2],
        "component_type": "lab.Bank",
        "topics": topics,
        "relays": relays or {},
        "children": [],
    }


@st.composite
def parts(draw: st.DrawFn, components_max: int = 14, edges_max: int = 30) -> Parts:
    """Components and edges between their ports, and between topics of nobody."""
    components: list[dict[str, Any]] = []
    inside = [""]
    topics = ["LOOSE", "OTHER/DEEP/IN", "OTHER/OUT"]
    known: set[str] = set()
    for number in range(draw(st.integers(0, components_max))):
        prefix = draw(st.sampled_from(inside))
        address = f"{prefix}{draw(st.sampled_from(NAMES))}{number if draw(st.booleans()) else ''}"
        if address in known:
            continue
        known.add(address)
        inputs = [f"IN{port}" for port in range(draw(st.integers(0, 3)))]
        outputs = [f"OUT{port}" for port in range(draw(st.integers(0, 3)))]
        if draw(st.booleans()):
            components.append(collection(address, inputs, outputs))
            inside.append(f"{address}/")
        else:
            components.append(unit(address, [*inputs, "INPUT_SETTINGS"], outputs))
        topics += [f"{address}/{port}" for port in (*inputs, *outputs)]
    ends = st.sampled_from(topics)
    edges = draw(st.lists(st.tuples(ends, ends), max_size=edges_max, unique=True))
    return components, [(a, b) for a, b in edges if a != b]
