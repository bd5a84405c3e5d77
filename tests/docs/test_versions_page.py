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
from ezmsg.ledger.projections.questions.timeline import Timeline
from ezmsg.ledger.runtime import LiveGraph
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


def unknown(path: Path) -> Path:
    """A ledger as a newer version would leave it: one event is of a type that is not known here."""
    with Ledger.open(path) as found:
        found.append([ev.ServerStarted(uuid="r", kind="server", name="n", host="h", pid=1, rules=ev.RULES)])
        found.append([ev.Mark(name="to another planet")])
        found.append([ev.ServerStopped(server=1, reason="stopped")])
    out = b""
    for line in path.read_bytes().replace(b'"type":"mark"', b'"type":"move"').splitlines(keepends=True):
        if line.startswith(b'{"type":"ledger.commit"'):
            line = re.sub(rb"[0-9a-f]{64}", hashlib.sha256(out).hexdigest().encode(), line)
        out += line
    path.write_bytes(out)
    return path


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
