"""``sessions``, as a person and as a program sees it."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ezmsg.ledger import events as ev
from ezmsg.ledger.errors import InvalidEvent, OutOfOrder
from ezmsg.ledger.log import Ledger
from ezmsg.ledger.metadata import GraphMetadata, UnitMetadata
from ezmsg.ledger.projections.graph.segment_start import rotate
from ezmsg.ledger.projections.graph.state import GraphState
from ezmsg.ledger.projections.lifetimes.lifetimes import Lifetimes
from ezmsg.ledger.projections.lifetimes.session_lives import SessionLives
from ezmsg.ledger.projections.projection import fold
from ezmsg.ledger.runtime.live import LiveGraph
from ezmsg.ledger.tools import exits
from ezmsg.ledger.values import freeze
from tests.fake_clock import FakeClock

Run = Callable[..., Any]


def test_a_night_of_sessions(run: Run, night: Any) -> None:
    answer = run("sessions", night.path)
    assert answer.code == exits.OK
    assert answer.out.splitlines() == [
        "run 1, 2026-11-24 13:03:20.000+00:00, was lost at 24.156",
        "id  label   from             opened  ended   how                   edges  components  refused",
        "2   SYSTEM  127.0.0.1:40122  0.150   24.156  lost with the server  6      7",
        "21  viewer  127.0.0.1:40301  17.156  18.156  lost (reset)          3      0           2",
        "",
        "run 2, 2026-11-24 13:04:19.156+00:00",
        "id  label   from             opened  ended  how     edges            components",
        "44  SYSTEM  127.0.0.1:40500  0.100   3.100  closed  1, 0 at its end  3, 0 at its end",
    ]


def test_a_run_lasted_as_long_as_time_passed(run: Run, tmp_path: Path) -> None:
    """Whatever was done to the wall clock meanwhile."""
    path, clock = tmp_path / "x.ledger", FakeClock()
    with Ledger.open(path, clock=clock) as ledger:
        live = LiveGraph(ledger, kind="server", name="rig", address="127.0.0.1:1")
        live.open_session(label="S")
        clock.run(60)
        clock.step(-3600)
        live.tend()
        clock.run(30)
        live.close("shutdown")
    assert "stopped (shutdown) at 1:30.000" in run("sessions", path).out


def test_sessions_that_opened_before_all_that_is_left(run: Run, tmp_path: Path) -> None:
    """The segments with their beginnings are gone: one of them has done something since, the other has not."""
    path = tmp_path / "x.ledger"
    with Ledger.open(path, segmented=True) as ledger:
        ledger.append([ev.SessionOpened(uuid="x", label="BUSY"), ev.SessionOpened(uuid="y", label="IDLE")])
        ledger.append([ev.EdgeConnected(from_topic="A", to_topic="B", owner=owner) for owner in (1, 2)])
        rotate(ledger)
        ledger.append([ev.SessionClosed(session=1, reason="lost")])
    (path / "000001.ledger").unlink()
    busy, idle = run("sessions", path, "BUSY"), run("sessions", path, "IDLE")
    assert (busy.code, idle.code) == (exits.OK, exits.OK), busy.err + idle.err
    assert re.search(r"^  5 .* was lost while it held 1 edge: A -> B \(still held by session 2", busy.out, re.MULTILINE)
    assert "nothing that is left in the ledger" in idle.out
    assert idle.out.splitlines()[-2:] == ["what it holds now", "  A -> B"]
    _, first, _ = run("sessions", path).out.splitlines()
    assert re.match(r"1   BUSY +20\d\d-\d\d-\d\d \d\d:", first), "no run is known from whose start to count"


def test_the_document(run: Run, night: Any) -> None:
    document = json.loads(run("sessions", night.path, "--json").out)
    assert document["ledger"] == str(night.path)
    first, second, third = document["sessions"]
    assert (first["reason"], first["ended_seq"], first["edges"], first["components_max"]) == ("server_lost", 42, 6, 7)
    assert (second["reason"], second["detail"], second["refusals"], second["run"]) == ("lost", "reset", 2, 1)
    assert (third["edges"], third["edges_max"], third["ended_seq"], third["run"]) == (0, 1, 48, 2)


def test_one_session_is_told_with_what_it_left_behind(run: Run, night: Any) -> None:
    answer = run("sessions", night.path, "viewer")
    assert answer.code == exits.OK
    lines = answer.out.splitlines()
    assert re.fullmatch(r'session 21 "viewer" from 127\.0\.0\.1:40301, [0-9a-f-]{36}', lines[0])
    assert lines[1] == "  run 1; opened at 2026-11-24 13:03:37.156+00:00; lost (reset) after 1 s"
    told = [line for line in lines if re.match(r"  \d+ +\d+\.\d{3}  ", line)]
    assert [int(line.split()[0]) for line in told] == [21, 22, 23, 24, 26, 27, 31, 32, 33, 34, 40]
    assert lines[lines.index("what went with it") :] == [
        "what went with it",
        "  SYSTEM/FILTER/OUT -> VIEWER/IN",
        "",
        "what it left behind",
        "  SYSTEM/AMP/OUT -> SCOPE, still held by persistent",
        '  SYSTEM/SOURCE/OUT -> SYSTEM/AMP/IN, still held by session 2 "SYSTEM"',
    ]
    assert run("sessions", night.path, "21").out == answer.out


def test_the_document_of_one_session(run: Run, night: Any) -> None:
    document = json.loads(run("sessions", night.path, "viewer", "--json").out)
    assert (document["session"]["id"], document["session"]["reason"]) == (21, "lost")
    assert [each["seq"] for each in document["did"]] == [21, 22, 23, 24, 26, 27, 31, 32, 33, 34, 40]
    assert document["took_along"]["edges"] == [{"from_topic": "SYSTEM/FILTER/OUT", "to_topic": "VIEWER/IN"}]
    assert [(each["what"], each["to_topic"], len(each["owners"])) for each in document["left"]] == [
        ("edge", "SCOPE", 1),
        ("edge", "SYSTEM/AMP/IN", 1),
    ]
    assert (document["holds"], document["components"]) == ([], [])


def test_a_session_that_cleared_up_or_went_with_its_server(run: Run, night: Any) -> None:
    cleared = run("sessions", night.path, "44").out
    assert "closed after 3 s" in cleared
    assert "  3 components: SYSTEM, SYSTEM/AMP, SYSTEM/SOURCE" in cleared
    assert cleared.endswith("what it left behind\n  nothing\n")
    lost = run("sessions", night.path, "2").out
    assert "lost with the server after 24 s" in lost
    assert "  SYSTEM/DECODER/OUT -> SYSTEM/SINK/IN" in lost.split("what went with it")[1]


def test_an_open_session_has_what_it_holds(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "x.ledger"
    with Ledger.open(path) as ledger:
        ledger.append([ev.SessionOpened(uuid="s", label="A")])
        ledger.append([ev.EdgeConnected(from_topic="A", to_topic="B", owner=1)])
        out = run("sessions", path, "A").out
    assert "still open" in out
    assert out.endswith("what it holds now\n  A -> B\n")


def test_of_what_went_with_a_session_the_first_are_listed(run: Run, tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "x.ledger") as ledger:
        live = LiveGraph(ledger)
        session = live.open_session(label="many")
        for number in range(40):
            live.connect(f"A{number:02}", f"B{number:02}", owner=session)
        live.close_session(session)
        live.close()
    out = run("sessions", tmp_path / "x.ledger", "many").out
    ended = out[out.index("what went with it") :].splitlines()
    assert len(ended) < 20
    assert "  ... 30 more (--full)" in ended
    assert run("sessions", tmp_path / "x.ledger", "many", "--full").out.count("\n  A") == 40


def test_settings_that_outlive_a_session_are_left_behind(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "x.ledger"
    with Ledger.open(path) as ledger:
        live = LiveGraph(ledger)
        session = live.open_session(label="S")
        live.register(session, freeze(GraphMetadata(components={"U": UnitMetadata(address="U", name="U")})))
        process = live.open_process()
        live.register_process(process, 7, "h", ["U"])
        live.update_settings(process, "U", ev.SettingsValue(serialized=None, repr_value={"gain": 2.0}))
        live.close_session(session)
        live.close()
    assert f"the settings of U, still reported by process {process} (pid 7 on h)" in run("sessions", path, "S").out


def test_a_session_that_never_was(run: Run, night: Any) -> None:
    answer = run("sessions", night.path, "vieuwer")
    assert (answer.code, answer.out) == (exits.USAGE, "")
    assert "Did you mean viewer?" in answer.err
    assert run("sessions", night.path, "1", "2").code == exits.USAGE


def test_sessions_that_are_open_and_ledgers_without_any(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "x.ledger"
    with Ledger.open(path) as ledger:
        assert run("sessions", path).out == "no session ever connected\n"
        ledger.append([ev.SessionOpened(uuid="s", label="A")])
        ledger.append([ev.EdgeConnected(from_topic="A", to_topic="B", owner=1)])
        ledger.append([ev.EdgeDisconnected(from_topic="A", to_topic="B", owner=1)])
        out = run("sessions", path).out
    assert "still open" in out
    assert "1, 0 now" in out


def test_damage_shows_what_was_before_it(run: Run, night: Any, tmp_path: Path) -> None:
    path = tmp_path / "damaged.ledger"
    path.write_bytes(night.path.read_bytes().replace(b'"session":21', b'"session":2x', 1))
    answer = run("sessions", path)
    assert answer.code == exits.DAMAGED
    assert "SYSTEM" in answer.out


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["edge", "clear", "close", "open"]), st.integers(0, 5)), max_size=40))
def test_what_a_session_holds_is_what_the_graph_state_says(steps: list[tuple[str, int]]) -> None:
    ledger = Ledger.memory()
    state, found = GraphState(), SessionLives()
    most: dict[int, int] = {}
    for kind, number in [("open", 0), *steps]:
        open_ids = list(state.sessions)
        if kind == "open" or not open_ids:
            event: ev.Event = ev.SessionOpened(uuid=f"u{state.seq}")
        else:
            owner = open_ids[number % len(open_ids)]
            edge = (f"A{number}", "B")
            holds = state.ownership.holds(edge, owner)
            event = {
                "edge": (ev.EdgeDisconnected if holds else ev.EdgeConnected)(
                    from_topic=edge[0], to_topic=edge[1], owner=owner
                ),
                "clear": ev.SessionCleared(session=owner),
                "close": ev.SessionClosed(session=owner, reason="lost"),
            }[kind]
        batch = ledger.append([event])
        state.apply_batch(batch)
        found.apply_batch(batch)
        for key in state.sessions:
            held = len(state.ownership.held(key))
            most[key] = max(most.get(key, 0), held)
            assert (found.lives[key].edges, found.lives[key].edges_max) == (held, most[key])
    assert fold(ledger.read(), SessionLives()).lives == found.lives
    assert fold(ledger.read(), Lifetimes()).session_lives().lives == found.lives
    assert [key for key, life in found.lives.items() if life.ended is None] == list(state.sessions)


def test_holes_and_contradictions_are_noticed() -> None:
    with pytest.raises(OutOfOrder):
        SessionLives().apply(ev.SessionOpened(uuid="s", seq=2, time=1))
    with pytest.raises(InvalidEvent):
        SessionLives().apply(ev.SessionClosed(session=9, reason="lost", seq=1, time=1))
