"""Documents for ezmsg-dashboard's builder; ``tests/ezmsg/dashboards/test_build.py`` opens one in the dashboard."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ezmsg.ledger import Ledger
from ezmsg.ledger.metadata import (
    CollectionMetadata,
    GraphMetadata,
    InputStreamMetadata,
    InputTopicMetadata,
    OutputStreamMetadata,
    UnitMetadata,
)
from ezmsg.ledger.runtime.live import LiveGraph
from ezmsg.ledger.tools import exits
from ezmsg.ledger.tools.exits import Misuse
from ezmsg.ledger.tools.export.graph_document import graph_document, registrations
from ezmsg.ledger.values import freeze

REGISTERED = """[ezmsg.components]
lab.Source = lab.units:Source
lab.Gain = lab.units:Gain
lab.Sink = lab.units:Sink
"""


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A distribution is installed that registers three units; there is no code of them here."""
    info = tmp_path / "site" / "lab_units-1.2.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: Lab-Units\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text(REGISTERED)
    monkeypatch.setattr(sys, "path", [str(info.parent), *sys.path])


def unit(address: str, kind: str, settings: Any = None, **streams: str) -> UnitMetadata:
    made: dict[str, Any] = {}
    for name, direction in streams.items():
        stream = InputStreamMetadata if direction == "in" else OutputStreamMetadata
        made[name] = stream(name=name, address=f"{address}/{name}", msg_type="lab.Sample")
    return UnitMetadata(
        address=address,
        name=address.rpartition("/")[2],
        component_type=kind,
        initial_settings=(None, settings or {}),
        streams=made,
    )


def graph() -> LiveGraph:
    """A source, a gain in a collection whose topic leads to it, a unit that is not registered, and two sinks."""
    live = LiveGraph(Ledger.memory())
    session = live.open_session()
    box = CollectionMetadata(
        address="SYS/BOX",
        name="BOX",
        component_type="lab.Box",
        initial_settings=(None, {}),
        topics={"IN": InputTopicMetadata(name="IN", address="SYS/BOX/IN", msg_type="lab.Sample")},
    )
    units = [
        unit("SYS/SOURCE", "lab.units.Source", {"rate": 100.0, "range": float("inf"), "taps": (1, 2)}, OUT="out"),
        unit("SYS/BOX/GAIN", "lab.units.Gain", {"gain": 2.0}, IN="in", OUT="out", INPUT_SETTINGS="in"),
        unit("SYS/ODD", "lab.other.Odd", IN="in", OUT="out"),
        unit("SYS/1ST SINK", "lab.units.Sink", IN="in"),
        unit("SYS/MORE/1ST SINK", "lab.units.Sink", IN="in"),
    ]
    components = {each.address: each for each in (box, *units)}
    live.register(session, freeze(GraphMetadata(root_name="SYS", components=components)))
    for edge in (
        ("SYS/SOURCE/OUT", "SYS/BOX/IN"),
        ("SYS/BOX/IN", "SYS/BOX/GAIN/IN"),
        ("SYS/BOX/GAIN/OUT", "SYS/1ST SINK/IN"),
        ("SYS/ODD/OUT", "SYS/MORE/1ST SINK/IN"),
        ("TUNER/OUT", "SYS/BOX/GAIN/INPUT_SETTINGS"),
    ):
        live.connect(*edge, session)
    return live


def test_what_is_in_it(lab: None) -> None:
    made = graph_document(graph().state)
    document = made.content
    assert document["version"] == 1
    nodes = {each["id"]: each for each in document["nodes"]}
    assert [each["name"] for each in document["nodes"]] == ["SOURCE", "_1ST_SINK", "GAIN", "_1ST_SINK_2"]
    source = nodes["draft:SYS/SOURCE"]
    assert source["component"] == registrations()["lab.units.Source"]
    assert (source["component"]["distribution"], source["component"]["version"]) == ("Lab-Units", "1.2")
    assert source["settings"] == {"rate": 100.0, "taps": [1, 2]}
    assert nodes["draft:SYS/BOX/GAIN"]["settings"] == {"gain": 2.0}
    assert [(each["name"], each["direction"], each["settings"]) for each in nodes["draft:SYS/BOX/GAIN"]["ports"]] == [
        ("IN", "input", False),
        ("OUT", "output", False),
        ("INPUT_SETTINGS", "input", True),
    ]
    connections = {
        (each["source"], each["sourceHandle"], each["target"], each["targetHandle"]) for each in document["edges"]
    }
    assert connections == {
        ("draft:SYS/SOURCE", "OUT", "draft:SYS/BOX/GAIN", "IN"),  # through the collection's topic
        ("draft:SYS/BOX/GAIN", "OUT", "draft:SYS/1ST SINK", "IN"),
    }
    [outside] = document["external_inputs"]
    assert (outside["topic"], outside["target"]) == ("SYS/ODD/OUT", "draft:SYS/MORE/1ST SINK")
    assert [nodes[f"draft:SYS/{name}"]["position"]["x"] for name in ("SOURCE", "BOX/GAIN", "1ST SINK")] == [0, 480, 960]
    assert made.left_out == [
        "1 unit left out that the builder does not know: SYS/ODD",
        "1 connection to INPUT_SETTINGS left out: the builder has none of these",
        "settings of SYS/SOURCE left to their defaults, for JSON has no form for them: range",
    ]


def test_a_circle_is_left_out(lab: None) -> None:
    live = LiveGraph(Ledger.memory())
    session = live.open_session()
    units = [unit(f"SYS/{name}", "lab.units.Gain", IN="in", OUT="out") for name in "AB"]
    live.register(session, freeze(GraphMetadata(root_name="SYS", components={each.address: each for each in units})))
    live.connect("SYS/A/OUT", "SYS/B/IN", session)
    live.connect("SYS/B/OUT", "SYS/A/IN", session)
    made = graph_document(live.state)
    assert len(made.content["edges"]) == 1
    assert made.left_out == ["1 connection left out that would close a circle of components"]


def test_nothing_that_the_builder_knows() -> None:
    with pytest.raises(Misuse, match="no component of this moment is registered"):
        graph_document(graph().state)


def test_the_command(lab: None, run: Callable[..., Any], tmp_path: Path) -> None:
    path, out = tmp_path / "x.ledger", tmp_path / "graph.json"
    with Ledger.open(path) as ledger:
        ledger.append([event.__class__(**{**_fields(event), "seq": 0}) for event in graph().ledger.entries()])
    answer = run("export", path, "-f", "graph-document", "--below", "SYS/BOX", "-o", out)
    assert answer.code == exits.OK, answer.err
    assert [each["id"] for each in json.loads(out.read_text())["nodes"]] == ["draft:SYS/BOX/GAIN"]
    assert "INPUT_SETTINGS left out" in answer.err
    refused = run("export", path, "-f", "graph-document", "--at", "2")
    assert (refused.code, "no component of this moment" in refused.err) == (exits.USAGE, True)


def _fields(event: Any) -> dict[str, Any]:
    return {name: getattr(event, name) for name in event.__struct_fields__}
