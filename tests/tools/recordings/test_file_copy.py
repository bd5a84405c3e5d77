"""A copy that is made in a thread: its bytes are those of the file, and what keeps it from that is raised."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ezmsg.ledger.tools.recordings import file_copy as module
from ezmsg.ledger.tools.recordings.file_copy import FileCopy


@given(st.binary(max_size=5000), st.integers(1, 3000), st.integers(1, 3000), st.integers(0, 3))
def test_the_copy_has_the_bytes_of_the_file_whatever_the_system_copies(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, piece: int, read: int, calls: int
) -> None:
    """``calls``: after so many pieces the system says that it cannot."""
    folder = tmp_path_factory.mktemp("copy")
    (folder / "a").write_bytes(data)
    left = [calls]

    def limited(*arguments: Any) -> int:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
        return by_system(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        by_system = getattr(os, "copy_file_range", lambda *_: 0)
        patch.setattr(os, "copy_file_range", limited, raising=False)
        patch.setattr(module, "PIECE_BYTES", piece)
        patch.setattr(module, "READ_BYTES", read)
        with FileCopy(folder / "a", folder / "b") as copy:
            copy.wait()
    assert (folder / "b").read_bytes() == data


def test_what_keeps_it_from_being_made_is_raised(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x")
    with pytest.raises(FileNotFoundError), FileCopy(tmp_path / "nowhere", tmp_path / "b") as copy:
        copy.wait()
    (tmp_path / "b").write_bytes(b"somebody's")
    with pytest.raises(FileExistsError), FileCopy(tmp_path / "a", tmp_path / "b") as copy:
        copy.wait()
    assert (tmp_path / "b").read_bytes() == b"somebody's"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no disk that is always full")
def test_a_disk_that_is_full_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").write_bytes(b"x" * 100)
    monkeypatch.setattr(
        module,
        "open",
        lambda path, *_, **__: open(  # noqa: SIM115
            "/dev/full" if Path(path).name == "b" else path, "rb+" if Path(path).name == "b" else "rb", buffering=0
        ),
        raising=False,
    )
    with pytest.raises(OSError, match="No space left") as caught, FileCopy(tmp_path / "a", tmp_path / "b") as copy:
        copy.wait()
    assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, str(tmp_path / "b"))


def test_a_copy_that_is_given_up_ends_with_the_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nobody waits for it, the block returns when the piece under way is done: the file is long, not the wait."""
    (tmp_path / "a").touch()
    os.truncate(tmp_path / "a", 2**40)  # a sparse terabyte
    monkeypatch.setattr(module, "PIECE_BYTES", 4096)
    with FileCopy(tmp_path / "a", tmp_path / "b"):
        pass
    assert (tmp_path / "b").stat().st_size < 2**36


@pytest.mark.skipif(not hasattr(os, "copy_file_range"), reason="the system copies nothing by itself")
def test_what_the_disk_says_while_the_copy_goes_on_is_raised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A system tells of a failed write once: the sync at the end is told that all is well."""
    (tmp_path / "a").write_bytes(b"x" * 100)
    told = []

    def fails_once(handle: int) -> None:
        if not told:
            told.append(handle)
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(module, "PIECE_BYTES", 10)
    monkeypatch.setattr(module, "_sync_data", fails_once)
    source, target = tmp_path / "a", tmp_path / "b"
    with pytest.raises(OSError, match=os.strerror(errno.EIO)) as caught, FileCopy(source, target) as copy:
        copy.wait()
    assert caught.value.filename == str(target)
