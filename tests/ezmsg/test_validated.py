"""A rig of real packages is as validated in every run of the unchanged script, and what was changed is named."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from ezmsg.ledger import Ledger
from ezmsg.ledger.projections.questions.baselines.baseline import Baseline
from ezmsg.ledger.projections.questions.baselines.differences import Likeness
from ezmsg.ledger.projections.questions.moments.last_built import WIRES, last_built
from ezmsg.ledger.projections.questions.timeline import Timeline
from tests.projections.questions.baselines.planted import Planted

from .suite.environments import RIG
from .test_versions import PROGRAMS

pytestmark = pytest.mark.environments

RUNS, RUNS_LONG = 5, 200
PLANTED = 50


RUN_S = 300.0
"""For one run: a dozen packages are imported in each of its processes."""


def record(desk: Any, name: str, *words: str) -> Path:
    path: Path = desk.folder / f"{name}.ledger"
    command = ["-m", "ezmsg.ledger.tools.cli", "run", "--ledger", path, "--address", "127.0.0.1:0"]
    told = subprocess.run(
        [RIG.python(), *command, PROGRAMS / "rig.py", *words], cwd=desk.folder, capture_output=True, timeout=RUN_S
    )
    assert told.returncode == 0, told.stderr
    assert b"recorded 1 session, " in told.stderr, told.stderr
    return path


def baseline(path: Path) -> Baseline:
    with Ledger.open(path, "r") as ledger:
        return Timeline(ledger, index=False).baseline(last_built(ledger, ledger.head, WIRES))


def checked(path: Path, expected: Baseline) -> Likeness:
    with Ledger.open(path, "r") as ledger:
        return Timeline(ledger, index=False).check(expected, last_built(ledger, ledger.head, WIRES))


def test_each_run_of_an_unchanged_script_is_as_validated(desk: Any) -> None:
    expected = baseline(record(desk, "validated"))
    assert len(expected.components) >= 8
    for number in range(RUNS):
        found = checked(record(desk, f"run-{number}"), expected)
        assert found.same, f"run {number}: {found.differences}"


@pytest.mark.long
@pytest.mark.timeout(RUNS_LONG * 60)
def test_two_hundred_runs_of_an_unchanged_script_are_as_validated(desk: Any) -> None:
    expected = baseline(record(desk, "validated"))
    odd = {}
    for number in range(RUNS_LONG):
        found = checked(record(desk, f"run-{number}"), expected)
        if not found.same:
            odd[number] = found.differences
    assert not odd


@pytest.mark.parametrize(
    ("word", "named"),
    [
        ("cuton=3.0", {("settings", "RIG/FILTER", "cuton"), ("components", "RIG/FILTER", "cuton")}),
        ("unfiltered", {
            ("edges", "RIG/FILTER/OUTPUT_SIGNAL -> RIG/WINDOW/INPUT_SIGNAL", ""),
            ("edges", "RIG/EEG/OUTPUT_SIGNAL -> RIG/WINDOW/INPUT_SIGNAL", ""),
        }),
        ("monitored", {("edges", "RIG/FILTER/OUTPUT_SIGNAL -> RIG/SINK/INPUT", "")}),
        ("apart", {("processes", "RIG/SINK", "")}),
    ],
)  # fmt: skip
def test_what_was_changed_in_the_script_is_named_and_nothing_else(
    desk: Any, word: str, named: set[tuple[str, str, str]]
) -> None:
    expected = baseline(record(desk, "validated"))
    found = checked(record(desk, "changed", word), expected)
    assert {(each.group, each.name, each.field.rpartition(".")[2]) for each in found.differences} == named
    assert all(each.why is not None for each in found.differences if each.change != "missing")


def test_each_planted_difference_is_named(desk: Any) -> None:
    with Ledger.open(record(desk, "validated"), "r") as ledger:
        planted = Planted(ledger)
    for seed in range(PLANTED):
        events, expected = planted.plant(seed)
        found = planted.differences(events)
        if expected[0] == "settings":  # a value without its pickle has no class either
            found = [each for each in found if each[2] not in ("class", "rest")]
        assert found == [expected], seed
