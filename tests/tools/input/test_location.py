"""Which ledger is meant when none, or a wrong one, is named."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ezmsg.ledger import events as ev
from ezmsg.ledger.log import Ledger
from ezmsg.ledger.runtime.live import LiveGraph
from ezmsg.ledger.tools import exits
from ezmsg.ledger.tools.input.location import shortened
from ezmsg.ledger.tools.input.new_ledger import unnamed

Run = Callable[..., Any]


def make(path: Path, name: str, age: int = 0) -> Path:
    with Ledger.open(path) as ledger:
        ledger.append([ev.Mark(name=name)])
    stamp = 10**18 - age * 10**9
    os.utime(path, ns=(stamp, stamp))
    return path


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_newest_of_this_folder_is_taken_and_named(run: Run, here: Path) -> None:
    make(here / "old.ledger", "old", age=9)
    make(here / "new.ledger", "new", age=1)
    make(here / "mid.ledger", "mid", age=5)
    (here / "a folder.ledger").mkdir()
    answer = run("log")
    assert 'mark "new"' in answer.out
    assert answer.err == "ezmsg-ledger: reading new.ledger (the newest *.ledger here)\n"


def nobody_came(path: Path) -> Path:
    with Ledger.open(path) as ledger:
        LiveGraph(ledger).close()
    return path


def test_one_to_which_nobody_came_is_passed_over(run: Run, here: Path) -> None:
    nobody_came(here / "failed at once.ledger")
    make(here / "real.ledger", "real", age=9)
    answer = run("log")
    assert 'mark "real"' in answer.out
    assert "real.ledger (the newest *.ledger here; failed at once.ledger recorded nothing)" in answer.err
    nobody_came(here / "again.ledger")
    assert "again.ledger and 1 more recorded nothing" in run("log").err


def test_when_nobody_came_to_any_the_newest_is_taken_all_the_same(run: Run, here: Path) -> None:
    nobody_came(here / "only.ledger")
    answer = run("log")
    assert "server stopped" in answer.out
    assert answer.err == "ezmsg-ledger: reading only.ledger (the newest *.ledger here)\n"


def test_one_that_just_begins_is_not_passed_over(run: Run, here: Path) -> None:
    make(here / "before.ledger", "before", age=9)
    with Ledger.open(here / "begins.ledger") as ledger:
        live = LiveGraph(ledger)
        assert "reading begins.ledger" in run("log").err
        live.close()


def test_what_is_no_ledger_is_not_passed_over_in_silence(run: Run, here: Path) -> None:
    make(here / "before.ledger", "before", age=10**9)
    (here / "notes.ledger").write_text("Dear diary")
    assert run("log").code == exits.NOT_A_LEDGER


def test_recordings_of_the_same_second_are_told_apart(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "strftime", lambda form: "20261124-101500")
    names = []
    for _ in range(3):
        names.append(unnamed("pipeline").name)
    stem = "pipeline-20261124-101500"
    assert names == [f"{stem}.ledger", f"{stem}-2.ledger", f"{stem}-3.ledger"]


def test_the_variable_comes_before_the_folder(run: Run, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(here / "here.ledger", "here")
    there = make(here / "there.log", "there", age=99)
    monkeypatch.setenv("EZMSG_LEDGER", str(there))
    answer = run("log")
    assert 'mark "there"' in answer.out
    assert answer.err == f"ezmsg-ledger: reading {there} ($EZMSG_LEDGER)\n"
    monkeypatch.setenv("EZMSG_LEDGER", "")
    assert 'mark "here"' in run("log").out


def test_a_named_one_comes_first_and_needs_no_note(run: Run, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make(here / "with a space.ledger", "named")
    monkeypatch.setenv("EZMSG_LEDGER", "elsewhere")
    answer = run("log", path)
    assert 'mark "named"' in answer.out
    assert answer.err == ""


def test_with_none_at_all_it_says_where_one_could_come_from(run: Run, here: Path) -> None:
    answer = run("show")
    assert answer.code == exits.USAGE
    assert str(here) in answer.err
    assert "EZMSG_LEDGER" in answer.err
    assert "ezmsg-ledger run" in answer.err


@pytest.mark.parametrize(
    ("named", "hint"),
    [
        ("mondy-20261124-101500.ledger", "Did you mean monday-20261124-101500.ledger?"),
        ("monday", "Did you mean monday-20261124-101500.ledger?"),
        ("qqqq", "There is monday-20261124-101500.ledger."),
        ("q.ledger", "There is monday-20261124-101500.ledger."),
    ],
)
def test_a_wrong_name_is_answered_with_a_right_one(run: Run, here: Path, named: str, hint: str) -> None:
    make(here / "monday-20261124-101500.ledger", "x")
    answer = run("log", named)
    assert answer.code == exits.USAGE
    assert hint in answer.err


def test_a_variable_that_names_nothing_is_blamed(run: Run, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EZMSG_LEDGER", "gone.ledger")
    answer = run("log")
    assert answer.code == exits.USAGE
    assert "$EZMSG_LEDGER names" in answer.err


def test_keeping_wants_to_be_told_which(run: Run, here: Path) -> None:
    make(here / "x.ledger", "x")
    assert run("verify").code == exits.USAGE


def test_a_path_is_shown_as_short_as_it_can_be(here: Path) -> None:
    assert shortened(str(here / "x.ledger")) == "x.ledger"
    assert shortened("/x") == "/x"


def test_a_home_folder_is_found(run: Run, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(here / "x.ledger", "at home")
    monkeypatch.setenv("HOME", str(here))
    monkeypatch.setenv("USERPROFILE", str(here))
    assert "at home" in run("log", "~/x.ledger").out
