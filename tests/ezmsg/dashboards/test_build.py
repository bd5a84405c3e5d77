"""The Build mode of ezmsg-dashboard 0.5.0 on either server: a graph of installed units is run, changed, and stopped.

What it runs is put to ezmsg as a session of its own by a process of the dashboard: the ledger has its units, edges and
settings, and those of what replaced it.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

import pytest

from ezmsg.ledger import Ledger
from ezmsg.ledger import events as ev
from ezmsg.ledger.projections import Timeline
from tests.ezmsg.suite.environments import PACKAGES

from .test_dashboard import PROGRAMS, opened

pytestmark = pytest.mark.environments

LIVE = "SYSTEM/CONDUCTOR/OUTPUT"
ANSWER_S = 90.0
"""Before it answers, the dashboard starts the graph twice: to look at it, and to run it."""


class Builder:
    """What a person does in Build mode, by the requests that the page sends."""

    def __init__(self, site: str) -> None:
        self._site = site
        components = self.ask("/api/components")["components"]
        self._registered = {each["name"]: each for each in components}

    def ask(self, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://{self._site}{path}", data, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=ANSWER_S) as answer:
            return json.load(answer)

    def act(self, action: str, **body: Any) -> Any:
        """Press the button: run, apply or stop."""
        revision = self.ask("/api/execution")["revision"]
        return self.ask(f"/api/execution/{action}", {"expected_revision": revision, **body})

    def graph(self, factor: float, last: str) -> dict[str, Any]:
        """Live samples into a scale, and from there into another unit."""
        nodes = [("scale", "sigproc.Scale", {"scale": factor}), ("last", last, {})]
        return {
            "version": 1,
            "nodes": [
                {"id": f"draft:{name}", "name": name, "component": self._registered[unit], "settings": values}
                for name, unit, values in nodes
            ],
            "edges": [
                {
                    "id": "inside",
                    "source": "draft:scale",
                    "sourceHandle": "OUTPUT_SIGNAL",
                    "target": "draft:last",
                    "targetHandle": "INPUT_SIGNAL",
                }
            ],
            "external_inputs": [
                {"id": "outside", "topic": LIVE, "target": "draft:scale", "targetHandle": "INPUT_SIGNAL"}
            ],
        }


@pytest.mark.parametrize("server", ["stock", "ours"])
def test_run_apply_and_stop(request: pytest.FixtureRequest, desk: Any, server: str) -> None:
    address = request.getfixturevalue(server)
    source = desk.start(
        PACKAGES.python(), PROGRAMS / "family.py", "endless", desk.folder, EZMSG_GRAPHSERVER_ADDR=address
    )
    source.until("playing")
    dashboard, site = opened(desk, PACKAGES, address)
    builder = Builder(site)
    assert LIVE in [each["topic"] for each in builder.ask("/api/execution/sources")["sources"]]

    running = builder.act("run", document=builder.graph(2.0, "sigproc.Abs"))
    assert (running["state"], running["error"]) == ("running", None), running
    root = running["root_name"]
    assert f"{root}/scale/INPUT_SIGNAL" in builder.ask("/api/snapshot")["snapshot"]["graph"][LIVE]
    assert builder.ask("/api/settings")["settings"][f"{root}/scale"]["structured_value"] == {"scale": 2.0}

    with pytest.raises(urllib.error.HTTPError, match="422"):  # of another version: what runs goes on
        builder.act("apply", document=builder.graph(2.0, "sigproc.Abs") | {"version": 2})
    assert builder.ask("/api/execution")["state"] == "running"

    changed = builder.act("apply", document=builder.graph(3.0, "sigproc.Log"))
    assert (changed["state"], changed["error"], changed["root_name"]) == ("running", None, root), changed
    assert builder.ask("/api/settings")["settings"][f"{root}/scale"]["structured_value"] == {"scale": 3.0}
    assert builder.act("stop")["state"] == "stopped"
    assert f"{root}/scale/INPUT_SIGNAL" not in builder.ask("/api/snapshot")["snapshot"]["graph"].get(LIVE, [])
    for program in (dashboard, source):
        program.interrupt()
        assert program.end().took_ctrl_c
    if server == "ours":
        check_record(desk, root)


def test_a_past_graph_is_opened_in_the_builder(desk: Any, ours: str) -> None:
    """What it ran once is exported from the ledger and run again, with its settings and its live input."""
    source = desk.start(
        PACKAGES.python(), PROGRAMS / "family.py", "endless", desk.folder, EZMSG_GRAPHSERVER_ADDR=ours
    )
    source.until("playing")
    dashboard, site = opened(desk, PACKAGES, ours)
    builder = Builder(site)
    running = builder.act("run", document=builder.graph(2.0, "sigproc.Abs"))
    assert running["state"] == "running", running
    before = builder.graph(2.0, "sigproc.Abs")
    builder.act("apply", document=builder.graph(3.0, "sigproc.Log"))
    assert builder.act("stop")["state"] == "stopped"

    ledger = desk.folder / "x.ledger"
    with Ledger.open(ledger, "r") as reader:
        first = next(
            event.seq
            for event in reader.entries()
            if isinstance(event, ev.MetadataRegistered) and event.metadata["root_name"] == running["root_name"]
        )
    [site_packages] = PACKAGES.home.glob("lib/python*/site-packages")  # the packages that register units are there
    words = ("export", ledger, "--at", str(first), "-f", "graph-document")
    told = desk.do("ezmsg-ledger", *words, PYTHONPATH=str(site_packages))
    assert told.code == 0, told.err
    document = json.loads(told.out)
    found, wanted = (
        {each["name"]: (each["component"], each["settings"]) for each in one["nodes"]} for one in (document, before)
    )
    assert found == wanted
    for node in document["nodes"]:  # as the builder's page has them: it does not open a node without
        details = builder.ask(f"/api/components/{node['component']['id']}")
        assert sorted(node["ports"], key=lambda port: port["name"]) == sorted(
            details["ports"], key=lambda port: port["name"]
        )
        assert node["position"].keys() == {"x", "y"}

    again = builder.act("run", document=document)
    assert (again["state"], again["error"]) == ("running", None), again
    root = again["root_name"]
    graph = builder.ask("/api/snapshot")["snapshot"]["graph"]
    assert f"{root}/scale/INPUT_SIGNAL" in graph[LIVE]
    assert f"{root}/last/INPUT_SIGNAL" in graph[f"{root}/scale/OUTPUT_SIGNAL"]
    assert builder.ask("/api/settings")["settings"][f"{root}/scale"]["structured_value"] == {"scale": 2.0}
    assert builder.act("stop")["state"] == "stopped"
    for program in (dashboard, source):
        program.interrupt()
        program.end()


def check_record(desk: Any, root: str) -> None:
    """The ledger has both graphs, one after the other, and that each ended in good order."""
    with Ledger.open(desk.folder / "x.ledger", "r") as ledger:
        events = list(ledger.entries())
        timeline = Timeline(ledger)
        registered = [
            event
            for event in events
            if isinstance(event, ev.MetadataRegistered) and event.metadata["root_name"] == root
        ]
        types = [event.metadata["components"][f"{root}/last"]["component_type"] for event in registered]
        assert [each.rpartition(".")[2] for each in types] == ["Abs", "Log"]
        first, second = (timeline.at(str(event.seq)) for event in registered)
        for state, factor in ((first, 2.0), (second, 3.0)):
            assert state.settings[f"{root}/scale"].value.structured_value == {"scale": factor}
            assert {edge for edge, _ in state.ownership.edges()} >= {
                (LIVE, f"{root}/scale/INPUT_SIGNAL"),
                (f"{root}/scale/OUTPUT_SIGNAL", f"{root}/last/INPUT_SIGNAL"),
            }
        ends = {event.session: event.reason for event in events if isinstance(event, ev.SessionClosed)}
        assert [ends[event.session] for event in registered] == ["closed", "closed"]
        refused = [event.command for event in events if isinstance(event, ev.CommandRejected)]
        assert set(refused) <= {"PROCESS_ROUTE_RESPONSE"}  # a busy machine's answer, after nobody waits for it
