"""``selftest``, as a person and as a program sees it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ezmsg.ledger.errors import LogError
from ezmsg.ledger.storage.disk import Disk
from ezmsg.ledger.tools import exits
from ezmsg.ledger.tools.selftest import command, real_disk
from ezmsg.ledger.tools.selftest.broken import Broken
from ezmsg.ledger.tools.selftest.command import PARTS, Part
from ezmsg.ledger.tools.selftest.effort import Effort

Run = Callable[..., Any]

QUICK = tuple(part for part in PARTS if part.name in ("file system", "torn ends", "damage"))


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The parts that need no other process."""
    monkeypatch.setattr(command, "PARTS", QUICK)


def test_all_of_it(run: Run, tmp_path: Path) -> None:
    answer = run("selftest", tmp_path, "--seconds", "1", "--json")
    assert answer.code == exits.OK, answer
    assert answer.err == ""
    document = json.loads(answer.out)
    assert (document["held"], document["kept"], document["folder"]) == (True, None, str(tmp_path))
    assert [part["part"] for part in document["parts"]] == [part.name for part in PARTS]
    assert all(part["problem"] is None and sum(part["done"].values()) > 0 for part in document["parts"])
    assert [part["append_ms"] > 0 for part in document["parts"] if part["part"] == "write"] == [True]
    assert list(tmp_path.iterdir()) == [], "it leaves nothing behind"


def test_no_part_holds_that_tried_nothing(tmp_path: Path) -> None:
    """However slow the machine is: each begins with something, and looks at its time then."""
    for part in PARTS:
        effort = Effort(0.0)
        part.run(effort, tmp_path)
        assert sum(effort.figures.values()) > 0, part.name


def test_the_report(run: Run, tmp_path: Path, quick: None) -> None:
    answer = run("selftest", tmp_path, "-s", "1")
    assert answer.code == exits.OK
    lines = answer.out.splitlines()
    assert lines[0].split(None, 3)[0] == "held"
    assert "Are changed bytes noticed, and left alone?" in answer.out
    assert lines[-1].startswith("all of this held, in ")
    assert answer.err == ""


def test_what_does_not_hold_is_said_and_kept(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(effort: object, folder: Path) -> None:
        (folder / "x.ledger").touch()
        raise Broken("locks do not lock here")

    monkeypatch.setattr(command, "PARTS", (*QUICK[:1], Part("lock", "Is there one writer?", broken), *QUICK[1:2]))
    answer = run("selftest", tmp_path)
    assert answer.code == exits.NO
    (kept,) = tmp_path.iterdir()
    assert "BROKEN  lock" in answer.out
    assert "locks do not lock here" in answer.out
    assert answer.out.splitlines()[-1] == f"not all of this holds here; what was written is kept in {kept}"
    assert (kept / "x.ledger").exists()
    document = json.loads(run("selftest", tmp_path, "--json").out)
    assert (document["held"], [part["problem"] for part in document["parts"]]) == (
        False,
        [None, "locks do not lock here", None],
    )


def test_what_the_system_refuses_is_not_broken(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(effort: object, folder: Path) -> None:
        (folder / "x.ledger").touch()
        raise LogError("x.ledger: 12 bytes could not be written: No space left on device")

    monkeypatch.setattr(command, "PARTS", (*QUICK[:1], Part("kills", "Does it outlive them?", refused)))
    answer = run("selftest", tmp_path)
    assert answer.code == exits.DISK
    assert "failed  kills" in answer.out
    assert answer.out.splitlines()[-1].startswith("not all of this could be tried here")
    assert list(tmp_path.iterdir()) == [], "on a full disk nothing is left behind"
    document = json.loads(run("selftest", tmp_path, "--json").out)
    assert [part["refused"] for part in document["parts"]] == [False, True]


def test_a_disk_without_room(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "ROOM", 2**62)
    answer = run("selftest", tmp_path)
    assert answer.code == exits.DISK
    assert f"{tmp_path} has room for" in answer.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="no process groups")
def test_ctrl_c_ends_it_and_its_children_without_a_word(tmp_path: Path) -> None:
    """Pressed in a terminal it reaches every process of the group: none may answer with a traceback, or go on."""
    words = (sys.executable, "-m", "ezmsg.ledger.tools.cli", "selftest", str(tmp_path), "--seconds", "60")
    pipe = subprocess.PIPE
    with subprocess.Popen(words, stdout=pipe, stderr=subprocess.STDOUT, text=True, start_new_session=True) as running:
        assert running.stdout is not None
        while not any(path.stat().st_size > 5000 for path in tmp_path.glob("*/killed.ledger")):  # a victim writes
            assert running.poll() is None, running.stdout.read()
            time.sleep(0.01)
        os.killpg(running.pid, signal.SIGINT)
        assert running.stdout.read() == "", "and it ends only when all of them have closed it"
    assert running.returncode == exits.INTERRUPTED
    assert list(tmp_path.iterdir()) == []


def test_a_network_file_system_is_no_place(run: Run, tmp_path: Path, quick: None, monkeypatch: Any) -> None:
    monkeypatch.setattr(Disk, "mounts", lambda self: "server:/x / nfs4 rw 0 0\n")
    answer = run("selftest", tmp_path, "-s", "1")
    assert answer.code == exits.NO
    assert "is on a network file system (nfs4)" in answer.out


def test_locks_that_do_not_lock_are_noticed(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "PARTS", tuple(part for part in PARTS if part.name == "lock"))
    monkeypatch.setattr(real_disk, "_other_process", lambda path: "opened")
    answer = run("selftest", tmp_path, "-s", "1")
    assert answer.code == exits.NO
    assert "locks do not lock here" in answer.out


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here")
def test_a_child_that_keeps_the_lock_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a library that is not told of forks."""
    deaf = "import os\nos.register_at_fork = lambda **how: None\n"
    monkeypatch.setattr(real_disk, "_PARENT", deaf + real_disk._PARENT)
    with pytest.raises(Broken, match="the child of a writer that is dead keeps its lock"):
        real_disk.fork(Effort(), tmp_path)


@pytest.mark.skipif(sys.platform == "win32", reason="files have no limits of size")
def test_an_append_that_found_no_room_and_is_there_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = real_disk._FILLING.replace('print("refused after", appended)', 'print("refused after", appended - 1)')
    monkeypatch.setattr(real_disk, "_FILLING", program)
    with pytest.raises(Broken, match="found room and one after them"):
        real_disk.full(Effort(), tmp_path)


def test_a_folder_that_is_not_there(run: Run, tmp_path: Path) -> None:
    answer = run("selftest", tmp_path / "no")
    assert answer.code == exits.USAGE
    assert "is not a folder" in answer.err


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written(run: Run, tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    assert run("selftest", tmp_path).code == exits.DISK


def test_a_person_who_waits_sees_it_move(run: Run, tmp_path: Path, quick: None, monkeypatch: Any) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("FORCE_COLOR", "1")
    answer = run("selftest", tmp_path, "-s", "1")
    assert answer.code == exits.OK
    assert "damage" in answer.err, "what is being tried last"


def test_every_key_of_the_document_is_documented(run: Run, tmp_path: Path, quick: None) -> None:
    page = (Path(__file__).parents[3] / "docs" / "cli.md").read_text(encoding="utf-8")
    section = page[page.index("## selftest") :]
    document = json.loads(run("selftest", tmp_path, "-s", "1", "--json").out)
    keys = {*document, *(key for part in document["parts"] for key in part)}
    assert [key for key in keys if f'"{key}"' not in section] == []
