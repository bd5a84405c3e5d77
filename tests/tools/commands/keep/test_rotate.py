"""``rotate`` and the options of ``serve``, and every command on what is left."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ezmsg.ledger import Ledger
from ezmsg.ledger import events as ev
from ezmsg.ledger.extras import install_command
from ezmsg.ledger.runtime.live import LiveGraph
from ezmsg.ledger.runtime.rotation import Rotation
from ezmsg.ledger.tools import exits
from ezmsg.ledger.tools.exits import Misuse
from ezmsg.ledger.tools.input import sizes
from ezmsg.ledger.tools.input.rotation import rotation_of
from ezmsg.ledger.wording import size_text
from tests.fake_clock import wall

Run = Callable[..., Any]
DAY = 86400 * 10**9


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A ledger of one file: a session that holds an edge, a mark, and another session."""
    path = tmp_path / "x.ledger"
    with Ledger.open(path, clock=wall) as ledger:
        live = LiveGraph(ledger, name="rig")
        session = live.open_session(label="early")
        live.connect("A", "B", session)
        live.note(ev.Mark(name="here"))
        live.open_session(label="late")
    return path


def add(path: Path, name: str) -> None:
    with Ledger.open(path) as ledger:
        ledger.append([ev.Mark(name=name)])


def test_a_file_becomes_a_folder_that_goes_on(run: Run, file: Path) -> None:
    before = file.read_bytes()
    answer = run("rotate", file)
    assert answer.code == exits.OK
    assert answer.out.startswith(f"{file} goes on in {file}/000002.ledger\n  seqs 1 to 5 in ")
    assert (file / "000001.ledger").read_bytes() == before
    again = run("rotate", file)
    assert again.code == exits.OK
    assert again.out.startswith(f"{file}/000002.ledger has had no event since it began\n")
    add(file, "more")
    document = json.loads(run("rotate", file, "--compress", "--json").out)
    assert document.pop("bytes") > 0
    with Ledger.open(file, "r") as ledger:
        assert document == {
            "ledger": str(file),
            "id": ledger.id,
            "begun": True,
            "tip": f"{file}/000003.ledger",
            "first": 1,
            "seq": 6,
            "dropped": [],
            "ages": [],
            "compressed": ["000001.ledger.zst", "000002.ledger.zst"],
        }


@pytest.fixture
def left(run: Run, file: Path) -> Path:
    """The folder of which the first segment is gone."""
    assert run("rotate", file).code == exits.OK
    add(file, "more")
    time.sleep(0.002)
    answer = run("rotate", file, "--keep", "1ms")
    assert answer.code == exits.OK
    assert "  removed 1 segment: 000001.ledger\n" in answer.out
    assert "  how old segments 1 to 2 are was told by the wall clock: no other clock was read there" in answer.out
    assert "\n  seq 6 in " in answer.out
    add(file, "last")
    return file


def test_what_the_commands_say_of_what_is_left(run: Run, left: Path) -> None:
    verified = run("verify", left)
    assert verified.code == exits.OK
    assert "  its history begins with seq 6: what came before is no longer there\n" in verified.out
    assert "  2 segments, each with the hash of the one before; the last:\n" in verified.out
    shown = run("show", left)
    assert shown.code == exits.OK
    assert "A -> B" in shown.out
    log = run("log", left)
    assert log.code == exits.OK
    assert 'mark "last"' in log.out
    assert "early" not in log.out
    assert 'mark "last"' in run("log", left, "-n", "1").out
    assert 'mark "last"' in run("log", left, "--since", "2020-01-01").out
    sessions = run("sessions", left)
    assert sessions.code == exits.OK
    assert "early" in sessions.out
    assert "late" in sessions.out
    assert [each["edges"] for each in json.loads(run("sessions", left, "--json").out)["sessions"]] == [1, 0]
    assert run("diff", left, "5", "end").code == exits.OK
    for moment in ("0", "3"):
        asked = run("show", left, "--at", moment)
        assert asked.code == exits.USAGE
        assert f"seq {moment} is no longer in {left}" in asked.err
        assert "hint: The ledger holds seq 6" in asked.err
    assert run("show", left, "--at", "mark:here").code == exits.USAGE


def test_it_is_checked_in_depth_from_where_it_begins(run: Run, left: Path) -> None:
    answer = run("verify", left, "--deep")
    assert answer.code == exits.OK
    assert "  folded 2 events; every invariant of the graph held after each\n" in answer.out


def test_compressing_without_the_library_changes_nothing(
    run: Run, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "zstandard", None)
    answer = run("rotate", file, "--compress")
    assert (answer.code, file.is_file()) == (exits.DISK, True)
    assert install_command("ezmsg-ledger[zstd]") in answer.err


def test_every_command_says_where_what_is_left_begins(run: Run, left: Path) -> None:
    told = f"ezmsg-ledger: {left} begins with seq 6: what came before is no longer there\n"
    for command in (["log"], ["show"], ["sessions"], ["settings"], ["export"], ["receipt"]):
        assert run(*command, left).err.startswith(told), command
    assert run("log", left, "--json").err.startswith(told)


def test_a_hole_is_told_wherever_less_is_shown_for_it(run: Run, left: Path) -> None:
    run("rotate", left)
    add(left, "latest")
    run("rotate", left)
    (left / "000003.ledger").unlink()
    hole = "segment 3 is missing after segment 2"
    told = f"ezmsg-ledger: {left} begins with seq 8: {hole}, so what stands before it is not read\n"
    for command in (["log"], ["show"], ["sessions"], ["receipt"]):
        assert run(*command, left).err.startswith(told), command
    answer = run("repair", left)
    assert (answer.code, hole in answer.err) == (exits.DISK, True)


def test_a_recording_that_goes_on_behind_a_hole_says_so(
    run: Run, left: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run("rotate", left)
    (left / "000003.ledger").unlink()
    with Ledger.open(left) as ledger:
        assert ledger.hole == "segment 3 is missing after segment 2"
    assert [record.getMessage() for record in caplog.records] == [
        f"{left}: segment 3 is missing after segment 2. What stands before it is left alone, and not read"
    ]


def test_a_warning_bears_our_name(file: Path) -> None:
    with file.open("ab") as torn:
        torn.write(b'{"type":"mark"')
    command = [sys.executable, "-m", "ezmsg.ledger.tools.cli", "rotate", str(file)]
    told = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert told.returncode == exits.OK
    (warning,) = told.stderr.splitlines()
    assert warning.startswith("ezmsg-ledger: ")
    assert "its last writer was interrupted" in warning


def test_a_hole_is_damage(run: Run, left: Path) -> None:
    """Every file that is there is sound: neither is the end torn, nor is all well."""
    assert run("rotate", left).code == exits.OK
    (left / "000003.ledger").unlink()
    answer = run("verify", left)
    assert answer.code == exits.DAMAGED
    assert answer.out.startswith("UNSOUND: ")
    assert "  segment 3 is missing after segment 2: none before it is read\n" in answer.out
    assert not json.loads(run("verify", left, "--json").out)["torn"]


def test_everything_is_gone_but_the_state(run: Run, file: Path) -> None:
    run("rotate", file)
    time.sleep(0.002)
    run("rotate", file, "--keep", "1ms")
    for words in (["show"], ["log"], ["sessions"], ["verify"], ["show", "--at", "start"], ["log", "-n", "3"]):
        answer = run(words[0], file, *words[1:])
        assert answer.code == exits.OK, answer
    assert "A -> B" in run("show", file).out


def test_a_folder_is_the_newest_ledger_here(run: Run, left: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(left.parent)
    assert run("log").err.startswith("ezmsg-ledger: reading x.ledger (the newest *.ledger here)\n")


def test_what_is_locked_damaged_or_no_ledger(run: Run, file: Path, tmp_path: Path) -> None:
    with Ledger.open(file):
        assert run("rotate", file).code == exits.LOCKED
    assert file.is_file()
    content = bytearray(file.read_bytes())
    content[300] ^= 1
    file.write_bytes(content)
    assert run("rotate", file).code == exits.DAMAGED
    assert file.read_bytes() == content
    (tmp_path / "empty").mkdir()
    assert run("rotate", tmp_path / "empty").code == exits.NOT_A_LEDGER
    assert run("rotate", tmp_path / "nothing").code == exits.USAGE
    assert run("rotate", file, "--keep", "soon").code == exits.USAGE


# --- what people write -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("256MB", 256 * 10**6), ("256mb", 256 * 10**6), ("1.5 GiB", 3 * 2**29), ("4k", 4000), ("64KiB", 65536),
        ("2T", 2 * 10**12), ("512B", 512), ("512", None), ("12h", None), ("MB", None), ("-1MB", None), ("1e6", None),
    ],
)  # fmt: skip
def test_sizes(text: str, count: int | None) -> None:
    assert sizes.size(text) == count


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 bytes"), (999, "999 bytes"), (1000, "1 kB"), (1234, "1.23 kB"), (999_499, "999 kB"), (999_600, "1 MB"),
     (256 * 10**6, "256 MB"), (3 * 10**15, "3000 TB")],
)  # fmt: skip
def test_sizes_as_they_are_shown(count: int, text: str) -> None:
    assert size_text(count) == text


@pytest.mark.parametrize(("text", "meant"), [(None, None), ("0", 0), ("5GB", 5 * 10**9), ("1.5 GiB", 3 * 2**29)])
def test_a_size_of_an_option(text: str | None, meant: int | None) -> None:
    assert sizes.size_of_option(text, "--min-free") == meant


@pytest.mark.parametrize("text", ["5", "much", "-1GB", ""])
def test_a_size_of_an_option_that_is_none(text: str) -> None:
    with pytest.raises(Misuse, match=f"--min-free {text}: not a size") as caught:
        sizes.size_of_option(text, "--min-free")
    assert caught.value.hint == "A size is written like 256MB or 1GiB, with its unit."


@pytest.mark.parametrize(
    ("rotate", "keep", "compress", "meant"),
    [
        ([], None, False, None),
        (["256MB"], None, False, Rotation(size=256 * 10**6)),
        (["1d"], "30d", True, Rotation(every=DAY, keep=30 * DAY, compress=True)),
        (["1GiB", "12h"], None, False, Rotation(size=2**30, every=DAY // 2)),
    ],
)
def test_what_the_options_mean(rotate: list[str], keep: str | None, compress: bool, meant: Rotation | None) -> None:
    assert rotation_of(rotate, keep, compress) == meant


@pytest.mark.parametrize(
    ("rotate", "keep", "compress", "says"),
    [
        (["often"], None, False, "--rotate often: that is neither a size nor a span"),
        (["256"], None, False, "--rotate 256: that is neither a size nor a span"),
        (["1kB"], None, False, "--rotate 1kB: that is less than 4 kB"),
        (["0s"], None, False, "--rotate 0s: not a span"),
        (["256MB"], "forever", False, "--keep forever: not a span of time"),
        ([], "30d", False, "--keep is about sealed segments"),
        ([], None, True, "--compress is about sealed segments"),
    ],
)
def test_options_that_mean_nothing(rotate: list[str], keep: str | None, compress: bool, says: str) -> None:
    with pytest.raises(Misuse, match=says) as caught:
        rotation_of(rotate, keep, compress)
    assert caught.value.hint
