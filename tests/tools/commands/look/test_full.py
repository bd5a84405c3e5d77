"""``--full``: nothing is cut. Arrays with every element, long texts and lists, all lives, all nanoseconds."""

import json
import pickle
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ezmsg.ledger import events as ev
from ezmsg.ledger.log import Ledger
from ezmsg.ledger.metadata import GraphMetadata, UnitMetadata
from ezmsg.ledger.projections import Timeline
from ezmsg.ledger.runtime.live import LiveGraph
from ezmsg.ledger.values import freeze

Run = Callable[..., Any]

BEGIN = 1_800_000_000_123_456_789
"""ns since the epoch, UTC: none of its digits is a zero."""

STEP = 1_000_000_007
"""ns between two appends."""

NANOSECONDS = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{9}[+-]\d\d:\d\d")
MILLISECONDS = re.compile(r"\d\d:\d\d:\d\d\.\d{3}[+-]")


@dataclass
class Tuning:
    """Settings that no line of a terminal holds."""

    gain: float = 1.0
    note: str = "calm"
    levels: list[int] = field(default_factory=list)
    weights: Any = None


def value(tuning: Tuning) -> ev.SettingsValue:
    """As ezmsg reports it: the pickle, and a shown form in which numpy has abbreviated the array."""
    shown = {**tuning.__dict__, "weights": repr(tuning.weights)}
    return ev.SettingsValue(pickle.dumps(tuning), shown, shown)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A unit whose settings are large, and an edge and a path that come and go more often than a list shows."""
    path = tmp_path_factory.mktemp("full") / "x.ledger"
    times = iter(range(BEGIN, BEGIN + 10**6 * STEP, STEP))
    weights = np.arange(2000) / 2
    with Ledger.open(path, durability="none", clock=lambda: next(times)) as ledger:
        live = LiveGraph(ledger)
        session = live.open_session(label="S")
        first = value(Tuning(1.0, "calm", list(range(40)), weights))
        unit = UnitMetadata(address="S/U", name="U", initial_settings=(first.serialized, first.repr_value))
        live.register(session, freeze(GraphMetadata(root_name="S", components={"S/U": unit})))
        process = live.open_process()
        live.register_process(process, 7, "h", ["S/U"])
        other = weights.copy()
        other[[3, 500, 900, 1500, 1999]] += 0.25
        live.update_settings(process, "S/U", value(Tuning(2.0, "n" * 200, list(range(40)), other)))
        for _ in range(30):
            live.connect("A", "B")
            live.disconnect("A", "B")
    return path


def asked(command: str) -> list[str]:
    return {
        "settings": ["S/U"],
        "why": ["setting", "S/U"],
        "history": ["setting", "S/U"],
        "when": ["S/U.weights != 7"],
        "path": ["A", "B"],
    }[command]


@pytest.mark.parametrize("command", ["settings", "why", "history", "when", "path"])
def test_times_have_their_nanoseconds_and_are_found_by_them(run: Run, path: Path, command: str) -> None:
    out = run(command, path, *asked(command), "--full").out
    lines = [line for line in out.splitlines() if NANOSECONDS.search(line)]
    assert lines, out
    assert not MILLISECONDS.search(out), out
    short = run(command, path, *asked(command)).out
    assert MILLISECONDS.search(short), short
    assert not NANOSECONDS.search(short), short
    with Ledger.open(path, "r") as ledger:
        timeline = Timeline(ledger)
        for line in lines:
            found = re.match(r" *(\d+)  ", line)
            if found is not None:
                assert timeline.moment(NANOSECONDS.findall(line)[0]).seq == int(found[1]), line


def test_what_if_and_explain_leave_nothing_out(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "x.ledger"
    times = iter(range(BEGIN, BEGIN + 10**6 * STEP, STEP))
    with Ledger.open(path, durability="none", clock=lambda: next(times)) as ledger:
        live = LiveGraph(ledger)
        session = live.open_session(label="S")
        for number in range(45):
            live.connect(f"A{number}", "B", owner=session)
    for command, asked in (("what-if", "S"), ("explain", "B")):
        short, full = run(command, path, asked).out, run(command, path, asked, "--full").out
        assert "more (--full)" in short
        assert "more (" not in full
        assert all(f"A{number} " in full for number in range(45))
    assert NANOSECONDS.search(run("what-if", path, "S", "--full").out)


@pytest.mark.parametrize("command", ["settings", "why", "history"])
def test_every_element_of_an_array_is_there(run: Run, path: Path, command: str) -> None:
    extra = ["--at", "8"] if command != "history" else []
    out = run(command, path, *asked(command), *extra, "--full").out
    elements = [str(each) for each in np.arange(2000) / 2]
    if command == "why":  # the value as it is now
        for place in (3, 500, 900, 1500, 1999):
            elements[place] = str(place / 2 + 0.25)
    assert f"float64 array of 2,000: {', '.join(elements)}" in out
    short = run(command, path, *asked(command), *extra).out
    assert "float64 array of 2,000" in short
    assert "999.0" not in short


@pytest.mark.parametrize("command", ["settings", "history"])
def test_every_element_that_changed_is_named(run: Run, path: Path, command: str) -> None:
    out = run(command, path, *asked(command), "--full").out
    changed = "[3] 1.5 -> 1.75, [500] 250.0 -> 250.25, [900] 450.0 -> 450.25, [1500] 750.0 -> 750.25, "
    assert f"5 of 2,000 elements differ: {changed}[1999] 999.5 -> 999.75" in out
    assert f'note "calm" -> "{"n" * 200}"' in out
    short = run(command, path, *asked(command)).out
    assert "[900] 450.0 -> 450.25, ..." in short
    assert "n" * 61 not in short


@pytest.mark.parametrize("by_name", [[], ["--by-name"]])
@pytest.mark.parametrize("way", [("4", "end"), ("end", "4")])
def test_a_comparison_leaves_nothing_out(run: Run, path: Path, way: tuple[str, str], by_name: list[str]) -> None:
    short, full = (run("diff", path, *way, *by_name, *more).out for more in ([], ["--full"]))
    late = way[1] == "end"
    last = "[1999] 999.5 -> 999.75" if late else "[1999] 999.75 -> 999.5"
    assert last in full
    assert last not in short
    assert "5 of 2,000 elements differ: " in short
    assert (f'note "calm" -> "{"n" * 200}"' if late else f'note "{"n" * 200}" -> "calm"') in full
    assert "n" * 61 not in short


@pytest.mark.parametrize("by_name", [[], ["--by-name"]])
def test_settings_that_come_are_told_whole(run: Run, path: Path, by_name: list[str]) -> None:
    short, full = (run("diff", path, "start", "4", *by_name, *more).out for more in ([], ["--full"]))
    assert f"levels=[{', '.join(map(str, range(40)))}]" in full
    assert "38, 39" not in short
    assert "float64 array of 2,000: 0.0, 0.5, " in short
    assert ", 999.0, 999.5" in full


def test_what_if_tells_settings_whole(run: Run, path: Path) -> None:
    short, full = (run("what-if", path, "S", "--at", "4", *more).out for more in ([], ["--full"]))
    assert f"levels=[{', '.join(map(str, range(40)))}]" in full
    assert "38, 39" not in short


@pytest.mark.parametrize("by_name", [[], ["--by-name"]])
def test_units_of_a_process_are_all_named(run: Run, tmp_path: Path, by_name: list[str]) -> None:
    units = [f"S/U{number}" for number in range(20)]
    with Ledger.open(tmp_path / "x.ledger", durability="none") as ledger:
        live = LiveGraph(ledger)
        live.register_process(live.open_process(), 7, "h", units)
    assert ", ".join(units) in run("diff", tmp_path / "x.ledger", "start", "end", "--full", *by_name).out


def test_notes_of_the_document_are_whole_too(run: Run, path: Path) -> None:
    for extra, whole in (([], False), (["--full"], True)):
        document = json.loads(run("settings", path, "S/U", "--json", *extra).out)
        notes = {each["path"]: each["note"] for each in document["history"]["changes"][-1]["fields"]}
        assert notes["weights"].endswith("999.75" if whole else ", ...")


def test_texts_and_lists_are_whole(run: Run, path: Path) -> None:
    for command in ("settings", "why"):
        out = run(command, path, *asked(command), "--at", "8", "--full").out
        assert f'note="{"n" * 200}"' in out
        assert f"levels=[{', '.join(map(str, range(40)))}]" in out
    assert f"levels=[{', '.join(map(str, range(40)))}]" in run("settings", path, "S/U.levels", "--full").out


def test_a_predicate_shows_the_field_that_it_is_about(run: Run, path: Path) -> None:
    out = run("when", path, "S/U.note == \"calm\"", "--full").out
    assert f'reported note="{"n" * 200}" arriving at S/U\n' in out
    assert "gain" not in out


@pytest.mark.parametrize(("command", "subject"), [("history", ["A", "B"]), ("path", ["A", "B"]), ("when", ["A -> B"])])
def test_no_life_is_left_out(run: Run, path: Path, command: str, subject: list[str]) -> None:
    out = run(command, path, *subject, "--full").out
    assert out.count(" connected A -> B") == 30
    assert "more between them" not in out
    assert run(command, path, *subject).out.count(" connected A -> B") == 20
