"""ezmsg's dashboards, unmodified, on our server: what they show of a running pipeline, and what they change in it.

That of today, and the last one for ezmsg 3.9. ``test_build.py`` has what the one of today can also do.
"""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ezmsg.ledger import Ledger
from ezmsg.ledger import events as ev
from tests.ezmsg.suite.environments import COMING, DASHBOARD, PACKAGES, STABLE, Environment

pytestmark = pytest.mark.environments

PROGRAMS = Path(__file__).parents[1] / "programs"
SINK, SOURCE = "SYSTEM/SINK", "SYSTEM/SOURCE"
ANSWER_S = 20.0


@dataclass
class Dashboard:
    """A dashboard that runs, and the server and pipeline that it is for."""

    desk: Any
    beside: Environment
    site: str
    ledger: Path
    server: Any
    pipeline: Any
    program: Any

    def get(self, path: str) -> Any:
        """What it answers to a browser's question."""
        with urllib.request.urlopen(f"http://{self.site}{path}", timeout=ANSWER_S) as answer:
            return json.load(answer)

    def post(self, path: str, **body: Any) -> Any:
        """What it answers when it is told something."""
        request = urllib.request.Request(
            f"http://{self.site}{path}", json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=ANSWER_S) as answer:
            return json.load(answer)

    def watch(self, path: str) -> Any:
        """A program that tells what comes on a websocket of it."""
        return self.desk.start(self.beside.python(), PROGRAMS / "watch.py", f"ws://{self.site}{path}")

    def stop(self) -> list[Any]:
        """End all; the events that were recorded."""
        for program in (self.program, self.pipeline, self.server):
            program.interrupt()
            told = program.end()
            assert told.took_ctrl_c if program is self.pipeline else told.code == 0, told.err
        with Ledger.open(self.ledger, "r") as ledger:
            return list(ledger.entries())


@pytest.fixture(params=[(DASHBOARD, STABLE), (PACKAGES, COMING)], ids=["dashboard-0.4.0", "dashboard-0.5.0"])
def dashboard(request: pytest.FixtureRequest, desk: Any) -> Dashboard:
    beside, side = request.param
    ledger = desk.folder / "x.ledger"
    server = desk.start(side.python(), "-m", "ezmsg.ledger.tools.cli", "serve", ledger, "--address", desk.free)
    address = server.until(r"EZMSG_GRAPHSERVER_ADDR=(\S+)")[1]
    pipeline = desk.start(side.python(), PROGRAMS / "relays.py", EZMSG_GRAPHSERVER_ADDR=address)
    pipeline.until("heard 20")
    program, site = opened(desk, beside, address)
    return Dashboard(desk, beside, site, ledger, server, pipeline, program)


def opened(desk: Any, beside: Environment, address: str) -> tuple[Any, str]:
    """A dashboard for the server at ``address``, and where it is."""
    there = ("--graph-address", address, "--host", "127.0.0.1", "--port", "0")
    program = desk.start(beside.python(), "-m", "ezmsg.core", "dashboard", *there)
    return program, program.until(r"Uvicorn running on http://(\S+)")[1]


def message(program: Any, kind: str, wanted: Callable[[Any], bool] = bool) -> Any:
    """The data of the next message of a kind that ``wanted`` is true for."""
    deadline = time.monotonic() + ANSWER_S
    while time.monotonic() < deadline:
        said = json.loads(program.until(f'"kind": ?"{kind}"').string)
        if wanted(said["data"]):
            return said["data"]
    raise AssertionError(f"within {ANSWER_S} s no {kind} was of the kind that is waited for")


def test_it_shows_the_graph_and_a_patch_of_settings_is_on_record(dashboard: Dashboard) -> None:
    assert dashboard.get("/api/health")["graph_session_active"]
    shown = dashboard.get("/api/snapshot")
    graph = shown["snapshot"]["graph"]
    assert graph[f"{SOURCE}/OUTPUT_SETTINGS"] == [f"{SINK}/INPUT_SETTINGS"]
    [process] = shown["snapshot"]["processes"]
    assert SINK in shown["snapshot"]["processes"][process]["units"]
    assert shown["settings"][SINK]["patchable"]
    assert process in shown["profiling"]

    events = dashboard.watch("/ws/events")
    message(events, "topology.changed", lambda data: f"{SINK}/INPUT" in data["changed_topics"])
    patched = dashboard.post(f"/api/settings/{SINK}/field", field_path="gain", value=7.25)
    assert patched["updated_value"]["structured_value"] == {"gain": 7.25, "label": "changed"}
    patch = patched["updated_value"]["structured_value"]
    change = message(events, "settings.changed", lambda data: data["value"]["structured_value"] == patch)
    assert (change["component_address"], change["source_process_id"]) == (SINK, process)
    assert dashboard.get("/api/settings")["settings"][SINK]["structured_value"]["gain"] == 7.25
    with pytest.raises(urllib.error.HTTPError, match="422"):  # a unit without dynamic settings
        dashboard.post(f"/api/settings/{SOURCE}/field", field_path="gain", value=1.0)

    recorded = dashboard.stop()
    sessions = {event.seq: event for event in recorded if isinstance(event, ev.SessionOpened)}
    asker = max(sessions)  # the last to come
    processes = {event.uuid: event.seq for event in recorded if isinstance(event, ev.ProcessOpened)}
    [routed] = [
        event
        for event in recorded
        if isinstance(event, ev.RequestRouted) and event.operation == "UPDATE_SETTING_FIELD"
    ]
    assert (routed.session, routed.unit, routed.process) == (asker, SINK, processes[process])
    [answered] = [
        event for event in recorded if isinstance(event, ev.RequestAnswered) and event.request == routed.seq
    ]
    assert answered.ok
    updates = [event for event in recorded if isinstance(event, ev.SettingsUpdated)]
    assert [update.value.structured_value["gain"] for update in updates] == [2.5, 7.25]  # type: ignore[index]
    assert {(update.process, update.component) for update in updates} == {(processes[process], SINK)}
    assert updates[-1].seq > routed.seq


@pytest.mark.parametrize("dashboard", [(DASHBOARD, STABLE)], ids=["dashboard-0.4.0"], indirect=True)
def test_it_profiles_and_taps_the_messages(dashboard: Dashboard) -> None:
    [process] = dashboard.get("/api/snapshot")["snapshot"]["processes"]
    events = dashboard.watch("/ws/events")
    message(events, "system.ready")
    control = {"process_id": process, "publisher_topic": f"{SOURCE}/OUTPUT", "subscriber_topic": f"{SINK}/INPUT"}
    assert dashboard.post("/api/profiling/trace-control", **control)["enabled"]
    batch = message(events, "profiling.trace", lambda data: any(data["batches"].values()))
    samples = [sample for of in batch["batches"].values() for sample in of["samples"]]
    assert {sample["topic"] for sample in samples} & {f"{SOURCE}/OUTPUT", f"{SINK}/INPUT"}
    assert not dashboard.post("/api/profiling/trace-control", enabled=False, **control)["enabled"]

    tap = dashboard.watch(f"/ws/stream?topic={SOURCE}/OUTPUT")
    assert message(tap, "stream.status", lambda data: data["message_count"] > 0)["topic"] == f"{SOURCE}/OUTPUT"
    assert "int" in json.dumps(message(tap, "stream.inspect"))

    recorded = dashboard.stop()
    operations = {event.operation for event in recorded if isinstance(event, ev.RequestRouted)}
    assert "SET_PROFILING_TRACE" in operations
    answers = [event for event in recorded if isinstance(event, ev.RequestAnswered)]
    assert answers
    assert all(event.ok for event in answers)
    tapped = [event for event in recorded if isinstance(event, ev.SubscriberOpened)]
    assert [event.topic for event in tapped].count(f"{SOURCE}/OUTPUT") == 1
