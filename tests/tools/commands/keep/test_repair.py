"""``repair``, as a person and as a program sees it."""

import hashlib
import json
import os
import re
import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ezmsg.ledger import events as ev
from ezmsg.ledger.audit.receipt import take
from ezmsg.ledger.log import Ledger
from ezmsg.ledger.projections.graph.replay import state_at
from ezmsg.ledger.runtime.live import LiveGraph
from ezmsg.ledger.structural import encode_commit
from ezmsg.ledger.tools import exits
from ezmsg.ledger.tools.commands.keep import repair as command
from tests.fake_clock import wall

Run = Callable[..., Any]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A run with a session and a persistent edge, and a mark whose name was changed afterwards: seq 7 of 9."""
    path = tmp_path / "run.ledger"
    ledger = Ledger.open(path, clock=wall)
    live = LiveGraph(ledger, name="rig")
    session = live.open_session(label="stim")
    live.connect("A", "B", session)
    live.connect("P", "Q")
    live.open_endpoint(ev.PublisherOpened(uuid="p", topic="A"))
    for name in ("one", "two", "three", "four"):
        live.note(ev.Mark(name=name))
    ledger.close()
    path.write_bytes(path.read_bytes().replace(b'"two"', b'"tow"'))
    return path


def test_what_is_said(run: Run, path: Path) -> None:
    before = path.read_bytes()
    offset = before.index(b'{"type":"mark","seq":7')
    answer = run("repair", path)
    new = path.with_name("run-repaired.ledger")
    assert (answer.code, answer.err) == (exits.OK, "")
    assert answer.out.splitlines() == [
        f"repaired: {new}, verified",
        f"  as it was: all up to seq 6, offset {offset} (sha256 {hashlib.sha256(before[:offset]).hexdigest()})",
        f"  left out: {len(before) - offset:,} bytes; 3 events in them can still be read, from seq 7 on; "
        "seqs 7 to 9 are gone from the history",
        f"  damaged: offset {offset} to {before.index(b'{', offset + 1)} (seq 7): not the bytes whose hash the "
        "commit line states",
        "  ended there, as nobody knows how: 1 run, 1 session, 1 endpoint",
        f"  {path} is as it was; keep it",
    ]
    assert path.read_bytes() == before
    assert new.read_bytes()[:offset] == before[:offset]
    assert sorted(os.listdir(path.parent)) == ["run-repaired.ledger", "run.ledger", "run.ledger.lock"]


def test_what_the_other_commands_say_of_it(run: Run, path: Path) -> None:
    receipt = path.with_name("receipt")
    content = path.read_bytes()
    path.write_bytes(content[: content.index(b'{"type":"mark","seq":7')])
    receipt.write_text(take(str(path), 0, durable_seq=6).text)
    path.write_bytes(content)
    run("repair", path)
    new = path.with_name("run-repaired.ledger")
    answer = run("verify", new, "--receipt", receipt)
    assert answer.code == exits.OK
    assert "the receipt holds: seqs 1 to 6" in answer.out, "a receipt of what is sound holds for what is saved of it"
    log = run("log", new).out
    assert "gap in the recording, seqs 7 to 9: 3 lost, 0 written late (repair: " in log
    assert 'session 2 "stim" ended while nobody recorded: it held 1 edge, now gone: A -> B' in log
    assert re.search(r'"rig" \(pid .*\) was lost: nobody knows how it ended, last seen \S+ m?s before$', log, re.M)
    shown = run("show", new).out
    assert "P -> Q" in shown
    assert "A -> B" not in shown
    assert [each["reason"] for each in json.loads(run("sessions", new, "--json").out)["sessions"]] == ["unseen"]
    with Ledger.open(new, clock=wall) as ledger:
        live = LiveGraph(ledger, name="rig")
        assert live.run == 14
        live.close()
    assert run("verify", new).code == exits.OK


def test_the_document(run: Run, path: Path) -> None:
    before = path.read_bytes()
    offset = before.index(b'{"type":"mark","seq":7')
    document = json.loads(run("repair", path, "--output", path.with_name("saved"), "--json").out)
    assert document.pop("id")
    assert document.pop("why").startswith(f"offset {offset} ")
    assert document == {
        "ledger": str(path),
        "output": str(path.with_name("saved")),
        "damage": "damaged",
        "segment": 1,
        "offset": offset,
        "seq": 6,
        "sha256": hashlib.sha256(before[:offset]).hexdigest(),
        "left_out": {"bytes": len(before) - offset, "segments": 0, "events": 3, "first": 7, "lost": [7, 9]},
        "closed": {"runs": 1, "sessions": 1, "processes": 0, "endpoints": 1, "requests": 0},
        "head": 13,
    }


def test_a_sound_ledger_is_left_as_it_is(run: Run, night: Any) -> None:
    before = sorted(os.listdir(night.path.parent))
    answer = run("repair", night.path)
    assert answer.code == exits.OK
    assert answer.out == f"sound: {night.path}\n  there is nothing to repair, and nothing was written\n"
    document = json.loads(run("repair", night.path, "--json").out)
    assert (document["output"], document["damage"], document["why"], document["head"]) == (None, None, None, 49)
    assert sorted(os.listdir(night.path.parent)) == before


def test_a_torn_end(run: Run, path: Path) -> None:
    content = path.read_bytes().replace(b'"tow"', b'"two"')
    path.write_bytes(content[: content.index(b'{"type":"mark","seq":9') + 20])
    answer = run("repair", path)
    assert answer.code == exits.OK
    assert "all up to seq 8" in answer.out
    assert "  its end is torn: " in answer.out
    assert "  (recording to a ledger with a torn end puts that aside by itself)\n" in answer.out
    assert "left out: 20 bytes\n" in answer.out
    assert "seq 9: 0 lost" in run("log", path.with_name("run-repaired.ledger")).out


def test_a_folder(run: Run, path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b'"tow"', b'"two"'))
    for name in ("five", "six"):
        run("rotate", path)
        with Ledger.open(path) as ledger:
            ledger.append([ev.Mark(name=name), ev.Mark(name="more")])
    second = path / "000002.ledger"
    second.write_bytes(second.read_bytes().replace(b'"five"', b'"FIVE"'))
    before = {file.name: file.read_bytes() for file in path.iterdir()}
    document = json.loads(run("repair", path, "--json").out)
    new = path.with_name("run-repaired.ledger")
    assert (document["output"], document["segment"], document["seq"]) == (str(new), 2, 9)
    left = document["left_out"]
    assert (left["segments"], left["events"], left["first"], left["lost"]) == (1, 4, 10, [10, 13])
    assert {file.name: file.read_bytes() for file in path.iterdir()} == before
    assert sorted(file.name for file in new.iterdir()) == ["000001.ledger", "000002.ledger"]
    assert run("verify", new).code == exits.OK
    again = run("repair", path, "--output", path.with_name("again"))
    assert f"offset {document['offset']} of segment 2" in again.out
    assert "1 whole segment among them" in again.out


def test_what_nothing_can_be_saved_of(run: Run, path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b'"synced":0', b'"synced":1', 1))
    answer = run("repair", path)
    assert answer.code == exits.DAMAGED
    assert "hint: Nothing can be saved from the beginning on" in answer.err
    path.write_bytes(b"Dear diary")
    assert run("repair", path).code == exits.NOT_A_LEDGER
    assert sorted(os.listdir(path.parent)) == ["run.ledger", "run.ledger.lock"]


@pytest.mark.parametrize("shape", ["file", "sole segment", "segment before another"])
def test_a_damaged_header_is_said_plainly(run: Run, night: Any, tmp_path: Path, shape: str) -> None:
    """Nothing proves what follows, so no command shows any of it; but nobody is told that there is nothing."""
    path = file = tmp_path / "night.ledger"
    shutil.copy(night.path, path)
    if shape != "file":
        assert run("rotate", path).code == exits.OK
        file = path / "000001.ledger"
        if shape == "sole segment":
            (path / "000002.ledger").unlink()
    file.write_bytes(file.read_bytes().replace(b"ledger.header", b"ledger.headdr", 1))
    for name in ("log", "show", "sessions", "verify"):
        answer = run(name, path)
        assert answer.code == exits.DAMAGED, answer
        assert "its first line is not the header" in answer.err + answer.out
        if name != "verify" or shape != "segment before another":
            assert "What comes before the damage can be read" not in answer.err
            assert "none of it is shown. Keep it: `repair` says how much can still be read" in answer.err
        assert ("move all up to segment 1 elsewhere" in answer.err) == (
            shape == "segment before another" and name != "verify"
        )
    told = run("repair", path)
    assert told.code == exits.DAMAGED
    assert "; 49 events can still be read in its lines, from seq 1 on\n" in told.err
    assert told.err.count(str(file)) == 1


@pytest.mark.parametrize("name", ["run-repaired.ledger", "run-repaired.ledger.new"])
def test_nothing_is_written_over(run: Run, path: Path, name: str) -> None:
    path.with_name(name).write_bytes(b"precious")
    answer = run("repair", path)
    assert answer.code == exits.USAGE
    assert f"{name} exists" in answer.err
    assert "hint: Nothing is written over" in answer.err
    assert path.with_name(name).read_bytes() == b"precious"
    assert run("repair", path, "--output", path).code == exits.USAGE


def test_a_ledger_that_is_being_written(run: Run, path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b'"tow"', b'"two"'))
    with Ledger.open(path):
        answer = run("repair", path)
    assert answer.code == exits.LOCKED
    assert "hint: Stop that writer first." in answer.err


@pytest.mark.parametrize("host", [socket.gethostname(), "elsewhere"])
def test_a_lock_file_that_a_dead_writer_left(run: Run, path: Path, host: str) -> None:
    """It names a process that lives, or one of another machine, of which nobody can tell; but nobody holds the lock."""
    path.with_name("run.ledger.lock").write_bytes(json.dumps({"pid": os.getpid(), "host": host, "start": 1}).encode())
    assert run("repair", path).code == exits.OK


def test_a_compressed_segment_by_itself(run: Run, path: Path) -> None:
    """What is saved of it is unpacked, and has a name that says so."""
    packed = path.with_name("000001.ledger.zst")
    packed.write_bytes(pytest.importorskip("zstandard").compress(path.read_bytes()))
    answer = run("repair", packed, "--output", path.with_name("new.zst"))
    assert answer.code == exits.USAGE
    assert "new.zst would be taken for a compressed ledger" in answer.err
    assert run("repair", packed).code == exits.OK
    assert run("verify", path.with_name("000001-repaired.ledger")).code == exits.OK


def test_a_place_that_cannot_be_written(run: Run, path: Path) -> None:
    answer = run("repair", path, "--output", path.with_name("nowhere") / "x.ledger")
    assert answer.code == exits.DISK
    assert "hint: Nothing was kept of it." in answer.err


def test_what_was_written_is_held_to_what_it_should_be(run: Run, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is kept that does not verify, or in which something is still open."""
    real = command.ending

    def forgetful(*given: Any) -> list[Any]:
        return real(*given)[:-1]

    monkeypatch.setattr(command, "ending", forgetful)
    answer = run("repair", path)
    assert answer.code == exits.DISK
    assert "what was written does not verify: runs are still open" in answer.err
    assert sorted(os.listdir(path.parent)) == ["run.ledger", "run.ledger.lock"]


def test_events_of_a_newer_version(run: Run, path: Path) -> None:
    """They are copied as they are, and it is said that they may have opened something."""
    content = path.read_bytes()
    before = content[: content.index(b'{"type":"mark","seq":7')]
    synced = json.loads(before.splitlines()[-1])["synced"]
    begin = before + b'{"type":"novelty","seq":7,"time":5, "x":[1]}\n'
    path.write_bytes(begin + encode_commit(7, 1, len(begin), synced, hashlib.sha256(begin).hexdigest()) + b"torn")
    answer = run("repair", path)
    assert answer.code == exits.OK
    assert "  it holds events of a newer version: what they opened is not ended\n" in answer.out
    new = path.with_name("run-repaired.ledger")
    assert new.read_bytes().startswith(begin)
    with Ledger.open(new, "r") as ledger:
        assert state_at(ledger).unknown


def test_the_examples_of_the_help(run: Run, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(path.parent)
    examples = re.findall(r"^ +ezmsg-ledger (.*)$", command.repair.__doc__ or "", re.M)
    assert len(examples) == 2
    for line in examples:
        assert run(*line.split()).code == exits.OK
    for name in ("run-repaired.ledger", "saved.ledger"):
        assert run("verify", path.with_name(name)).code == exits.OK
