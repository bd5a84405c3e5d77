"""Ledger files as a person meets them: making, opening, closing, and what is said when it cannot be done."""

import json
import logging
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from ezmsg.ledger import Ledger, LedgerReader
from ezmsg.ledger.errors import DamagedLedger, LedgerError, LogError, NewerFormat, NotALedger
from ezmsg.ledger.events import Mark


def test_the_file_is_json_lines(small: Path) -> None:
    lines = [json.loads(line) for line in small.read_bytes().split(b"\n")[:-1]]
    assert [line["type"] for line in lines] == [
        *("ledger.header", "ledger.commit"),
        *("session.opened", "edge.connected", "ledger.commit"),
        *("mark", "ledger.commit"),
        *("ledger.commit", "mark", "mark", "mark", "ledger.commit", "ledger.commit"),
    ]
    assert [line["seq"] for line in lines if "seq" in line] == [1, 2, 3, 4, 5, 6]


def test_each_commit_line_states_the_hash_of_all_before_it(small: Path) -> None:
    data = small.read_bytes()
    commits = [json.loads(line) for line in data.split(b"\n") if line.startswith(b'{"type":"ledger.commit"')]
    assert len(commits) == 6
    for commit in commits:
        assert commit["sha256"] == sha256(data[: commit["at"]]).hexdigest()
        assert data[commit["at"] :].startswith(b'{"type":"ledger.commit","upto":%d,' % commit["upto"])


def test_a_clean_close_seals(small: Path) -> None:
    seal = json.loads(small.read_bytes().split(b"\n")[-2])
    assert (seal["count"], seal["synced"]) == (0, seal["at"])


def test_opening_and_closing_without_a_word_changes_nothing(small: Path) -> None:
    before = small.read_bytes()
    for _ in range(2):
        with Ledger.open(small) as ledger:
            assert ledger.head == 6
    assert small.read_bytes() == before


def test_it_goes_on_where_it_ended(small: Path, marks: Callable[..., list[Mark]]) -> None:
    with Ledger.open(small) as ledger:
        assert ledger.append(marks("seven"))[0].seq == 7
        assert ledger.durable_seq >= 6
        ledger.check()
    with Ledger.open(small, "r") as ledger:
        assert [event.seq for event in ledger.entries()] == list(range(1, 8))
        assert ledger.verify().sound


def test_only_the_owner_may_read_it(small: Path) -> None:
    for name in (small, small.with_name("x.ledger.lock")):
        assert stat.S_IMODE(name.stat().st_mode) == 0o600


def test_an_empty_file_becomes_a_ledger(path: Path, marks: Callable[..., list[Mark]]) -> None:
    path.touch()
    with Ledger.open(path) as ledger:
        ledger.append(marks("a"))
    assert Ledger.open(path, "r").verify().sound


def test_what_a_creation_that_died_left_behind_is_no_hindrance(path: Path) -> None:
    Path(f"{path}.new").write_bytes(b'{"type":"ledger.hea')
    Ledger.open(path).close()
    assert Ledger.open(path, "r").verify().sound
    assert sorted(p.name for p in path.parent.iterdir()) == ["x.ledger", "x.ledger.lock"]


def test_a_file_system_without_hard_links(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(source: str, target: str) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    Ledger.open(path).close()
    assert Ledger.open(path, "r").verify().sound


@pytest.mark.skipif(sys.platform != "linux", reason="names are bytes there")
def test_a_name_that_is_no_text_is_noted_as_one(tmp_path: Path, hasty: Any) -> None:
    name = os.fsencode(tmp_path) + b"/x\xff.ledger"
    with Ledger.open(name, disk=hasty) as ledger:  # type: ignore[arg-type]
        ledger.append([Mark(name="a")])
    with open(name, "ab") as file:
        file.write(b"torn")
    for _ in range(2):
        with Ledger.open(name, disk=hasty) as ledger:  # type: ignore[arg-type]
            assert (ledger.head, ledger.verify().sound) == (1, True)
    with open(name, "rb") as file:
        (note,) = [json.loads(line) for line in file if b"ledger.recovered" in line]
    (tail,) = (each for each in os.listdir(os.fsencode(tmp_path)) if b".tail-" in each)
    assert note["saved"] == tail.decode("utf-8", "backslashreplace")


def test_names_of_all_kinds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Ledger.open("größe 1.ledger").close()
    (tmp_path / "link").symlink_to("größe 1.ledger")
    with Ledger.open(b"link") as ledger:  # type: ignore[arg-type]
        assert ledger.location == str(tmp_path / "größe 1.ledger")
        assert repr(ledger) == f"<FileLedger {tmp_path}/größe 1.ledger at seq 0>"


# --- what is said when it cannot be done ---


def error_of(call: Callable[[], Any]) -> LedgerError:
    with pytest.raises(LedgerError) as info:
        call()
    assert info.value.hint, "says what to do next"
    return info.value


def test_a_missing_file(path: Path) -> None:
    error = error_of(lambda: Ledger.open(path, "r"))
    assert isinstance(error, NotALedger)
    assert str(error) == f"{path}: there is no such file"
    assert not path.exists()


def test_a_missing_folder(tmp_path: Path) -> None:
    error = error_of(lambda: Ledger.open(tmp_path / "no" / "x.ledger"))
    assert isinstance(error, LogError)
    assert "No such file or directory" in str(error)


@pytest.mark.parametrize("mode", ["a", "r"])
@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"\x89PNG\r\n\x1a\n\0\0", "it holds binary data"),
        (b"\xff\xfe{}", "it holds binary data"),
        (b'{"type":"something.else"}\n{"a":1}\n', "it is JSON, but does not begin with a ledger.header line"),
        (b"Dear diary,\nnothing happened.\n", "it begins with 'Dear diary,'"),
        (b"\n\n\n", "it begins with ''"),
        (b'{"type":"ledger.header","format":1,"id":"x","crea', "its header line is incomplete or malformed"),
        (b'{"type":"ledger.header","format":1,"id":7,"created":1}\n', "its header line is incomplete or malformed"),
        (b'{"type":"ledger.header","format":0,"id":"x","created":1}\n', "its header line is incomplete or malformed"),
        ("größe".encode() * 2000, "it begins with 'größegröße"),
    ],
)
def test_something_else(path: Path, content: bytes, says: str, mode: Any) -> None:
    path.write_bytes(content)
    error = error_of(lambda: Ledger.open(path, mode))
    assert isinstance(error, NotALedger)
    assert str(error).startswith(f"{path} is not a ledger: {says}")
    assert path.read_bytes() == content
    assert list(path.parent.iterdir()) == [path], "nothing is left beside what is not ours"


@pytest.mark.parametrize("mode", ["a", "r"])
def test_a_file_where_a_folder_is_named(path: Path, mode: Any) -> None:
    path.write_bytes(b"a file")
    error = error_of(lambda: Ledger.open(path / "x.ledger", mode))
    assert isinstance(error, LogError)
    assert str(path / "x.ledger") in str(error)
    assert list(path.parent.iterdir()) == [path]


def test_an_empty_file_cannot_be_read(path: Path) -> None:
    path.touch()
    assert str(error_of(lambda: Ledger.open(path, "r"))) == f"{path} is empty"


@pytest.mark.parametrize("mode", ["a", "r"])
def test_a_folder(tmp_path: Path, mode: Any) -> None:
    error = error_of(lambda: Ledger.open(tmp_path, mode))
    assert isinstance(error, NotALedger)
    assert "is a folder" in str(error)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
@pytest.mark.parametrize("mode", ["a", "r"])
def test_a_pipe_is_not_waited_for(path: Path, mode: Any) -> None:
    os.mkfifo(path)
    assert "not a regular file" in str(error_of(lambda: Ledger.open(path, mode)))


@pytest.mark.parametrize("mode", ["a", "r"])
def test_a_newer_format(path: Path, mode: Any) -> None:
    path.write_bytes(b'{"type":"ledger.header","format":3,"id":"x","created":1,"more":[]}\n')
    error = error_of(lambda: Ledger.open(path, mode))
    assert isinstance(error, NewerFormat)
    assert "has format 3; this version of ezmsg-ledger reads up to 2" in str(error)
    assert "Upgrade" in error.hint


@pytest.mark.parametrize("mode", ["a", "r"])
def test_a_ledger_whose_header_is_damaged(small: Path, mode: Any) -> None:
    data = small.read_bytes()
    small.write_bytes(b"X" + data[1:])
    error = error_of(lambda: Ledger.open(small, mode))
    assert isinstance(error, DamagedLedger)
    assert (error.offset, error.seq) == (0, 0)
    assert small.read_bytes() == b"X" + data[1:]


@pytest.mark.parametrize("broken", ["open_lock", "create", "sync", "sync_folder"])
def test_a_folder_that_cannot_be_written(path: Path, faulty: Any, broken: str) -> None:
    faulty.fail[broken] = 1
    error = error_of(lambda: Ledger.open(path, disk=faulty))
    assert isinstance(error, LogError)
    assert str(path) in str(error)
    assert Ledger.open(path).verify().sound, "it can be tried again"


def test_a_disk_that_is_full_at_once(path: Path, faulty: Any) -> None:
    faulty.space = 100
    error = error_of(lambda: Ledger.open(path, disk=faulty))
    assert "No space left" in str(error)
    assert not path.exists()


@pytest.mark.parametrize("mode", ["a", "r"])
def test_a_file_that_may_not_be_opened(small: Path, faulty: Any, mode: Any) -> None:
    faulty.fail["open"] = 1
    assert f"{small} cannot be" in str(error_of(lambda: Ledger.open(small, mode, disk=faulty)))


def test_wrong_arguments(path: Path) -> None:
    with pytest.raises(ValueError, match="mode"):
        Ledger.open(path, "w")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="durability"):
        Ledger.open(path, durability="maybe")  # type: ignore[arg-type]
    assert not path.exists()


# --- reading alone ---


def test_a_reader_cannot_write(small: Path) -> None:
    """Not refused: there is nothing to call. A writer can do all that a reader can."""
    with Ledger.open(small, "r") as reader:
        assert isinstance(reader, LedgerReader)
        writing = set(dir(Ledger)) - set(dir(LedgerReader))
        assert {"append", "append_late", "rotate", "sync", "durable_seq", "touch", "next_seq"} <= writing
        assert [name for name in writing if hasattr(reader, name)] == []
        reader.check()
    assert issubclass(Ledger, LedgerReader)


def test_readers_need_no_permission_to_write_and_leave_nothing(small: Path) -> None:
    small.chmod(0o400)
    Path(f"{small}.lock").unlink()
    before = sorted(small.parent.iterdir())
    with Ledger.open(small, "r") as ledger:
        assert len(list(ledger.entries())) == 6
        assert not ledger.being_written
    assert sorted(small.parent.iterdir()) == before


def test_readers_are_independent(small: Path) -> None:
    with Ledger.open(small, "r") as ledger:
        first, second = ledger.entries(), ledger.entries(after=3)
        assert [next(first).seq, next(second).seq, next(first).seq, next(second).seq] == [1, 4, 2, 5]


def test_a_reader_beside_the_writer(path: Path, marks: Callable[..., list[Mark]]) -> None:
    with Ledger.open(path) as writer, Ledger.open(path, "r") as reader:
        assert reader.head == 0
        for n in range(1, 20):
            writer.append(marks("x"))
            assert reader.head == n
            assert len(list(reader.entries())) == n
            assert reader.receipt == writer.receipt
            assert reader.verify().sound
        assert reader.id == writer.id


def test_a_program_that_does_not_close_is_sealed_when_it_ends(path: Path) -> None:
    code = "import sys; from ezmsg.ledger import Ledger, events; " \
        "l = Ledger.open(sys.argv[1]); l.append([events.Mark(name='a')])"  # fmt: skip
    subprocess.run([sys.executable, "-W", "error", "-c", code, str(path)], check=True)
    found = Ledger.open(path, "r").verify()
    assert (found.sound, found.sealed, found.seq) == (True, True, 1)


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_ledger_that_is_forgotten_can_be_opened_again(path: Path, marks: Callable[..., list[Mark]]) -> None:
    ledger = Ledger.open(path, durability="none")
    ledger.append(marks("a"))
    del ledger
    import gc

    gc.collect()
    with Ledger.open(path) as ledger:
        assert ledger.head == 1


def test_a_network_file_system_is_warned_of(
    path: Path, hasty: Any, caplog: pytest.LogCaptureFixture
) -> None:
    hasty.mounts = lambda: f"server:/x {path.parent} nfs4 rw 0 0\n"
    with caplog.at_level(logging.WARNING, "ezmsg.ledger"):
        Ledger.open(path, disk=hasty).close()
    assert "is on a network file system (nfs4)" in caplog.text


# --- time ---


def test_seq_at_survives_a_reopening_and_other_writers(path: Path, marks: Callable[..., list[Mark]]) -> None:
    with Ledger.open(path, clock=iter([0, 10, 30, 20]).__next__) as writer, Ledger.open(path, "r") as reader:
        for expected in ([0, 1, 1, 1], [0, 1, 1, 2], [0, 1, 3, 3]):
            writer.append(marks("x"))
            assert [reader.seq_at(time) for time in (9, 10, 20, 30)] == expected
            assert [writer.seq_at(time) for time in (9, 10, 20, 30)] == expected


def test_seq_at_when_the_file_was_replaced_in_place(path: Path, marks: Callable[..., list[Mark]]) -> None:
    for name, times in (("x.ledger", [0, 10, 20]), ("y.ledger", [0, 5, 6, 7])):
        with Ledger.open(path.with_name(name), clock=iter(times).__next__) as ledger:
            for _ in times[1:]:
                ledger.append(marks("x"))
    with Ledger.open(path, "r") as reader:
        assert reader.seq_at(10) == 1
        path.write_bytes(path.with_name("y.ledger").read_bytes())
        assert reader.seq_at(10) == 3
