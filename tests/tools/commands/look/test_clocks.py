"""``clocks``, and what the other commands say where the wall clock was set."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ezmsg.ledger import Ledger
from ezmsg.ledger import events as ev
from ezmsg.ledger.runtime.live import LiveGraph
from ezmsg.ledger.tools import exits
from tests.fake_clock import FakeClock

Run = Callable[..., Any]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A rig whose clock was set back an hour after two minutes, that slept, and was started anew."""
    path, clock = tmp_path / "rig.ledger", FakeClock()
    with Ledger.open(path, clock=clock) as ledger:
        live = LiveGraph(ledger, name="rig")
        session = live.open_session(label="S")
        live.connect("A", "B", session)
        clock.run(70)
        clock.step(-3600)
        clock.run(50)
        live.disconnect("A", "B", session)
        clock.run(3)
        clock.suspend(900)
        live.close_session(session)
        live.close()
        clock.restart("boot-2", 30)
        live = LiveGraph(ledger, name="rig")
        live.connect("A", "B")
        clock.run(5)
        live.close()
    return path


def test_the_starts_the_steps_and_the_suspends(run: Run, path: Path) -> None:
    answer = run("clocks", path)
    assert answer.code == exits.OK
    lines = answer.out.splitlines()
    assert lines[0] == "start 1 of lab-3 (boot-1, time:[1])"
    assert lines[2].endswith(": 2 min 3 s later")
    told = [re.sub(r" {2,}\d+  ", "", line) for line in lines[3:5]]
    assert told == [
        "the wall clock was set back by 1 h 0 min: 2027-01-15 08:02:00.000+00:00 became 2027-01-15 07:02:00.000+00:00",
        "the machine was suspended for 15 min 0 s: 2027-01-15 07:02:03.000+00:00 became 2027-01-15 07:17:03.000+00:00",
    ]
    assert lines[5] == "start 2 of lab-3 (boot-2, time:[1])"
    assert lines[8] == "  the wall clock was never set, and the machine never suspended"
    assert [line.split()[4] for line in lines[12:]] == ["start", "step", "suspend", "stop", "start", "stop"]


def test_the_document(run: Run, path: Path) -> None:
    found = json.loads(run("clocks", path, "--json").out)
    assert [(boot["boot_id"], boot["lasted"]) for boot in found["boots"]] == [
        ("boot-1", 123 * 10**9),
        ("boot-2", 5 * 10**9),
    ]
    assert [(jump["kind"], jump["ns"]) for jump in found["jumps"]] == [
        ("step", -3600 * 10**9),
        ("suspend", 900 * 10**9),
    ]
    assert len(found["readings"]) == 6
    assert {"ledger", "id", "boots", "jumps", "readings"} == set(found)


def test_full_has_every_reading_and_all_nanoseconds(run: Run, tmp_path: Path) -> None:
    path, clock = tmp_path / "long.ledger", FakeClock()
    with Ledger.open(path, clock=clock) as ledger:
        live = LiveGraph(ledger)
        for number in range(30):
            clock.step(1.000000007)
            live.connect("A", f"B{number}")
    short = run("clocks", path).out
    assert "31 readings, the last 20 (--full)" in short
    full = run("clocks", path, "--full").out
    assert "08:00:01.000000007+00:00" in full
    assert full.count("  step  ") == 30


def test_a_ledger_without_readings_says_so(run: Run, tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "old.ledger") as ledger:
        ledger.append([ev.Mark(name="x")])
    answer = run("clocks", tmp_path / "old.ledger")
    assert answer.code == exits.OK
    assert answer.out == "the clocks were not read: all times and durations are as the wall clock had them\n"


def test_the_log_goes_on_counting_and_says_where_the_clock_was_set(run: Run, path: Path) -> None:
    out = run("log", path).out
    assert re.search(r"^ +\d+   2:00\.000  the wall clock was set back by 1 h 0 min$", out, re.MULTILINE)
    assert re.search(r"^ +\d+   2:00\.000  session 3 \"S\" disconnected A -> B", out, re.MULTILINE)
    assert re.search(r"^ +\d+   2:03\.000  the machine was suspended for 15 min 0 s$", out, re.MULTILINE)
    assert "the clocks were read" not in out
    whole = run("log", path, "--all").out
    assert whole.count("the clocks were read") == 4
    assert whole.splitlines()[0].startswith("run 1, "), "its first reading belongs to the run"
    assert run("log", path, "--type", "clock.read").out.count("the clocks were read") == 4


@pytest.mark.parametrize(
    "command", [("history", "A", "B"), ("why", "A", "B", "--at", "6"), ("when", "edge A -> B", "--at", "6")]
)
def test_an_edge_was_held_for_two_minutes(run: Run, path: Path, command: tuple[str, ...]) -> None:
    """It was told as 0 ms."""
    answer = run(command[0], path, *command[1:])
    assert answer.code == exits.OK
    assert "for 2 min 0 s" in answer.out
    assert " 0 ms" not in answer.out.partition("5 s")[0]


def test_how_long_a_run_had_gone_on(run: Run, path: Path) -> None:
    """It was told as 58 minutes after its start, of a moment before it by the wall clock."""
    assert "2 min 0 s after its start" in run("show", path, "--at", "6").out


def test_a_session_lasted_as_long_as_it_did(run: Run, path: Path) -> None:
    assert "after 2 min 3 s" in run("sessions", path, "S").out
    assert re.search(r"0\.000 +2:03\.000", run("sessions", path).out)


def test_a_length_across_two_starts_says_by_what_it_is_told(run: Run, tmp_path: Path) -> None:
    path, clock = tmp_path / "x.ledger", FakeClock()
    with Ledger.open(path, clock=clock) as ledger:
        live = LiveGraph(ledger)
        live.connect("A", "B")
        live.close()
        clock.restart("boot-2", 30)
        LiveGraph(ledger).connect("B", "C")
    assert "30 s by the wall clock" in run("history", path, "A", "B").out


def test_a_time_that_was_there_twice_is_a_usage_error(run: Run, path: Path) -> None:
    answer = run("show", path, "--at", "2027-01-15 07:02:01")
    assert answer.code == exits.OK, "that was once: the hour before eight is only there after the clock was set back"
    with Ledger.open(path.with_name("y.ledger"), clock=(clock := FakeClock())) as ledger:
        live = LiveGraph(ledger)
        clock.run(10)
        live.connect("A", "B")
        clock.run(10)
        clock.step(-15)
        live.connect("B", "C")
        clock.run(20)
        live.connect("C", "D")
    twice = run("show", path.with_name("y.ledger"), "--at", "2027-01-15 08:00:10")
    assert twice.code == exits.USAGE
    assert "twice" in twice.err
    assert "seq 3 and seq 5 are meant" in twice.err


def test_printed_times_have_offsets_and_full_ones_all_nanoseconds(run: Run, path: Path) -> None:
    for command in (("show", "--full"), ("sessions", "S", "--full"), ("diff", "3", "6", "--full"), ("log", "--all")):
        out = run(command[0], path, *command[1:]).out
        dates = re.findall(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\S*", out)
        assert dates
        assert all(re.fullmatch(r".{19}\.\d{9}[+-]\d\d:\d\d[;,)]?", date) for date in dates), dates
    absolute = run("log", path, "--absolute").out
    assert all(re.search(r"\.\d{3}\+00:00  ", line) for line in absolute.splitlines() if line.startswith("  "))
