"""``settings``: what was in force, from what to what, and who asked: known only where the ledger knows."""

import json
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ezmsg.core.graphmeta import SettingsFieldUpdateRequest

from ezmsg.ledger import events as ev
from ezmsg.ledger.log import Ledger
from ezmsg.ledger.metadata import DynamicSettingsMetadata, GraphMetadata, UnitMetadata
from ezmsg.ledger.projections.questions.settings.change_request import UPDATE
from ezmsg.ledger.projections.questions.timeline import Timeline
from ezmsg.ledger.runtime.live import LiveGraph
from ezmsg.ledger.tools import exits
from ezmsg.ledger.values import freeze

Run = Callable[..., Any]


def value(**fields: Any) -> ev.SettingsValue:
    return ev.SettingsValue(serialized=None, repr_value=fields, structured_value=fields)


def unit(**more: Any) -> Any:
    fields = {"gain": 1.0, "mode": "fast"}
    return UnitMetadata(address="S/U", name="U", initial_settings=(None, fields), **more)


class Scene:
    """A graph with one unit that takes settings, and who could have sent them."""

    def __init__(self, live: LiveGraph, **more: Any) -> None:
        self.live = live
        self.session = live.open_session(label="S")
        self.process = live.open_process()
        live.register(self.session, freeze(GraphMetadata(root_name="S", components={"S/U": unit(**more)})))
        live.register_process(self.process, 7, "h", ["S/U"])

    def publisher(self, topic: str) -> int:
        return self.live.open_endpoint(ev.PublisherOpened(uuid=topic, topic=topic))

    def ask(self, session: int, field: str, wanted: Any) -> int:
        payload = pickle.dumps(SettingsFieldUpdateRequest(field_path=field, value=wanted))
        self.live.route_request(session, f"r{self.live.ledger.head}", "S/U", UPDATE, payload)
        request = self.live.ledger.head
        self.live.answer_request(request, True, None, 5)
        return request

    def report(self, **fields: Any) -> int:
        self.live.update_settings(self.process, "S/U", value(**fields))
        return self.live.ledger.head


@pytest.fixture
def ledger() -> Ledger:
    return Ledger.memory()


def test_a_night_of_changes(run: Run, night: Any) -> None:
    answer = run("settings", night.path, "SYSTEM/AMP", "--field", "gain", "--at", "mark:baseline")
    assert answer.out.splitlines() == [
        "SYSTEM/AMP at seq 18: gain=1.0",
        "1 change of gain up to then: 1 initial",
        '        9  2026-11-24 13:03:20.156+00:00  gain = 1.0, initial: session 2 "SYSTEM" registered 7 components',
    ]
    later = run("settings", night.path, "SYSTEM/AMP", "--field", "gain").out
    assert "3 changes of gain up to then: 2 initial, 1 updated" in later
    assert "19  2026-11-24 13:03:32.156+00:00  gain 1.0 -> 2.0, reported by process 16 (pid 4711 on lab-3)" in later
    assert re.search(r'no longer in force: server "rig 3" \(pid \d+ on .*\) was lost\n', later)


def test_a_field_can_be_named_with_its_component(run: Run, night: Any) -> None:
    asked = run("settings", night.path, "SYSTEM/AMP.gain")
    assert asked.out == run("settings", night.path, "SYSTEM/AMP", "--field", "gain").out
    assert "3 changes of gain" in asked.out
    assert "no unit 'SYSTEM/AMPX.gain'" in run("settings", night.path, "SYSTEM/AMPX.gain").err


def test_all_that_is_in_force(run: Run, night: Any) -> None:
    answer = run("settings", night.path, "--at", "20")
    assert answer.out.splitlines() == [
        "settings in force at seq 20",
        '  SYSTEM/AMP  gain=2.0, mode="fast"  reported by process 16 (pid 4711 on lab-3)  since seq 19',
        "  6 components without settings",
    ]
    assert "none: no component is registered" in run("settings", night.path).out


def test_a_session_that_asked_is_known(ledger: Ledger) -> None:
    scene = Scene(LiveGraph(ledger))
    other = scene.live.open_session(label="dashboard")
    scene.publisher("S/U/INPUT_SETTINGS")
    request = scene.ask(other, "gain", 3.5)
    seq = scene.report(gain=3.5, mode="fast")
    again = scene.report(gain=4.5, mode="fast")
    _, asked, unasked = Timeline(ledger).setting("S/U").changes
    assert (asked.seq, asked.request, asked.likely) == (seq, request, [])
    assert (asked.asked_by, asked.label) == (other, f'{other} "dashboard"')
    assert [(each.path, each.before, each.after) for each in asked.fields] == [("gain", 1.0, 3.5)]
    assert (unasked.seq, unasked.asked_by) == (again, None), "a request counts once"


@pytest.mark.parametrize(("field", "wanted"), [("mode", 3.5), ("gain", 9.9), ("gain", 3)])
def test_a_request_for_something_else_is_not_the_asker(ledger: Ledger, field: str, wanted: Any) -> None:
    scene = Scene(LiveGraph(ledger))
    scene.ask(scene.session, field, wanted)
    scene.report(gain=3.5, mode="fast")
    assert Timeline(ledger).setting("S/U").changes[-1].asked_by is None


def test_a_payload_that_nobody_can_read_is_not_the_asker(ledger: Ledger) -> None:
    scene = Scene(LiveGraph(ledger))
    for payload in (b"garbage", pickle.dumps("text"), None):
        scene.live.route_request(scene.session, f"r{payload!r}", "S/U", UPDATE, payload)
    scene.report(gain=3.5, mode="fast")
    assert Timeline(ledger).setting("S/U").changes[-1].asked_by is None


def test_publishers_that_reach_the_input_are_likely_and_no_others(ledger: Ledger) -> None:
    dynamic = DynamicSettingsMetadata(enabled=True, input_topic="S/U/CONTROL")
    scene = Scene(LiveGraph(ledger), dynamic_settings=dynamic)
    scene.live.connect("S/TUNER/OUT", "S/SET", owner=scene.session)
    scene.live.connect("S/SET", "S/U/CONTROL", owner=scene.session)
    tuner = scene.publisher("S/TUNER/OUT")
    direct = scene.publisher("S/U/CONTROL")
    scene.publisher("S/U/INPUT_SETTINGS")
    scene.publisher("ELSEWHERE/OUT")
    gone = scene.publisher("S/SET")
    scene.live.close_endpoint(gone, "closed")
    scene.report(gain=3.5, mode="fast")
    change = Timeline(ledger).setting("S/U").changes[-1]
    assert [(each.endpoint, each.topic, each.unit) for each in change.likely] == [
        (tuner, "S/TUNER/OUT", None),
        (direct, "S/U/CONTROL", "S/U"),
    ]
    assert change.asked_by is None


def test_who_is_likely_follows_the_graph_from_change_to_change(ledger: Ledger) -> None:
    scene = Scene(LiveGraph(ledger))
    direct, far = scene.publisher("S/U/INPUT_SETTINGS"), scene.publisher("FAR/OUT")
    scene.report(gain=2.0, mode="fast")
    scene.report(gain=3.0, mode="fast")
    scene.live.connect("FAR/OUT", "S/U/INPUT_SETTINGS", owner=scene.session)
    scene.report(gain=4.0, mode="fast")
    scene.live.close_endpoint(direct, "closed")
    scene.report(gain=5.0, mode="fast")
    scene.live.disconnect("FAR/OUT", "S/U/INPUT_SETTINGS", owner=scene.session)
    scene.report(gain=6.0, mode="fast")
    found = Timeline(ledger).setting("S/U").changes[1:]
    assert [[each.endpoint for each in change.likely] for change in found] == [
        [direct],
        [direct],
        [direct, far],
        [far],
        [],
    ]


def test_a_real_tuner_is_named_as_likely(run: Run, recorded: Any) -> None:
    answer = run("settings", recorded.path, "RIG/AMP/GAIN", "--field", "gain")
    assert answer.out.count("likely published by publisher") == 2
    assert "of RIG/TUNER/OUTPUT_SETTINGS (RIG/TUNER, process" in answer.out
    assert "asked for" not in answer.out
    ended = re.findall(r"(gain 4.0 -> 1.0, fell back|no longer in force): (process|session) \d+", answer.out)
    assert ended in (
        [("gain 4.0 -> 1.0, fell back", "process"), ("no longer in force", "session")],
        [("no longer in force", "process")],  # when the session was the first to go
    )


def test_the_document_is_as_documented(run: Run, recorded: Any) -> None:
    document = json.loads(run("settings", recorded.path, "RIG/AMP/GAIN", "--json").out)
    docs = (Path(__file__).parents[4] / "docs" / "cli.md").read_text(encoding="utf-8")
    section = docs[docs.index("## settings") : docs.index("## export")]
    change = next(each for each in document["history"]["changes"] if each["likely"])
    keys = {*document, *document["history"], *change, *change["fields"][0], *change["likely"][0]}
    assert [key for key in keys if f'"{key}"' not in section] == []
    everything = json.loads(run("settings", recorded.path, "--at", recorded.moments.visited, "--json").out)
    assert everything["history"] is None
    with Ledger.open(recorded.path, "r") as ledger:
        registered = next(event for event in ledger.entries() if isinstance(event, ev.MetadataRegistered))
        assert len(everything["in_force"]) == len(registered.metadata["components"]) >= 7
        assert document["history"] == Timeline(ledger).setting("RIG/AMP/GAIN").to_dict()


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        (["SYSTEM/AMPS"], "no unit 'SYSTEM/AMPS' ever had settings", "Did you mean SYSTEM/AMP"),
        (["SYSTEM/AMP", "--field", "gian"], "SYSTEM/AMP never had a field 'gian'", "Did you mean gain?"),
        (["--field", "gain"], "--field is one of a component", "SYSTEM/AMP"),
        (["A", "B"], "one component at most", "settings [LEDGER] [COMPONENT]"),
        (["--at", "999"], "there is no seq 999", "The ledger holds"),
    ],
)
def test_what_is_not_there(run: Run, night: Any, arguments: list[str], message: str, hint: str) -> None:
    answer = run("settings", night.path, *arguments)
    assert (answer.code, answer.out) == (exits.USAGE, "")
    assert message in answer.err
    assert hint in answer.err
