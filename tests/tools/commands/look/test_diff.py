"""``diff``, as a person and as a program sees it."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ezmsg.ledger import events as ev
from ezmsg.ledger.log import Ledger
from ezmsg.ledger.projections.questions.named_diff import GROUPS
from ezmsg.ledger.projections.questions.timeline import Timeline
from ezmsg.ledger.tools import exits
from ezmsg.ledger.tools.text.comparison import Comparison

Run = Callable[..., Any]


def lines(out: str) -> list[str]:
    return [line.strip() for line in out.splitlines() if re.match(r"  [+~-] ", line)]


def test_a_setting_is_told_field_by_field(run: Run, night: Any) -> None:
    answer = run("diff", night.path, night.seqs["baseline"], night.seqs["gain"])
    assert answer.out.splitlines() == [
        "from seq 18, 2026-11-24 13:03:30.156+00:00",
        "  to seq 19, 2026-11-24 13:03:32.156+00:00",
        "",
        "settings (~1)",
        "  ~ SYSTEM/AMP  gain 1.0 -> 2.0; now reported by process 16 (pid 4711 on lab-3) (was initial)",
    ]


def test_a_lost_session_is_told_edge_by_edge(run: Run, night: Any) -> None:
    out = run("diff", night.path, night.seqs["visited"], night.seqs["visitor lost"]).out
    assert lines(out) == [
        '~ SYSTEM/AMP/OUT -> SCOPE  (held by: no longer session 21 "viewer", still persistent)',
        '- SYSTEM/FILTER/OUT -> VIEWER/IN  (was held by session 21 "viewer")',
        '~ SYSTEM/SOURCE/OUT -> SYSTEM/AMP/IN  (held by: no longer session 21 "viewer", still session 2 "SYSTEM")',
        '- session 21 "viewer" from 127.0.0.1:40301',
    ]
    assert "edges (-1 ~2)" in out


def test_two_runs_can_be_compared(run: Run, night: Any) -> None:
    found = lines(run("diff", night.path, "mark:baseline", night.seqs["second wired"]).out)
    assert any(re.match(r'- run of "rig 3" on \S+ \(pid \d+\), started at seq 1', line) for line in found)
    assert any(re.match(r'\+ run of "rig 3" .*, started at seq 43', line) for line in found)
    assert (
        '~ SYSTEM/SOURCE/OUT -> SYSTEM/AMP/IN  (held by: now also session 44 "SYSTEM", no longer session 2 "SYSTEM")'
        in found
    )
    assert '~ SYSTEM/AMP  registered by session 44 "SYSTEM", was by session 2 "SYSTEM"' in found
    assert '- SYSTEM/SINK  Sink (unit), session 2 "SYSTEM"' in found
    assert "+ SCOPE -> SCOPE/COPY  (persistent)" in found


def test_two_runs_are_compared_by_names(run: Run, night: Any) -> None:
    found = lines(run("diff", night.path, "mark:baseline", night.seqs["second wired"], "--by-name").out)
    assert not any("SYSTEM/SOURCE/OUT -> SYSTEM/AMP/IN" in line for line in found), "held by SYSTEM in both"
    assert '- SYSTEM/DECODER/OUT -> SYSTEM/SINK/IN  (held by "SYSTEM")' in found
    assert "+ SCOPE -> SCOPE/COPY  (persistent)" in found
    assert '- session "SYSTEM" holding 6 edges' in found
    assert '+ session "SYSTEM" holding 1 edge' in found
    assert "- SYSTEM/SINK" in found
    assert "~ SYSTEM  changed: children" in found
    assert "- channel of SYSTEM/SOURCE/OUT  (4, then 0)" in found
    assert not any(re.search(r"session \\d|process \\d|pid", line) for line in found)


@pytest.fixture(scope="module")
def again(night: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The same night once more: nothing but UUIDs, pids and the clock differ."""
    return type(night)(tmp_path_factory.mktemp("again") / "again.ledger")


def test_two_ledgers_of_the_same_thing_do_not_differ(run: Run, night: Any, again: Any) -> None:
    answer = run("diff", night.path, night.seqs["gain"], again.seqs["gain"], "--with", again.path)
    assert answer.out.endswith("no difference\n")
    assert f" of {again.path}" in answer.out
    document = json.loads(
        run("diff", night.path, night.seqs["gain"], again.seqs["gain"], "--with", again.path, "--json").out
    )
    assert (document["same"], document["by_name"], document["with"]["ledger"]) == (True, True, str(again.path))
    assert document["id"] != document["with"]["id"]


def test_a_setting_that_two_ledgers_differ_in_is_told(run: Run, night: Any, again: Any) -> None:
    answer = run("diff", night.path, night.seqs["baseline"], again.seqs["gain"], "--with", again.path)
    assert lines(answer.out) == ["~ SYSTEM/AMP  gain 1.0 -> 2.0"]
    [setting] = json.loads(
        run("diff", night.path, night.seqs["baseline"], again.seqs["gain"], "--with", again.path, "--json").out
    )["settings"]
    assert setting["fields"] == [{"field": "gain", "before": 1.0, "after": 2.0}]


def test_by_names_the_way_back_is_the_mirror(run: Run, night: Any) -> None:
    there = json.loads(run("diff", night.path, 17, 41, "--json", "--by-name").out)
    back = json.loads(run("diff", night.path, 41, 17, "--json", "--by-name").out)
    turn = {"+": "-", "-": "+", "~": "~"}
    for group in ("edges", "sessions", "components", "settings", "processes", "endpoints"):
        mirrored = [{**item, "change": turn[item["change"]]} for item in there[group]]
        assert sorted(item["change"] for item in mirrored) == sorted(item["change"] for item in back[group]), group


def test_the_way_back_is_the_mirror(run: Run, night: Any) -> None:
    there = json.loads(run("diff", night.path, 17, 41, "--json").out)
    back = json.loads(run("diff", night.path, 41, 17, "--json").out)
    turn = {"+": "-", "-": "+", "~": "~"}
    for group in ("edges", "sessions", "components", "settings", "processes", "endpoints"):
        assert [turn[item["change"]] for item in there[group]] == [item["change"] for item in back[group]], group
    assert [(edge["before"], edge["after"]) for edge in there["edges"]] == [
        (edge["after"], edge["before"]) for edge in back["edges"]
    ]


@pytest.mark.parametrize(("a", "b"), [("end", "end"), ("18", "mark:baseline"), ("35", "34"), ("26", "27")])
def test_no_difference_is_said(run: Run, night: Any, a: str, b: str) -> None:
    answer = run("diff", night.path, a, b)
    same = a not in ("35",)
    assert ("no difference" in answer.out) == same
    assert json.loads(run("diff", night.path, a, b, "--json").out)["same"] is same
    assert answer.code == exits.OK


def test_stalls_pauses_and_requests_are_differences(run: Run, night: Any) -> None:
    assert lines(run("diff", night.path, 34, 35).out) == ["~ subscriber 11 of SYSTEM/AMP/IN: stalled"]
    assert lines(run("diff", night.path, 35, 36).out) == ["~ subscriber 11 of SYSTEM/AMP/IN: no longer stalled"]
    assert lines(run("diff", night.path, 36, 37).out) == ["~ paused"]
    assert lines(run("diff", night.path, 30, 31).out) == ["+ request 31: UPDATE_SETTING_FIELD on SYSTEM/AMP"]


def test_ages_are_moments_and_no_options(run: Run, night: Any) -> None:
    answer = run("diff", night.path, "-60s", "-5s")
    assert answer.code == exits.OK
    assert "from seq 17" in answer.out
    assert "to seq 41" in answer.out
    assert run("diff", night.path, "-60s", "-5s", "--json").code == exits.OK


def test_without_a_ledger_the_newest_is_taken(run: Run, night: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(night.path.parent)
    answer = run("diff", "-60s", "end")
    assert answer.code == exits.OK
    assert "reading night.ledger" in answer.err


def test_long_groups_are_cut_unless_all_is_wanted(run: Run, tmp_path: Any) -> None:
    with Ledger.open(tmp_path / "x.ledger") as ledger:
        ledger.append([ev.Mark(name="empty")])
        ledger.append([ev.EdgeConnected(from_topic=f"A{n:03}", to_topic="B", owner=None) for n in range(100)])
    assert len(lines(run("diff", tmp_path / "x.ledger", 1, "end").out)) == 40
    assert "... 60 more (--full)" in run("diff", tmp_path / "x.ledger", 1, "end").out
    assert len(lines(run("diff", tmp_path / "x.ledger", 1, "end", "--full").out)) == 100


def test_the_document_has_every_group_with_before_and_after(run: Run, night: Any) -> None:
    document = json.loads(run("diff", night.path, night.seqs["baseline"], night.seqs["gain"], "--json").out)
    assert (document["a"]["seq"], document["b"]["seq"], document["same"]) == (18, 19, False)
    [setting] = document.pop("settings")
    assert setting["change"] == "~"
    assert setting["component"] == "SYSTEM/AMP"
    assert setting["fields"] == [{"field": "gain", "before": 1.0, "after": 2.0}]
    assert (setting["before"]["process"], setting["before"]["since"]) == (None, 9)
    assert setting["after"]["repr_value"] == {"gain": 2.0, "mode": "fast"}
    groups = ("graph", "edges", "sessions", "components", "processes", "endpoints", "requests")
    assert all(document[group] == [] for group in groups)


def test_what_differs_in_words_differs_as_facts(night: Any) -> None:
    """Between neighbours: words for every change of facts that people care for, and none without one."""
    with Ledger.open(night.path, "r") as ledger:
        timeline = Timeline(ledger)
        before = timeline.at(0)
        for seq in range(1, night.seqs["end"] + 1):
            after = timeline.at(seq)
            facts = [change for change in timeline.diff(seq - 1, seq).changes if change.key[0] != "node"]
            assert bool(Comparison(before, after)) == bool(facts), seq
            before = after


def test_two_ledgers_with_nothing_in_common_are_not_compared(run: Run, night: Any, tmp_path: Path) -> None:
    path = tmp_path / "other.ledger"
    with Ledger.open(path) as ledger:
        ledger.append([ev.EdgeConnected(from_topic="ELSE/OUT", to_topic="ELSE/IN", owner=None)])
    answer = run("diff", night.path, night.seqs["gain"], "end", "--with", path)
    assert (answer.code, answer.out) == (exits.NO, "")
    assert "have no topic, component or label in common" in answer.err
    assert "hint: Compare recordings of the same system" in answer.err
    with Ledger.open(path) as ledger:
        ledger.append([ev.EdgeConnected(from_topic="ELSE/OUT", to_topic="SCOPE", owner=None)])
    assert run("diff", night.path, night.seqs["gain"], "end", "--with", path).code == exits.OK


def test_the_command_says_by_names_what_the_library_does(run: Run, night: Any, again: Any) -> None:
    a, b = night.seqs["baseline"], again.seqs["gain"]
    document = json.loads(run("diff", night.path, a, b, "--with", again.path, "--json").out)
    with Ledger.open(night.path, "r") as ledger, Ledger.open(again.path, "r") as other:
        found = Timeline(ledger).compare(a, b, Timeline(other))
    assert {group for group in GROUPS if document[group]} == {change.group for change in found.changes} == {"settings"}
    [change] = found.of("settings")
    assert (change.name, change.before.structured_value["gain"], change.after.structured_value["gain"]) == (
        "SYSTEM/AMP", 1.0, 2.0,
    )  # fmt: skip
    assert json.loads(json.dumps(found.to_dict()))["changes"][0]["name"] == "SYSTEM/AMP"


def test_two_ledgers_in_place_of_moments_are_answered_with_how_they_are_compared(run: Run, night: Any) -> None:
    answer = run("diff", night.path, night.path)
    assert answer.code == exits.USAGE
    assert f"hint: ezmsg-ledger diff {night.path} end end --with {night.path}" in answer.err
    some = run("diff", night.path, night.path, "mark:baseline")
    assert f"hint: ezmsg-ledger diff {night.path} mark:baseline end --with {night.path}" in some.err
