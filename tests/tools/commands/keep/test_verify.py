"""``verify``, as a person and as a program sees it."""

import hashlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ezmsg.ledger import events as ev
from ezmsg.ledger.log import Ledger
from ezmsg.ledger.projections.graph import state as state_module
from ezmsg.ledger.projections.graph.records import SettingRecord
from ezmsg.ledger.projections.graph.segment_start import rotate
from ezmsg.ledger.projections.graph.state import GraphState
from ezmsg.ledger.runtime.live import LiveGraph
from ezmsg.ledger.tools import exits
from ezmsg.ledger.tools.commands.keep import verify as command
from ezmsg.ledger.tools.commands.keep.verify import check_each_step

Run = Callable[..., Any]


def test_a_sound_ledger(run: Run, night: Any) -> None:
    content = night.path.read_bytes()
    answer = run("verify", night.path)
    assert answer.code == exits.OK
    assert answer.out.splitlines() == [
        f"sound: {night.path}",
        "  49 events in 50 commits, up to seq 49",
        f"  {len(content):,} bytes",
        f"  sha256 {hashlib.sha256(content).hexdigest()}  (head -c {len(content)} FILE | sha256sum)",
        "  sealed: its last writer closed it",
    ]
    assert answer.err == ""


def test_the_document(run: Run, night: Any) -> None:
    content = night.path.read_bytes()
    document = json.loads(run("verify", night.path, "--json").out)
    assert document.pop("id")
    assert document == {
        "ledger": str(night.path),
        "sound": True,
        "torn": False,
        "running": False,
        "sealed": True,
        "writer": False,
        "offset": len(content),
        "seq": 49,
        "events": 49,
        "commits": 50,
        "bytes": len(content),
        "tail_bytes": 0,
        "sha256": hashlib.sha256(content).hexdigest(),
        "problems": [],
        "first": 1,
        "segments": 1,
        "segment": 1,
        "deep": None,
        "receipt": None,
        "receipts": [],
        "origins": [],
        "origin": None,
    }


@pytest.mark.parametrize("cut", [1, 40, 200])
def test_a_torn_end_is_unsound_but_no_damage(run: Run, tmp_path: Path, cut: int) -> None:
    path = tmp_path / "x.ledger"
    with Ledger.open(path) as ledger:
        for number in range(5):
            ledger.append([ev.Mark(name=f"m{number}")])
        content = path.read_bytes()
    path.write_bytes(content[:-cut])
    answer = run("verify", path)
    assert answer.code == exits.NO
    assert answer.out.startswith(f"unsound, its end is torn: {path}\n  4 events in 5 commits, up to seq 4\n")
    assert "not sealed: its last writer was interrupted" in answer.out
    assert json.loads(run("verify", path, "--json").out)["torn"] is True
    with Ledger.open(path):
        pass
    assert run("verify", path).code == exits.OK, "recording to it again puts the torn end aside"


@pytest.mark.parametrize("place", [0.3, 0.6, 0.9])
def test_damage_is_found_wherever_it_is(run: Run, night: Any, tmp_path: Path, place: float) -> None:
    content = bytearray(night.path.read_bytes())
    offset = int(len(content) * place)
    content[offset] ^= 1
    path = tmp_path / "x.ledger"
    path.write_bytes(content)
    answer = run("verify", path)
    assert answer.code == exits.DAMAGED
    assert answer.out.startswith(f"UNSOUND: {path}\n")
    document = json.loads(run("verify", path, "--json").out)
    assert document["problems"]
    assert document["offset"] <= offset
    assert (document["sound"], document["torn"]) == (False, False)
    assert hashlib.sha256(content[: document["offset"]]).hexdigest() == document["sha256"]


def test_a_ledger_that_is_being_written_says_so(run: Run, tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "x.ledger") as ledger:
        ledger.append([ev.Mark(name="x")])
        answer = run("verify", tmp_path / "x.ledger")
    assert answer.code == exits.OK
    assert "  a writer is at work" in answer.out


def test_nothing_is_changed(run: Run, night: Any) -> None:
    before = (night.path.read_bytes(), night.path.stat().st_mtime_ns, sorted(night.path.parent.iterdir()))
    run("verify", night.path)
    assert (night.path.read_bytes(), night.path.stat().st_mtime_ns, sorted(night.path.parent.iterdir())) == before


def test_a_person_who_waits_sees_it_move(run: Run, night: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "PROGRESS_MIN", 1)
    assert run("verify", night.path).err == "", "not in a pipe"
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("FORCE_COLOR", "1")
    answer = run("verify", night.path)
    assert answer.code == exits.OK
    assert "verifying" in answer.err
    assert "sound" in answer.out


# --- what the events mean --------------------------------------------------------------------------------------------


def test_a_ledger_that_is_sound_in_depth(run: Run, night: Any) -> None:
    answer = run("verify", night.path, "--deep")
    assert answer.code == exits.OK
    assert "folded 49 events; every invariant of the graph held after each" in answer.out
    assert json.loads(run("verify", night.path, "--deep", "--json").out)["deep"] == {
        "events": 49,
        "seq": None,
        "problem": None,
    }


def test_an_event_that_contradicts_those_before_it_is_named(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "x.ledger"
    with Ledger.open(path) as ledger:
        ledger.append([ev.Mark(name="all is well")])
        ledger.append([ev.EdgeDisconnected(from_topic="A", to_topic="B", owner=None)])
        ledger.append([ev.Mark(name="nobody noticed")])
    assert run("verify", path).code == exits.OK, "every byte is as it was written"
    answer = run("verify", path, "--deep")
    assert answer.code == exits.DAMAGED
    assert "after seq 2: event 2 contradicts the state before it" in answer.out
    assert "consistent before it: 1 event" in answer.out
    assert json.loads(run("verify", path, "--deep", "--json").out)["deep"]["seq"] == 2


def test_an_invariant_that_breaks_is_named_with_the_first_seq(night: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The fold has no such fault that is known: one is made."""
    honest = GraphState._session_cleared

    def forgetful(state: GraphState, event: Any) -> None:
        honest(state, event)
        state.settings["FORGOTTEN"] = state.settings.pop("FORGOTTEN", None) or SETTING

    monkeypatch.setitem(state_module._HANDLERS, ev.SessionCleared, forgetful)
    with Ledger.open(night.path, "r") as ledger:
        cleared = next(event.seq for event in ledger.entries() if isinstance(event, ev.SessionCleared))
        steps: list[int] = []
        found = check_each_step(ledger, steps.append)
    assert (found.seq, found.events, steps) == (cleared, cleared - 1, list(range(1, cleared)))
    assert "FORGOTTEN belongs to nobody" in str(found.problem)


SETTING = SettingRecord(ev.SettingsValue(serialized=None, repr_value=""), None, None, 1, (10**6, 0))


@pytest.mark.parametrize("dropped", [False, True], ids=["all there", "first ones dropped"])
def test_segments_that_are_missing_at_the_end(run: Run, tmp_path: Path, dropped: bool) -> None:
    """Sealed by a rotation is not an end: such a folder was "sound" and "sealed: its last writer closed it"."""
    path = tmp_path / "x.ledger"
    ledger = Ledger.open(path, segmented=True)
    live = LiveGraph(ledger)
    for name in "ABC":
        live.connect(name, "Z")
        rotate(ledger)
    live.close()
    ledger.close()
    if dropped:
        (path / "000001.ledger").unlink()
        (path / "000002.ledger").unlink()
    whole = run("verify", path)
    assert whole.code == exits.OK
    assert "sealed: its last writer closed it" in whole.out
    (path / "000004.ledger").unlink()
    answer = run("verify", path)
    assert "segments are missing at its end" in answer.out
    assert "its last writer closed it" not in answer.out
    found = json.loads(run("verify", path, "--json").out)
    assert (found["sound"], found["sealed"], found["running"]) == (True, False, True)
    assert "breaks off here" in run("log", path).err


def test_a_rotation_is_not_an_end_for_a_reader(tmp_path: Path) -> None:
    """Between the seal and the next segment a reader said that nobody writes."""
    path = tmp_path / "x.ledger"
    with Ledger.open(path, segmented=True) as ledger:
        ledger.append([ev.Mark(name="x")])
        ledger._writer._seal_early()  # type: ignore[attr-defined]
        with Ledger.open(path, "r") as reader:
            assert reader.place.commit is not None
            assert reader.place.commit.seals
            assert reader.being_written
    with Ledger.open(path, "r") as reader:
        assert not reader.being_written
