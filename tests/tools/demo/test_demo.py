"""The demonstration shows what it promises, and notices when what was recorded is not what was done."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from msgspec.structs import replace

from ezmsg.ledger import Ledger
from ezmsg.ledger import events as ev
from ezmsg.ledger.tools.demo import command, recording
from ezmsg.ledger.tools.demo.checks import mistakes
from ezmsg.ledger.tools.demo.recording import OWN, SHARED, DemoFailed, Moments, record_demo

COMMAND = [sys.executable, "-m", "ezmsg.ledger.tools.cli", "demo"]
TIMEOUT_S = 120


class Demo(NamedTuple):
    """One recording of the demonstration; ``said`` while it went on."""

    path: Path
    moments: Moments
    said: list[str]
    events: list[Any]

    def altered(self, change: "Change", ledger: Ledger) -> Ledger:
        """The same history with ``change`` made to it, in ``ledger``; every event keeps its seq."""
        changed = [change(event, self.moments) for event in self.events]
        ledger.append([replace(event, seq=0, time=0) for event in changed])
        return ledger


Change = Callable[[Any, Moments], Any]
NOTHING = ev.Mark(name="this did not happen")


@pytest.fixture(scope="module")
def demo(recorded: Any) -> Demo:
    with Ledger.open(recorded.path, "r") as ledger:
        return Demo(recorded.path, recorded.moments, recorded.said, list(ledger.entries()))


def test_it_records_what_it_does(demo: Demo) -> None:
    with Ledger.open(demo.path, "r") as ledger:
        assert list(mistakes(ledger, demo.moments)) == []
        report = ledger.verify()
    assert (report.sound, report.sealed) == (True, True)
    assert 0 < demo.moments.wired < demo.moments.visitor_session < demo.moments.visited < demo.moments.lost
    assert any("killed (SIGKILL, pid" in words for words in demo.said)


def test_a_copy_of_its_history_has_no_mistakes_either(demo: Demo) -> None:
    """So that what the altered ones are found guilty of comes of the alteration."""
    assert list(mistakes(demo.altered(lambda event, moments: event, Ledger.memory()), demo.moments)) == []


# --- every way in which the record could be wrong -------------------------------------------------------------------


def edge(event: Any) -> tuple[str, str] | None:
    return (event.from_topic, event.to_topic) if isinstance(event, ev.EdgeConnected) else None


def without_an_edge(event: Any, moments: Moments) -> Any:
    return NOTHING if edge(event) == ("RIG/AMP/GAIN/OUTPUT", "RIG/AMP/OUTPUT") else event


def with_an_edge_of_nobody(event: Any, moments: Moments) -> Any:
    return replace(event, owner=None) if edge(event) == ("RIG/AMP/GAIN/OUTPUT", "RIG/AMP/OUTPUT") else event


def without_a_unit(event: Any, moments: Moments) -> Any:
    if isinstance(event, ev.ProcessRegistered):
        return replace(event, units=tuple(unit for unit in event.units if unit != "RIG/AMP/GAIN"))
    return event


def with_another_pid(event: Any, moments: Moments) -> Any:
    if isinstance(event, ev.ProcessRegistered) and event.pid == moments.system_pid:
        return replace(event, pid=1)
    return event


def visitor_does_not_share(event: Any, moments: Moments) -> Any:
    return NOTHING if edge(event) == SHARED and event.owner == moments.visitor_session else event


def visitor_edge_is_of_the_system(event: Any, moments: Moments) -> Any:
    return replace(event, owner=3) if edge(event) == OWN else event


def without_the_loss(event: Any, moments: Moments) -> Any:
    return NOTHING if event.seq == moments.lost else event


def with_a_good_end_of_the_killed(event: Any, moments: Moments) -> Any:
    return replace(event, reason="closed") if event.seq == moments.lost else event


def system_does_not_share(event: Any, moments: Moments) -> Any:
    return NOTHING if edge(event) == SHARED and event.owner != moments.visitor_session else event


def without_the_first_gain(event: Any, moments: Moments) -> Any:
    is_first = isinstance(event, ev.SettingsUpdated) and event.value.structured_value == {"gain": 2.0}
    return NOTHING if is_first else event


def with_settings_without_structure(event: Any, moments: Moments) -> Any:
    if isinstance(event, ev.SettingsUpdated):
        return replace(event, value=replace(event.value, structured_value=None))
    return event


def system_never_ends(event: Any, moments: Moments) -> Any:
    ended = isinstance(event, ev.SessionCleared | ev.ServerStopped)
    return NOTHING if ended or (isinstance(event, ev.SessionClosed) and event.seq != moments.lost) else event


def with_an_error_at_the_end(event: Any, moments: Moments) -> Any:
    return (
        replace(event, reason="error") if isinstance(event, ev.SessionClosed) and event.seq != moments.lost else event
    )


ALTERATIONS: list[tuple[Change, list[str]]] = [
    (without_an_edge, [r"the system's edges differ: \[\('RIG/AMP/GAIN/OUTPUT', 'RIG/AMP/OUTPUT'\)\]"]),
    (
        with_an_edge_of_nobody,
        [r"the system's edges belong to \[None, 3\] and not", "something is left when all has ended"],
    ),
    (without_a_unit, [r"no process runs \['RIG/AMP/GAIN'\]"]),
    (with_another_pid, ["none of the processes is the one that was started"]),
    (visitor_does_not_share, [r"the shared edge belongs to \[3\] while the second session is there"]),
    (
        visitor_edge_is_of_the_system,
        [r"the second session's own edge belongs to \[3\]", "the killed session's own edge is still there"],
    ),
    (
        without_the_loss,
        [
            r"the killed session ended as \[\] and not as lost",
            "the killed session's own edge is still there",
            r"the shared edge belongs to \[3, \d+\] after the loss",
            r"the sessions ended as \['closed'\]",
        ],
    ),
    (
        with_a_good_end_of_the_killed,
        [r"the killed session ended as \['closed'\] and not as lost", r"the sessions ended as \['closed', 'closed'\]"],
    ),
    (
        system_does_not_share,
        [
            r"the system's edges differ: \[\('RIG/AMP/OUTPUT', 'RIG/MONITOR/INPUT'\)\]",
            r"the shared edge belongs to \[\d+\] while the second session is there",
            r"the shared edge belongs to \[\] after the loss",
        ],
    ),
    (without_the_first_gain, [r"the settings went \[\('RIG/AMP/GAIN', {'gain': 4.0}\)\], and not the gain"]),
    (with_settings_without_structure, [r"the settings went .*None.*, and not the gain of RIG/AMP/GAIN through"]),
    (system_never_ends, ["something is left when all has ended", r"the sessions ended as \['lost'\]"]),
    (with_an_error_at_the_end, [r"the sessions ended as \['lost', 'error'\]"]),
]


@pytest.mark.parametrize(("change", "found"), ALTERATIONS, ids=[change.__name__ for change, _ in ALTERATIONS])
def test_every_mistake_is_found(demo: Demo, change: Change, found: list[str]) -> None:
    said = list(mistakes(demo.altered(change, Ledger.memory()), demo.moments))
    assert len(said) == len(found), said
    for pattern, words in zip(found, said, strict=True):
        assert re.match(pattern, words)


def test_a_process_that_was_not_recorded_is_found(demo: Demo) -> None:
    sink = next(event for event in demo.events if isinstance(event, ev.ProcessRegistered) and len(event.units) == 2)

    def without_it(event: Any, moments: Moments) -> Any:
        return NOTHING if event.seq == sink.process or getattr(event, "process", None) == sink.process else event

    updates = [event for event in demo.events if isinstance(event, ev.SettingsUpdated)]
    said = list(mistakes(demo.altered(without_it, Ledger.memory()), demo.moments))
    assert "2 processes are there and not 3" in said
    assert any(words.startswith("no process runs") for words in said)
    assert len(said) == 2 + (updates[0].process == sink.process)


def test_a_changed_byte_is_found(demo: Demo, tmp_path: Path) -> None:
    """One that every reader would believe: a port in the middle of the file."""
    data = demo.path.read_bytes()
    changed = re.sub(rb'("peer":"127\.0\.0\.1:)\d', rb"\g<1>9", data, count=1)
    assert len(changed) == len(data)
    path = tmp_path / "x.ledger"
    path.write_bytes(changed)
    with Ledger.open(path, "r") as ledger:
        (found,) = mistakes(ledger, demo.moments)
    assert found.startswith("the ledger does not verify: [")


# --- the command ----------------------------------------------------------------------------------------------------


def test_the_command_walks_through_it_all(tmp_path: Path) -> None:
    path = tmp_path / "a demo.ledger"
    told = subprocess.run([*COMMAND, str(path)], capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    assert told.returncode == 0, told.stderr
    assert told.stderr == ""
    headings = re.findall(r"^== (.*)$", told.stdout, re.MULTILINE)
    assert headings == [
        f"Recording to {path}",
        "What happened, in short",
        "The graph once the system was up",
        "The graph while the second program was there",
        "What its death changed",
        "What it had done, and what became of it",
        "Is what was recorded what was done?",
    ]
    commands = re.findall(r"^\$ ezmsg-ledger (\w+) '(.*?)'", told.stdout, re.MULTILINE)
    assert commands == [(name, str(path)) for name in ("log", "show", "show", "diff", "log")]
    assert "was lost while it held 2 edges" in told.stdout
    assert told.stdout.splitlines()[-2].startswith("  Yes: ")
    with Ledger.open(path, "r") as ledger:
        assert ledger.verify().sealed


def test_the_command_says_no_when_the_record_is_wrong(
    demo: Demo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def record_wrongly(location: Path, say: Callable[[str], None]) -> Moments:
        with Ledger.open(location) as ledger:
            demo.altered(without_the_loss, ledger)
        return demo.moments

    monkeypatch.setattr(command, "record_demo", record_wrongly)
    assert command.demo(tmp_path / "x.ledger") == 1
    said = capsys.readouterr().out
    assert "  NO: the killed session ended as [] and not as lost\n" in said
    assert "  Yes: " not in said


def test_the_command_leaves_a_ledger_alone_that_exists(demo: Demo) -> None:
    before = demo.path.read_bytes()
    with pytest.raises(command.NotNew, match="exists already"):
        command.demo(demo.path)
    assert demo.path.read_bytes() == before


def test_a_program_that_fails_ends_the_demonstration_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "system.py").write_text("raise SystemExit('there is no amplifier')\n")
    monkeypatch.setattr(recording, "HERE", tmp_path)
    with pytest.raises(
        DemoFailed, match="a program has ended, and the ledger still does not say that the system is up"
    ) as failed:
        record_demo(tmp_path / "x.ledger", lambda words: None)
    assert failed.value.hint == "It said: there is no amplifier"
    with Ledger.open(tmp_path / "x.ledger", "r") as ledger:
        assert ledger.verify().sealed
