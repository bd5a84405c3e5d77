"""``check``, as a start script and as a person sees it."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ezmsg.ledger import events as ev
from ezmsg.ledger.log import Ledger
from ezmsg.ledger.runtime.server.server import GraphServer
from ezmsg.ledger.tools import exits

Run = Callable[..., Any]


@pytest.fixture
def baseline(run: Run, night: Any, tmp_path: Path) -> Path:
    path = tmp_path / "rig.json"
    answer = run("check", night.path, "--at", night.seqs["gain"], "--write", path)
    assert answer.code == exits.OK
    assert answer.out.startswith(f"wrote {path}: 6 edges, 7 components, settings of 7, ")
    return path


def test_an_unchanged_session_is_as_validated(run: Run, night: Any, baseline: Path) -> None:
    answer = run("check", night.path, "--like", baseline, "--at", night.seqs["gain"])
    assert answer.code == exits.OK
    assert answer.out == f"as validated at seq 19, beside {baseline}\n"
    beside = run("check", night.path, "--like", night.path, "--at", "19", "--like-at", "19", "--json")
    document = json.loads(beside.out)
    assert (beside.code, document["same"], document["differences"]) == (exits.OK, True, [])


def test_each_difference_takes_a_line_with_its_reason(run: Run, night: Any, baseline: Path) -> None:
    answer = run("check", night.path, "--like", baseline, "--at", night.seqs["gain"] - 1)
    assert answer.code == exits.NO
    head, *lines = answer.out.splitlines()
    assert head.startswith("NOT as validated: 1 difference at seq 18")
    [line] = lines
    assert line.startswith("  ~ setting SYSTEM/AMP.gain 2.0 -> 1.0; seq ")
    assert 'session 2 "SYSTEM" registered 7 components' in line
    ignored = run("check", night.path, "--like", baseline, "--at", "18", "--ignore", "SYSTEM/AMP.gain")
    assert ignored.code == exits.OK
    assert "1 difference ignored" in ignored.out


def test_a_pattern_after_which_nothing_is_called_is_told(run: Run, night: Any, baseline: Path, tmp_path: Path) -> None:
    like = ("check", night.path, "--like", baseline, "--at", "19")
    known = ["edges", "SYSTEM/LOG*", "SYSTEM/AMP.gain", "SYSTEM/AMP/OUT -> SYSTEM/LOG/IN", "*.component_type"]
    quiet = run(*like, *(word for pattern in known for word in ("--ignore", pattern)))
    assert (quiet.code, quiet.err) == (exits.OK, ""), "these have names, although none of them differs"
    told = run(*like, "--ignore", "SYSTEM/LGO*", "--ignore", "SYSTEM/AMP.gian", "--ignore", "loops")
    assert told.code == exits.OK
    [line] = told.err.splitlines()
    assert line.endswith(
        "nothing is called like 'SYSTEM/LGO*', 'SYSTEM/AMP.gian', so that --ignore passes over nothing by it"
    )
    document = json.loads(run(*like, "--ignore", "SYSTEM/LGO*", "--json").out)
    assert document["unmatched"] == ["SYSTEM/LGO*"]
    written = run("check", night.path, "--at", "19", "--write", tmp_path / "other.json", "--ignore", "SYSTEM/LGO*")
    assert written.code == exits.OK
    assert "nothing is called like 'SYSTEM/LGO*'" in written.err
    assert run("check", night.path, "--like", tmp_path / "other.json", "--at", "19").err == "", "it was told once"


def test_a_lost_viewer_is_told_with_who_lost_it(run: Run, night: Any, tmp_path: Path) -> None:
    path = tmp_path / "visited.json"
    run("check", night.path, "--at", night.seqs["visited"], "--write", path)
    answer = run("check", night.path, "--like", path, "--at", night.seqs["visitor lost"])
    [line] = [line for line in answer.out.splitlines() if "is missing" in line]
    assert "edge SYSTEM/FILTER/OUT -> VIEWER/IN is missing (was held by viewer); seq " in line
    assert 'session 21 "viewer" was lost' in line


def test_an_ended_recording_is_checked_where_it_last_stood(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "x.ledger"
    with Ledger.open(path) as ledger:
        ledger.append([ev.SessionOpened(uuid="u", label="RIG")])
        ledger.append([ev.EdgeConnected(from_topic="A", to_topic="B", owner=1)])
        ledger.append([ev.SessionClosed(session=1, reason="closed")])
        assert run("check", path, "--like", path).code == exits.USAGE, "at its end nothing is wired"
    assert run("check", path, "--like", path).out.startswith("as validated at seq 2,")


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ('{"baseline": 7}', exits.NOT_A_LEDGER, "is a baseline of version 7; this program reads versions up to 1"),
        ("edges:", exits.NOT_A_LEDGER, "is not a baseline"),
        ('{"baseline": 1}', exits.NOT_A_LEDGER, "is not a sound baseline"),
        (None, exits.USAGE, "there is no file"),
    ],
)
def test_a_baseline_that_cannot_be_used_gets_one_message(
    run: Run, night: Any, tmp_path: Path, text: str | None, code: int, said: str
) -> None:
    path = tmp_path / "rig.json"
    if text is not None:
        path.write_text(text)
    answer = run("check", night.path, "--like", path)
    assert answer.code == code
    assert said in answer.err
    assert answer.out == ""
    assert "Traceback" not in answer.err


def test_what_cannot_be_asked_is_refused(run: Run, night: Any, baseline: Path, tmp_path: Path) -> None:
    for words in (
        [night.path],
        [night.path, "--like", baseline, "--write", tmp_path / "other.json"],
        [night.path, "--write", tmp_path / "other.ledger"],
        [night.path, "--like", baseline, "--like-at", "3"],
    ):
        assert run("check", *words).code == exits.USAGE
    assert run("check", night.path, "--at", "start", "--write", tmp_path / "nothing.json").code == exits.NO
    assert sorted(path.name for path in tmp_path.iterdir()) == ["rig.json"]


def test_a_start_script_waits_for_a_recorder_to_be_as_validated(tmp_path: Path) -> None:
    """The check runs in a process of its own, as from a script, while the graph is wired."""
    server = GraphServer(tmp_path / "rig.ledger")
    server.start(("127.0.0.1", 0))
    try:
        validated = tmp_path / "rig.json"
        with Ledger.open(tmp_path / "validated.ledger") as ledger:
            ledger.append([ev.EdgeConnected(from_topic="A", to_topic="B", owner=None)])
        command = [sys.executable, "-m", "ezmsg.ledger.tools.cli", "check"]
        subprocess.run([*command, tmp_path / "validated.ledger", "--write", validated], check=True, timeout=60)
        asked = [*command, str(server.address), "--like", str(validated)]
        soon = subprocess.run(asked, capture_output=True, text=True, timeout=60)
        assert soon.returncode == exits.NO
        assert "edge A -> B is missing (was held by persistent); it never was there" in soon.stdout
        waiting = subprocess.Popen([*asked, "--wait", "60"], stdout=subprocess.PIPE, text=True)
        wired = subprocess.run(
            [sys.executable, "-c", _CONNECT, str(server.address)], capture_output=True, text=True, timeout=60
        )
        assert wired.returncode == 0, wired.stderr
        out, _ = waiting.communicate(timeout=90)
        assert waiting.returncode == exits.OK, out
        assert out.startswith("as validated at seq ")
    finally:
        server.stop()


_CONNECT = """
import asyncio, sys
from ezmsg.core.graphserver import GraphService
from ezmsg.core.netprotocol import Address
asyncio.run(GraphService(Address.from_string(sys.argv[1])).connect("A", "B"))
"""
