"""docs/VERSIONS.md: its numbers are those of the code, and what it says of newer ledgers is what happens."""

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ezmsg.ledger import Ledger, __version__
from ezmsg.ledger import events as ev
from ezmsg.ledger.errors import NewerFormat, UnknownEvents
from ezmsg.ledger.projections.lifetimes import archive, index, index_file
from ezmsg.ledger.projections.questions.baselines.baseline import VERSION
from ezmsg.ledger.projections.questions.timeline import Timeline
from ezmsg.ledger.runtime import LiveGraph
from ezmsg.ledger.structural import COMMIT_PREFIX, encode_commit
from ezmsg.ledger.tools import exits
from ezmsg.ledger.tools.cli import main
from ezmsg.ledger.tools.versions import versions

PAGE = (Path(__file__).parents[2] / "docs" / "VERSIONS.md").read_text(encoding="utf-8")
TABLE = re.findall(r"^\| (\d\.\d) \| (\w+) \| (\w+) \| (\w+) \|$", PAGE, re.MULTILINE)


def test_the_last_row_is_this_version() -> None:
    version, *numbers = TABLE[-1]
    found = versions()
    assert version == __version__.rpartition(".")[0]
    assert numbers == [str(found[name]) for name in ("format", "rules", "baseline")]


def test_a_program_is_told_the_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["--version", "--json"], ["--json", "--version"]):
        assert main(words) == exits.OK
        assert json.loads(capsys.readouterr().out) == versions()
    assert main(["--version"]) == exits.OK
    assert capsys.readouterr().out.startswith(f"ezmsg-ledger {__version__} (ezmsg ")
    assert main(["--json", "log"]) == exits.USAGE


def ledger(path: Path, change: Callable[[list[Any]], None] = lambda events: None) -> Path:
    events: list[Any] = [ev.ServerStarted(uuid="r", kind="server", name="n", host="h", pid=1, rules=ev.RULES)]
    change(events)
    with Ledger.open(path) as found:
        found.append([*events, ev.ServerStopped(server=1, reason="stopped")])
    return path


def newer(path: Path, lines: Callable[[bytes], bytes]) -> Path:
    """A ledger as a newer version would leave it: ``lines`` says what is written in place of each line of events."""
    header, *rest = path.read_bytes().splitlines(keepends=True)
    out, synced = header, len(header)
    for line in rest:
        if line.startswith(COMMIT_PREFIX):
            found = json.loads(line)
            synced = synced if found["count"] else len(out)
            out += encode_commit(found["upto"], found["count"], len(out), synced, hashlib.sha256(out).hexdigest())
            synced = len(out)
        else:
            out += lines(line)
    path.write_bytes(out)
    return path


def unknown(path: Path) -> Path:
    """One with an event of a type that is not known here."""
    with Ledger.open(path) as found:
        found.append([ev.ServerStarted(uuid="r", kind="server", name="n", host="h", pid=1, rules=ev.RULES)])
        found.append([ev.Mark(name="to another planet")])
        found.append([ev.ServerStopped(server=1, reason="stopped")])
    return newer(path, lambda line: line.replace(b'"type":"mark"', b'"type":"move"'))


def test_a_newer_format_is_refused(tmp_path: Path) -> None:
    path = ledger(tmp_path / "x.ledger")
    path.write_bytes(path.read_bytes().replace(b'"format":1', b'"format":9', 1))
    for mode in ("r", "a"):
        with pytest.raises(NewerFormat, match="format 9"):
            Ledger.open(path, mode)  # type: ignore[call-overload]
    assert main(["log", str(path)]) == exits.NOT_A_LEDGER


def test_newer_rules_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = ledger(tmp_path / "x.ledger", lambda events: events.append(
        ev.ServerStarted(uuid="s", kind="server", name="n", host="h", pid=1, rules=ev.RULES + 1)
    ))  # fmt: skip
    assert main(["show", str(path)]) == exits.NOT_A_LEDGER
    assert f"folded by rules {ev.RULES + 1}" in capsys.readouterr().err
    with Ledger.open(path) as found, pytest.raises(NewerFormat, match="rules"):
        LiveGraph(found)


def test_unknown_events_are_read_without_and_never_recorded_to(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = unknown(tmp_path / "x.ledger")
    before = path.read_bytes()
    with Ledger.open(path, "r") as found:
        assert found.verify().sound
        state = Timeline(found).at("end")
        assert state.unknown
        with pytest.raises(UnknownEvents):
            state.digest()
    assert main(["show", str(path)]) == exits.OK
    assert "events of unknown types were passed over" in capsys.readouterr().err
    with Ledger.open(path) as found, pytest.raises(NewerFormat, match="a newer version"):
        LiveGraph(found)
    code = main(["serve", str(path), "--address", "127.0.0.1:0"])
    told = capsys.readouterr().err
    assert code == exits.NOT_A_LEDGER, told
    assert "has events of a newer version" in told
    assert "Traceback" not in told
    assert path.read_bytes() == before, "not even a run began"


COMING = b'"coming":[1]'
"""A field that no event of this version has."""


def wired(path: Path) -> Path:
    """A ledger with an edge whose event has an unknown field, and with structural lines of an unknown type."""
    with Ledger.open(path) as found:
        found.append([ev.ServerStarted(uuid="r", kind="server", name="n", host="h", pid=1, rules=ev.RULES)])
        found.append([ev.EdgeConnected(from_topic="A", to_topic="B", owner=None)])
        found.append([ev.ServerStopped(server=1, reason="stopped")])

    def lines(line: bytes) -> bytes:
        weather = b'{"type":"ledger.weather","text":"fair"}\n' if b'"edge.connected"' in line else b""
        return weather + line.replace(b'"owner":null', b'"owner":null,' + COMING)

    return newer(path, lines)


def test_unknown_fields_are_kept_and_copied_and_recorded_to(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = wired(tmp_path / "x.ledger")
    before = path.read_bytes()
    assert main(["show", str(path), "--at", "2", "--json"]) == exits.OK
    told = capsys.readouterr()
    assert json.loads(told.out)["graph"] == {"A": ["B"], "B": []}
    assert "unknown" not in told.err
    assert main(["cut", str(path), "1", "2", "-o", str(tmp_path / "part.ledger")]) == exits.OK
    assert COMING in (tmp_path / "part.ledger").read_bytes()
    with Ledger.open(path) as found:
        live = LiveGraph(found)
        with live.session("me") as session:
            session.connect("B", "C")
        live.close()
    assert path.read_bytes().startswith(before)
    with Ledger.open(path, "r") as found:
        assert found.verify().sound


def test_unknown_structural_lines_are_passed_over_and_recorded_to(tmp_path: Path) -> None:
    path = wired(tmp_path / "x.ledger")
    with Ledger.open(path, "r") as found:
        assert found.verify().sound
        assert [event.seq for event in found.entries()] == [1, 2, 3]
    with Ledger.open(path) as found:
        found.append([ev.Mark(name="after")])
    assert b"ledger.weather" in path.read_bytes()
    assert main(["verify", str(path)]) == exits.OK


def test_an_index_of_another_version_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "SAVE_EVERY", 5)
    path = ledger(tmp_path / "x.ledger", lambda events: events.extend(
        ev.EdgeConnected(from_topic=f"{number}", to_topic="B", owner=None) for number in range(20)
    ))  # fmt: skip
    versions = []
    for version in (index.VERSION + 1, index.VERSION):
        with monkeypatch.context() as newer_program:
            for module in (index, index_file):
                newer_program.setattr(module, "VERSION", version)
            with Ledger.open(path, "r") as found:
                assert len(Timeline(found).lifetimes.edges_at(20)) == 19
        versions += re.findall(rb'"version":(\d+)', path.with_name("x.ledger.index").read_bytes())[-1:]
    assert versions == [b"%d" % (index.VERSION + 1), b"%d" % index.VERSION]


def test_a_newer_baseline_is_refused_and_written_anew(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, target = wired(tmp_path / "x.ledger"), tmp_path / "rig.json"
    asked = ["check", str(path), "--at", "2"]
    assert main([*asked, "--write", str(target)]) == exits.OK
    mine = target.read_text("utf-8")
    newer_one = mine.replace(f'"baseline": {VERSION}', f'"baseline": {VERSION + 1}')
    assert newer_one != mine
    target.write_text(newer_one, "utf-8")
    capsys.readouterr()
    assert main([*asked, "--like", str(target)]) == exits.NOT_A_LEDGER
    assert "newer" in capsys.readouterr().err
    assert main([*asked, "--write", str(target)]) == exits.OK
    assert target.read_text("utf-8") == mine
    assert main([*asked, "--like", str(target)]) == exits.OK


def test_every_row_has_a_test() -> None:
    table = PAGE.partition("| a ledger or file with |")[2].partition("\n\n")[0]
    rows = re.findall(r"^\| ([a-z][^|]*) \|", table, re.MULTILINE)
    assert rows == [
        "a newer format",
        "a run of newer rules",
        "events of an unknown type",
        "unknown fields of a known event",
        "structural lines of an unknown type",
        "an index of another version",
        "a newer baseline",
    ], "each is held by a test here"
