"""The simulated disk: as long as the power stays on it is a disk like any other, and then it forgets."""

import errno
import inspect
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ezmsg.ledger.storage.disk import Disk

from .simulation.disk import SimulatedDisk
from .simulation.sectors import SECTOR
from .simulation.survivors import file_images, images

NAMES = ("a", "b", "c", "f", "f/a", "f/b", "g", "g/a")


def test_every_call_of_the_seam_is_simulated() -> None:
    """A call that a later version adds to the seam must not fall through to the real disk."""
    calls = {name for name, _ in inspect.getmembers(Disk, inspect.isfunction) if not name.startswith("_")}
    assert {name for name in calls if name not in vars(SimulatedDisk)} == set()


def outcome(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except OSError as error:
        return type(error), error.errno


named = st.sampled_from(NAMES)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("create"), named),
        st.tuples(st.just("write"), named, st.integers(0, 1500), st.integers(0, 1500)),
        st.tuples(st.just("truncate"), named, st.integers(0, 2000)),
        st.tuples(st.just("sync"), named),
        st.tuples(st.just("make_folder"), st.sampled_from(("f", "g"))),
        st.tuples(st.just("remove_folder"), named),
        st.tuples(st.just("link"), named, named),
        st.tuples(st.just("replace"), named, named),
        st.tuples(st.just("remove"), named),
        st.tuples(st.just("kind"), named),
        st.tuples(st.just("names"), named),
        st.tuples(st.just("sync_folder")),
    ),
    max_size=25,
)


def do(disk: Disk, folder: str, step: tuple[Any, ...]) -> Any:
    what, *rest = step
    paths = [f"{folder}/{each}" for each in rest if isinstance(each, str)]
    if what in ("write", "truncate", "sync"):
        handle = disk.open(paths[0], write=True)
        try:
            if what == "write":
                return disk.write(handle, bytes([rest[1] % 251 + 1]) * rest[1], rest[2])
            return disk.truncate(handle, rest[1]) if what == "truncate" else disk.sync(handle)
        finally:
            disk.close(handle)
    if what == "create":
        return disk.close(disk.create(paths[0]))
    if what == "names":
        return sorted(disk.names(paths[0]))
    return getattr(disk, what)(*(paths or [folder]))


def contents(folder: Path) -> dict[str, bytes]:
    """As a simulated disk tells it: files, and empty folders."""
    found = {}
    for path in folder.rglob("*"):
        name = f"/disk/{path.relative_to(folder)}"
        if path.is_file():
            found[name] = path.read_bytes()
        elif not list(path.iterdir()):
            found[f"{name}/"] = b""
    return found


@example(steps=[("create", "f"), ("link", "g/a", "f/a"), ("link", "a", "f/a")])
@settings(max_examples=150, deadline=None)
@given(steps=steps)
def test_it_does_what_a_real_disk_does(tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[Any, ...]]) -> None:
    folder = tmp_path_factory.mktemp("real")
    real, simulated = Disk(), SimulatedDisk()
    for step in steps:
        if step[0] in ("link", "replace") and step[1] == step[2]:
            continue
        expected = outcome(lambda: do(real, str(folder), step))  # noqa: B023 - called at once
        found = outcome(lambda: do(simulated, "/disk", step))  # noqa: B023
        assert found == expected, step
        assert simulated.contents() == contents(folder), step


def test_what_was_synced_survives_and_what_was_not_need_not() -> None:
    disk = SimulatedDisk()
    handle = disk.create("/disk/a")
    disk.write(handle, b"s" * 100, 0)
    disk.sync(handle)
    disk.sync_folder("/disk")
    disk.write(handle, b"u" * 1000, 100)
    found = {image["/disk/a"] for image in images(disk.tree, lambda name: True)}
    assert all(each.startswith(b"s" * 100) for each in found)
    assert b"s" * 100 in found, "lost"
    assert b"s" * 100 + b"u" * 1000 in found, "kept"
    assert b"s" * 100 + b"u" * (SECTOR - 100) + bytes(1100 - SECTOR) in found, "torn, and zeros behind"
    assert b"s" * 100 + bytes(SECTOR - 100) + b"u" * (1100 - SECTOR) in found, "out of order"
    disk.sync(handle)
    assert [image["/disk/a"] for image in images(disk.tree, lambda name: True)] == [b"s" * 100 + b"u" * 1000]


def test_a_name_lasts_when_its_folder_was_synced() -> None:
    disk = SimulatedDisk()
    handle = disk.create("/disk/a")
    disk.sync(handle)
    assert {"/disk/a" in image for image in images(disk.tree, lambda name: True)} == {False, True}
    disk.sync_folder("/disk")
    disk.replace("/disk/a", "/disk/b")
    assert {tuple(image) for image in images(disk.tree, lambda name: True)} == {("/disk/a",), ("/disk/b",)}


def after_a_cut(disk: SimulatedDisk) -> set[tuple[str, ...]]:
    return {tuple(sorted(image)) for image in images(disk.tree, lambda name: True)}


def test_a_folder_lasts_when_the_one_that_it_is_in_was_synced() -> None:
    disk = SimulatedDisk()
    disk.make_folder("/disk/f")
    disk.sync(disk.create("/disk/f/a"))
    disk.sync_folder("/disk/f")
    assert after_a_cut(disk) == {(), ("/disk/f/a",)}, "what is in it is not there without it"
    disk.sync_folder("/disk")
    assert after_a_cut(disk) == {("/disk/f/a",)}
    disk.replace("/disk/f", "/disk/g")
    disk.sync(disk.create("/disk/g/b"))
    disk.sync_folder("/disk/g")
    assert after_a_cut(disk) == {("/disk/f/a", "/disk/f/b"), ("/disk/g/a", "/disk/g/b")}
    disk.sync_folder("/disk")
    assert after_a_cut(disk) == {("/disk/g/a", "/disk/g/b")}


def test_a_file_that_is_moved_is_in_one_folder_or_the_other() -> None:
    disk = SimulatedDisk({"/disk/a": b"", "/disk/f/": b""})
    disk.replace("/disk/a", "/disk/f/a")
    assert after_a_cut(disk) == {("/disk/a", "/disk/f/"), ("/disk/f/a",)}
    disk.sync_folder("/disk")
    assert after_a_cut(disk) == {("/disk/a", "/disk/f/"), ("/disk/f/a",)}, "it lasts where it was moved to"
    disk.sync_folder("/disk/f")
    assert after_a_cut(disk) == {("/disk/f/a",)}


def test_what_came_before_a_move_is_on_the_disk_with_it() -> None:
    disk = SimulatedDisk({"/disk/f/": b""})
    disk.create("/disk/a")
    disk.replace("/disk/a", "/disk/f/a")
    disk.sync_folder("/disk/f")
    assert after_a_cut(disk) == {("/disk/f/a",)}


def test_a_disk_made_of_what_a_cut_left_is_the_same() -> None:
    image = {"/disk/f/": b"", "/disk/g/a": b"1", "/disk/b": b"2"}
    assert SimulatedDisk(image).contents() == image
    assert after_a_cut(SimulatedDisk(image)) == {tuple(sorted(image))}


@pytest.mark.parametrize("evict", [False, True])
def test_after_a_failed_sync_the_next_one_says_that_all_is_well(evict: bool) -> None:
    disk = SimulatedDisk({"/disk/a": b"old"})
    disk.evict = evict
    handle = disk.open("/disk/a", write=True)
    disk.write(handle, b"new", 0)

    def fail(call: str, about: str) -> None:
        if call == "sync":
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    disk.fault = fail
    with pytest.raises(OSError, match="Input/output error"):
        disk.sync(handle)
    disk.fault = lambda call, about: None
    disk.sync(handle)
    assert disk.contents()["/disk/a"] == (b"old" if evict else b"new"), "what is read"
    assert list(file_images(disk.files["/disk/a"])) == [b"old"], "what is there"


def test_a_full_disk_takes_what_fits() -> None:
    disk = SimulatedDisk({"/disk/a": b""})
    disk.room = 5
    handle = disk.open("/disk/a", write=True)
    assert disk.write(handle, b"12345678", 0) == 5
    with pytest.raises(OSError, match="No space left"):
        disk.write(handle, b"678", 5)


def test_locks_go_with_their_process(tmp_path: Path) -> None:
    disk = SimulatedDisk({"/disk/a": b""})
    first, second = disk.open("/disk/a"), disk.open("/disk/a")
    assert (disk.lock(first), disk.lock(first), disk.lock(second)) == (True, True, False)
    after = disk.after_kill()
    assert after.lock(after.open("/disk/a"))
    disk.close(first)
    assert disk.lock(second)
