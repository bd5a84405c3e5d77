"""``show``, as a person and as a program sees it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ezmsg.ledger import events as ev
from ezmsg.ledger.log import Ledger
from ezmsg.ledger.projections.graph.segment_start import rotate
from ezmsg.ledger.projections.questions.moments.last_built import last_built
from ezmsg.ledger.projections.questions.timeline import Timeline
from ezmsg.ledger.tools import exits
from ezmsg.ledger.tools.commands.look.show import EDGES_MAX, ROWS_MAX

Run = Callable[..., Any]


def test_a_moment_in_the_middle_of_things(run: Run, night: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(night.path.parent)
    answer = run("show", night.path.name, "--at", night.seqs["visited"])
    assert answer.code == exits.OK
    sections = answer.out.split("\n\n")
    head = sections[0].splitlines()
    assert head[0] == "night.ledger at seq 39, 2026-11-24 13:03:37.156+00:00"
    assert head[1].startswith('run 1: "rig 3" on ')
    assert head[1].endswith(", at 127.0.0.1:25978, 17.2 s after its start")
    assert sections[1].splitlines() == [
        "2 sessions",
        '  2   "SYSTEM"  127.0.0.1:40122  since 13:03:20.150+00:00  6 edges, 7 components',
        '  21  "viewer"  127.0.0.1:40301  since 13:03:37.156+00:00  3 edges',
    ]
    assert sections[2].splitlines()[:7] == [
        "9 edges, 12 topics",
        "  SCOPE",
        "    SCOPE -> SCOPE/COPY       persistent",
        "  SYSTEM/AMP",
        '    OUT -> SCOPE              persistent, session 21 "viewer"',
        '    OUT -> SYSTEM/FILTER/IN   session 2 "SYSTEM"',
        '    OUT -> SYSTEM/LOG/IN      session 2 "SYSTEM"',
    ]
    assert sections[3].splitlines()[:3] == [
        "7 components, 1 process",
        "  SYSTEM          System (collection)",
        "  SYSTEM/AMP      Amp (unit)           process 16 (pid 4711 on lab-3)",
    ]
    assert sections[4].splitlines() == [
        "settings in force",
        '  SYSTEM/AMP  reported by process 16 (pid 4711 on lab-3) at seq 19  gain=2.0, mode="fast"',
        "  6 components without settings",
    ]
    assert sections[5].splitlines() == [
        "1 publisher, 1 subscriber, 4 channels",
        "  publisher 10 of SYSTEM/SOURCE/OUT  127.0.0.1:5555",
    ]


@pytest.mark.parametrize(
    ("at", "head"),
    [
        ("mark:baseline", 'at seq 18, 2026-11-24 13:03:30.156+00:00 (mark "baseline" by ada)'),
        ("13:03:31", "at seq 18, 2026-11-24 13:03:30.156+00:00 (2026-11-24 13:03:31+00:00)"),
        ("-5s", "at seq 41, 2026-11-24 13:03:39.156+00:00 (5 seconds before the last event (2026-11-24 13:04:17.306"),
        ("run:1", "at seq 41, 2026-11-24 13:03:39.156+00:00 (run 1: its last event before it was lost)"),
        ("0", "at seq 0 (before the first event)"),
        ("18", "at seq 18, 2026-11-24 13:03:30.156+00:00\n"),
    ],
)
def test_the_head_says_which_moment_and_how_it_was_understood(run: Run, night: Any, at: str, head: str) -> None:
    assert head in run("show", night.path, "--at", at).out


def test_one_owner_of_everything_is_named_once(run: Run, night: Any) -> None:
    out = run("show", night.path, "--at", night.seqs["wired"]).out
    assert '6 edges, 9 topics, all held by session 2 "SYSTEM"' in out
    assert "    OUT -> SYSTEM/FILTER/IN\n" in out
    assert "  SYSTEM/AMP  initial, seq 9  gain=1.0" in out


def test_after_the_end_it_says_where_more_was(run: Run, night: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(night.path.parent)
    out = run("show", night.path.name).out
    assert "run 2 had ended" in out
    assert "before it was torn down, the graph had 3 edges:\n  ezmsg-ledger show night.ledger --at 46\n" in out
    assert night.seqs["second wired"] == 46


def test_an_empty_graph_says_so(run: Run, night: Any) -> None:
    assert "nothing is connected at this moment, and nothing was before" in run("show", night.path, "--at", "0").out
    assert "nothing is connected at this moment, and nothing was before" in run("show", night.path, "--at", "1").out


def test_a_teardown_begins_behind_what_was_built_last() -> None:
    ledger = Ledger.memory()
    ledger.append([ev.SessionOpened(uuid="s")])
    assert last_built(ledger, 1) == 0
    ledger.append([ev.EdgeConnected(from_topic="A", to_topic="B", owner=1)])
    ledger.append([ev.SubscriberOpened(uuid="x", topic="B")])
    ledger.append([ev.EndpointClosed(endpoint=3, reason="closed"), ev.SessionCleared(session=1)])
    ledger.append([ev.SessionClosed(session=1, reason="closed")])
    assert [last_built(ledger, until) for until in (2, 3, 4, 6)] == [2, 3, 3, 3]


def test_a_recording_that_goes_on_and_one_that_broke_off(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "x.ledger"
    with Ledger.open(path) as ledger:
        ledger.append([ev.ServerStarted(uuid="r", kind="server", name="n", host="h", pid=1)])
        assert "the recording goes on" in run("show", path).out
    assert "run 1 breaks off here" in run("show", path).out


def test_full_shows_every_endpoint_and_every_field(run: Run, night: Any) -> None:
    out = run("show", night.path, "--at", night.seqs["visited"], "--full").out
    assert "  subscriber 11 of SYSTEM/AMP/IN                   127.0.0.1:40124" in out
    assert "  channel 15 to publisher 10 of SYSTEM/SOURCE/OUT  127.0.0.1:40133" in out
    assert "  SYSTEM/SINK     initial, seq 9 " in out


def test_stalls_and_pauses_are_never_left_out(run: Run, night: Any) -> None:
    assert "STALLED" in run("show", night.path, "--at", "35").out
    assert "STALLED" not in run("show", night.path, "--at", "36").out
    assert "the graph was paused" in run("show", night.path, "--at", "37").out
    assert "the graph was paused" not in run("show", night.path, "--at", "39").out
    assert "UPDATE_SETTING_FIELD on SYSTEM/AMP for session 21" in run("show", night.path, "--at", "31").out


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three hundred edges of a hundred sources, held by two sessions."""
    path = tmp_path_factory.mktemp("large") / "large.ledger"
    with Ledger.open(path) as ledger:
        ledger.append([ev.SessionOpened(uuid="a", label="A"), ev.SessionOpened(uuid="b", label="B")])
        ledger.append([
            ev.EdgeConnected(from_topic=f"SYS/S{n % 100:02}/OUT", to_topic=f"SYS/T{n:03}/IN", owner=1 + n % 2)
            for n in range(300)
        ])  # fmt: skip
    return path


def test_a_large_graph_fits_on_two_screens(run: Run, large: Path) -> None:
    lines = run("show", large).out.splitlines()
    assert "300 edges, 400 topics" in lines
    assert '  SYS/S00/OUT -> SYS/T000/IN, SYS/T100/IN, SYS/T200/IN  [session 1 "A"]' in lines
    assert f"  ... {100 - ROWS_MAX} more lines (--full)" in lines
    assert len(lines) < ROWS_MAX + 15


def test_a_large_graph_can_be_had_in_full(run: Run, large: Path) -> None:
    lines = run("show", large, "--full").out.splitlines()
    assert sum(" -> " in line for line in lines) == 300 > EDGES_MAX
    assert '    OUT -> SYS/T299/IN  session 2 "B"' in lines


# --- as a document ---------------------------------------------------------------------------------------------------


def test_the_document_is_ezmsgs_snapshot_and_more(run: Run, night: Any) -> None:
    document = json.loads(run("show", night.path, "--at", "mark:baseline", "--json").out)
    with Ledger.open(night.path, "r") as ledger:
        state = Timeline(ledger).at("mark:baseline")
    snapshot = state.snapshot()
    assert document["graph"] == snapshot.graph
    assert list(document["graph"]) == list(snapshot.graph), "the order of nodes is a fact"
    assert document["edge_owners"] == [
        {"from_topic": edge.from_topic, "to_topic": edge.to_topic, "owners": owners}
        for edge, owners in snapshot.edge_owners.items()
    ]
    assert set(document["sessions"]) == set(snapshot.sessions)
    [session] = document["sessions"].values()
    assert [(edge["from_topic"], edge["to_topic"]) for edge in session["edges"]] == [
        tuple(edge) for edge in snapshot.sessions[session["uuid"]].edges
    ]
    assert (session["id"], session["label"], session["peer"]) == (2, "SYSTEM", "127.0.0.1:40122")
    assert session["metadata"]["$"] == "GraphMetadata"
    [process] = document["processes"].values()
    assert (process["pid"], process["host"], process["units"][0]) == (4711, "lab-3", "SYSTEM/AMP")
    setting = document["settings"]["SYSTEM/AMP"]
    assert setting["repr_value"] == {"gain": 1.0, "mode": "fast"}
    assert (setting["session"], setting["process"], setting["since"]) == (session["uuid"], None, 9)
    assert [endpoint["kind"] for endpoint in document["endpoints"]] == ["publisher", "subscriber", *["channel"] * 4]
    assert (document["seq"], document["time"]) == (state.seq, state.time)
    assert document["moment"] == {
        "text": "mark:baseline",
        "how": 'mark "baseline" by ada',
        "seq": 18,
        "time": state.time,
    }
    assert document["run"]["number"] == 1
    assert document["run"]["reason"] == "lost"


def test_damage_shows_what_was_before_it(run: Run, night: Any, tmp_path: Path) -> None:
    path = tmp_path / "damaged.ledger"
    path.write_bytes(night.path.read_bytes().replace(b'"settings.updated"', b'"settings.updated!'))
    answer = run("show", path, "--json")
    assert answer.code == exits.DAMAGED
    assert json.loads(answer.out)["seq"] == 18
    assert "damaged after seq 18" in answer.err
    before = run("show", path, "--at", "17")
    assert before.code == exits.DAMAGED, "what was read on the way is told, whatever was asked"
    assert "at seq 17" in before.out
    assert "(the last event before the damage)" in run("show", path).out


def test_a_moment_whose_segment_is_gone(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "x.ledger"
    with Ledger.open(path, segmented=True) as ledger:
        for place in range(3):
            ledger.append([ev.EdgeConnected(from_topic=f"A{place}", to_topic="B", owner=None)])
            rotate(ledger)
    (path / "000001.ledger").unlink()
    answer = run("show", path, "--at", 0)
    assert (answer.code, answer.out) == (exits.USAGE, "")
    assert "seq 0 is no longer in" in answer.err
    assert "The ledger holds seq 2" in answer.err
    assert "1 edge, 2 topics" in run("show", path, "--at", 1).out
