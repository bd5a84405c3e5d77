"""A file takes the place of another one whole, or not at all, and leaves nothing beside it."""

import errno
import os
import stat
from pathlib import Path

import pytest

from ezmsg.ledger.storage.disk import Disk
from ezmsg.ledger.storage.file_access import replacing


def test_a_file_that_was_written_takes_the_place_of_the_one_before(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text("before")
    with replacing(str(path)) as beside:
        Path(beside).write_text("after")
        assert path.read_text() == "before"
    assert path.read_text() == "after"
    assert os.listdir(tmp_path) == ["x.json"]


@pytest.mark.parametrize("written", [True, False])
def test_a_file_that_could_not_be_written_leaves_all_as_it_was(tmp_path: Path, written: bool) -> None:
    path = tmp_path / "x.json"
    path.write_text("before")

    def write() -> None:
        with replacing(str(path)) as beside:
            if written:
                Path(beside).write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write()
    assert path.read_text() == "before"
    assert os.listdir(tmp_path) == ["x.json"]


class Full(Disk):
    """A disk that lets no file take the place of another one."""

    def replace(self, source: str, target: str) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), target)


def test_a_refusal_of_the_system_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "x.json"

    def write() -> None:
        with replacing(str(path), Full()) as beside:
            Path(beside).write_text("after")

    with pytest.raises(OSError, match="No space left"):
        write()
    assert os.listdir(tmp_path) == []


def test_what_a_process_of_the_same_number_left_is_not_in_the_way(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    (tmp_path / f".x.json.{os.getpid()}").write_text("left by a process that was killed")
    with replacing(str(path)) as beside:
        assert not Path(beside).exists()
        Path(beside).write_text("after")
    assert os.listdir(tmp_path) == ["x.json"]


def test_what_is_not_a_file_is_written_to_and_never_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        with replacing(str(pipe)) as place:
            Path(place).write_text("through it")
        assert os.read(reader, 100) == b"through it"
    finally:
        os.close(reader)
    assert stat.S_ISFIFO(os.stat(pipe).st_mode)
    assert os.listdir(tmp_path) == ["pipe"]


def test_a_link_stays_and_leads_to_the_new_file(tmp_path: Path) -> None:
    target, link = tmp_path / "there" / "x.json", tmp_path / "x.json"
    target.parent.mkdir()
    target.write_text("before")
    link.symlink_to(target)
    with replacing(str(link)) as beside:
        Path(beside).write_text("after")
    assert link.is_symlink()
    assert target.read_text() == "after"
    assert os.listdir(target.parent) == ["x.json"]


def test_a_folder_is_not_replaced(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError), replacing(str(tmp_path)) as place:
        Path(place).write_text("in its place")
    assert tmp_path.is_dir()


@pytest.mark.parametrize("named", [True, False])
def test_what_the_system_refuses_is_said_of_the_name_that_was_asked_for(tmp_path: Path, named: bool) -> None:
    path = str(tmp_path / "b.json")
    with pytest.raises(OSError) as caught, replacing(path) as beside:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), beside if named else None)
    assert caught.value.filename == path
    with pytest.raises(OSError) as caught, replacing(path):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "another")
    assert caught.value.filename == "another"
