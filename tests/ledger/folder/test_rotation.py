"""Beginning, compressing and dropping segments: whatever dies in between, nothing is lost and nobody has to help."""

import errno
import itertools
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ezmsg.ledger import Ledger
from ezmsg.ledger.errors import Conflict, ForkedWriter, InvalidEvent, LedgerError, LedgerLocked, LogError, WriteFailed
from ezmsg.ledger.events import Mark
from ezmsg.ledger.folder.reader import FolderReader
from ezmsg.ledger.storage.disk import Disk

CHANGING = ("write", "sync", "truncate", "create", "make_folder", "link", "replace", "remove", "sync_folder")
"""The calls of a disk that change what is on it."""


class Killed(BaseException):
    """The process is gone."""


class SteppingDisk(Disk):
    """A real disk on which ``stop`` happens at the n-th change: ``kill`` ends the process there, ``fail`` is an error.

    Of a write that is the n-th, one half is done. After a kill nothing is changed any more, whatever cleans up.
    """

    def __init__(self, nth: int, how: str) -> None:
        self.nth, self.how, self.steps, self.dead = nth, how, 0, False
        self.done: list[str] = []

    def _stops(self, name: str) -> bool:
        """Whether this is the step; the caller does nothing when the process is gone."""
        self.steps += 1
        self.done.append(name)
        return self.steps == self.nth

    def _stop(self) -> None:
        if self.how == "kill":
            self.dead = True
            raise Killed
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    def write(self, handle: int, data: bytes | memoryview, offset: int) -> int:
        if self.dead:
            return len(data)
        if self._stops("write"):
            super().write(handle, bytes(data)[: len(data) // 2], offset)
            self._stop()
        return super().write(handle, data, offset)

    def sync(self, handle: int) -> None:
        if not self.dead and self._stops("sync"):
            self._stop()

    def sync_folder(self, path: str) -> None:
        if not self.dead and self._stops("sync_folder"):
            self._stop()

    def link(self, source: str, target: str) -> None:
        if self.dead:
            return
        if self._stops("link"):
            self._stop()
        os.link(source, target)
        if self._stops("link"):  # both names are there
            self._stop()
        os.unlink(source)

    def truncate(self, handle: int, size: int) -> None:
        """That of a lock file, as it is given back, is no step: the lock is the process's, and dies with it."""
        if self.dead:
            return
        if size and self._stops("truncate"):
            self._stop()
        super().truncate(handle, size)


def _changing(name: str) -> Callable[..., Any]:
    def change(self: SteppingDisk, *arguments: Any) -> Any:
        if self.dead:
            return -1
        if self._stops(name):
            self._stop()
        return getattr(Disk, name)(self, *arguments)

    return change


for _name in ("create", "make_folder", "replace", "remove"):
    setattr(SteppingDisk, _name, _changing(_name))


class Story:
    """A life with rotations; ``acknowledged`` are the events that were. Each act can fail, and the next goes on."""

    def __init__(self, path: Path, disk: Disk, durability: Any) -> None:
        self.path, self.disk, self.durability = path, disk, durability
        self.acknowledged: list[str] = []
        self.ledger: Any = None
        self.errors: list[str] = []

    def tell(self) -> None:
        try:
            for act in (self._open, *(3 * (self._append, self._rotate)), self._append, self._pack, self._drop):
                self._do(act)
            self._do(self._append)
        finally:
            if self.ledger is not None:
                self._do(self.ledger.close)

    def _do(self, act: Callable[[], object]) -> None:
        try:
            act()
        except (LedgerError, OSError) as error:
            self.errors.append(str(error))
            if self.ledger is None:
                self._open()
            elif self.ledger.failure is not None and act != self.ledger.close:
                self.ledger = self.ledger.reopen()

    def _open(self) -> None:
        self.ledger = Ledger.open(self.path, durability=self.durability, disk=self.disk, segmented=True, clock=tick)

    def _append(self) -> None:
        names = [f"m{self.ledger.next_seq}", f"m{self.ledger.next_seq + 1}"]
        self.ledger.append([Mark(name=name) for name in names])
        self.acknowledged += names

    def _rotate(self) -> None:
        self.ledger.rotate([b'{"head":%d}' % self.ledger.head], self.ledger.head)

    def _pack(self) -> None:
        self.ledger.pack()

    def _drop(self) -> None:
        self.ledger.drop(SECOND_SEGMENT_BEGAN)


_ticks = itertools.count(1000)
SECOND_SEGMENT_BEGAN = 2**62


def tick() -> int:
    return next(_ticks)


def check_what_is_left(path: Path, acknowledged: list[str]) -> None:
    """It is whole, for readers now and for the next writer, and goes on."""
    seen: list[str] = []
    first = 1
    if acknowledged or list(path.glob("*.ledger")):
        with Ledger.open(path, "r") as reader:
            first = reader.first
            seen = [event.name for event in reader.entries()]
            assert seen[: len(acknowledged) - first + 1] == acknowledged[first - 1 :]
    with Ledger.open(path, durability="none", segmented=True) as ledger:
        names = [event.name for event in ledger.entries()]
        assert names[: len(seen)] == seen or ledger.first > first
        assert names[: len(acknowledged) - ledger.first + 1] == acknowledged[ledger.first - 1 :]
        assert names == [f"m{seq}" for seq in range(ledger.first, ledger.head + 1)]
        found = ledger.verify()
        assert (found.sound, found.problems) == (True, [])
        start = ledger.start()
        if start is not None:
            assert start.states == [b'{"head":%d}' % start.seq]
        assert ledger.first == 1 or ledger.start(ledger.first - 1) is not None
        head = ledger.head
        ledger.append([Mark(name=f"m{head + 1}")])
        assert ledger.rotate([b'{"head":%d}' % ledger.head])
        ledger.pack()
        assert [event.name for event in ledger.entries(after=head)] == [f"m{head + 1}"]
        ledger.check()
    assert not list(path.glob("*.new"))
    with Ledger.open(path, "r") as reader:
        assert reader.verify().sound


@pytest.mark.parametrize("before", ["nothing", "file"])
def test_a_process_that_dies_at_any_step(folder: Path, hasty: Any, before: str) -> None:
    done: list[str] = []
    for nth in itertools.count(1):
        path = folder / str(nth) / "x.ledger"
        path.parent.mkdir()
        acknowledged = []
        if before == "file":
            acknowledged = ["m1", "m2"]
            with Ledger.open(path, durability="none", disk=hasty, clock=tick) as ledger:
                ledger.append([Mark(name="m1"), Mark(name="m2")])
        disk = SteppingDisk(nth, "kill")
        story = Story(path, disk, "none")
        story.acknowledged = acknowledged
        try:
            story.tell()
        except Killed:
            check_what_is_left(path, story.acknowledged)
            done = disk.done
        else:
            assert story.errors == []
            assert nth == disk.steps + 1
            check_what_is_left(path, story.acknowledged)
            break
    assert set(CHANGING) - {"truncate"} - ({"replace"} if before == "nothing" else {"make_folder"}) <= set(done)


@pytest.mark.parametrize("durability", ["none", "commit"])
def test_a_step_that_fails_once(folder: Path, hasty: Any, durability: str) -> None:
    for nth in itertools.count(1):
        path = folder / str(nth) / "x.ledger"
        path.parent.mkdir()
        disk = SteppingDisk(nth, "fail")
        story = Story(path, disk, durability)
        story.tell()
        if disk.steps < nth:
            break
        kept = story.acknowledged
        with Ledger.open(path, "r", disk=hasty) as reader:
            there = {event.name for event in reader.entries()}
            assert all(name in there for name in kept if int(name[1:]) >= reader.first), (nth, disk.done)
            found = reader.verify()
            assert (found.sound, found.problems) == (True, []), (nth, disk.done)
    assert len(kept) >= 8


# --- one rotation ----------------------------------------------------------------------------------------------------


@pytest.fixture
def ledger(path: Path, hasty: Any) -> Iterator[Ledger]:
    with Ledger.open(path, durability="none", disk=hasty, segmented=True) as ledger:
        yield ledger


def test_a_segment_without_events_goes_on(ledger: Ledger, marks: Callable[..., list[Mark]]) -> None:
    assert not ledger.rotate()
    ledger.append(marks("a"))
    assert ledger.rotate()
    assert not ledger.rotate()
    assert Path(ledger.tip).name == "000002.ledger"
    assert ledger.grown == 0


def test_states_of_another_head_are_refused(ledger: Ledger, marks: Callable[..., list[Mark]]) -> None:
    ledger.append(marks("a", "b"))
    with pytest.raises(Conflict, match="at seq 2, not at 1"):
        ledger.rotate([b"{}"], expected_seq=1)
    assert Path(ledger.tip).name == "000001.ledger"


def test_what_has_come_since_the_states_follows_them(
    ledger: Ledger, marks: Callable[..., list[Mark]]
) -> None:
    ledger.append(marks("a", "b"))
    assert ledger.rotate([b'{"upto":1}', b"2"], since=lambda head: [b'{"head":%d}' % head])
    assert ledger.start() == (2, [b'{"upto":1}', b"2", b'{"head":2}'])


@pytest.mark.parametrize("state", [b"{", b"", b"[1,\n2]", b"\xff", b'"' + b"x" * 2**24 + b'"'])
def test_a_state_that_is_no_line(ledger: Ledger, marks: Callable[..., list[Mark]], state: bytes) -> None:
    ledger.append(marks("a"))
    with pytest.raises(InvalidEvent, match="a part of a checkpoint"):
        ledger.rotate([b"1", state])
    with pytest.raises(InvalidEvent, match="a part of a checkpoint"):
        ledger.rotate([b"1"], since=lambda head: [state])
    ledger.append(marks("b"))
    assert ledger.rotate([b"1"])
    assert ledger.verify().sound


def test_a_file_and_a_ledger_in_memory_have_no_segments(path: Path, marks: Callable[..., list[Mark]]) -> None:
    with Ledger.open(path) as file, Ledger.memory() as memory:
        for ledger in (file, memory):
            ledger.append(marks("a"))
            assert not ledger.rotate()
            assert (ledger.pack(), ledger.drop(2**62), ledger.segmented) == ([], [], False)
            assert (ledger.first, ledger.start(), ledger.began) == (1, None, ledger.created)
            assert 0 < ledger.grown < ledger.bytes_on_disk


def test_a_full_disk(path: Path, faulty: Any, marks: Callable[..., list[Mark]]) -> None:
    """No room for the next segment: this one goes on, and what was begun of the other is gone."""
    with Ledger.open(path, durability="none", disk=faulty, segmented=True) as ledger:
        ledger.append(marks("a"))
        faulty.space = 700
        with pytest.raises(WriteFailed, match="no segment could be begun after it"):
            ledger.rotate([b'"' + b"x" * 900 + b'"'])
        assert ledger.failure is None
        assert sorted(each.name for each in path.iterdir()) == ["000001.ledger"]
        faulty.space = None
        ledger.append(marks("b"))
        assert ledger.rotate()
        assert ledger.verify().sound


def test_a_name_that_may_not_last_ends_the_writer(path: Path, faulty: Any, marks: Callable[..., list[Mark]]) -> None:
    """The new segment is there, but is it tomorrow? Neither segment can be gone on with: open it again to find out."""
    with Ledger.open(path, durability="interval", disk=faulty, segmented=True) as ledger:
        failed: list[str] = []
        ledger.on_durable(lambda seq: None, lambda error: failed.append(str(error)))
        ledger.append(marks("a"))
        faulty.fail["sync_folder"] = 1
        with pytest.raises(WriteFailed, match="begun and cannot be gone on with"):
            ledger.rotate()
        assert ledger.failure is not None
        assert len(failed) == 1
        with pytest.raises(WriteFailed):
            ledger.append(marks("b"))
        with ledger.reopen() as again:
            assert again.append(marks("b"))[0].seq == 2
            assert Path(again.tip).name == "000002.ledger"
            assert again.verify().sound


def test_a_failed_sync_is_made_good_in_a_rotation(path: Path, faulty: Any, marks: Callable[..., list[Mark]]) -> None:
    with Ledger.open(path, durability="interval", disk=faulty, segmented=True) as ledger:
        reached: list[int] = []
        ledger.append(marks("a"))
        ledger.sync()
        ledger.on_durable(reached.append)
        faulty.fail["sync"] = 1  # that of the seal
        assert ledger.rotate()
        assert reached
        assert ledger.durable_seq == 1
        assert ledger.verify().sound
        ledger.append(marks("b"))
        assert ledger.wait_durable(2, timeout=5)


def test_late_events_gaps_and_levels_go_on_across(path: Path, marks: Callable[..., list[Mark]]) -> None:
    with Ledger.open(path, durability="commit", segmented=True) as ledger:
        for number in range(4):
            stored = ledger.append(marks(str(number)))
            assert ledger.durable_seq == stored[0].seq
            ledger.rotate()
        ledger.append_late([Mark(seq=5, time=7, name="late")])
        ledger.rotate()
        assert ledger.seq_at(7) == 5
        assert ledger.appended == ledger.bytes_on_disk - _beginnings(path)
        ledger.check()


def _beginnings(path: Path) -> int:
    """The bytes before the first commit line of each segment, that line included."""
    total = 0
    for file in path.iterdir():
        for line in file.read_bytes().splitlines(keepends=True):
            total += len(line)
            if b'"type":"ledger.commit"' in line:
                break
    return total


# --- one writer ------------------------------------------------------------------------------------------------------


def test_a_folder_has_one_writer(path: Path, ledger: Ledger, marks: Callable[..., list[Mark]]) -> None:
    ledger.append(marks("a"))
    ledger.rotate()
    with pytest.raises(LedgerLocked):
        Ledger.open(path)
    (path.parent / "x.ledger.lock").unlink()
    with pytest.raises(LedgerLocked, match="whose lock file was removed"):
        Ledger.open(path)
    for segment in ("000001.ledger", "000002.ledger"):
        with pytest.raises(LogError):
            Ledger.open(path / segment)


def test_a_segment_is_not_written_by_itself(path: Path, marks: Callable[..., list[Mark]]) -> None:
    with Ledger.open(path, segmented=True) as ledger:
        ledger.append(marks("a"))
        ledger.rotate()
        ledger.append(marks("b"))
    for segment in ("000001.ledger", "000002.ledger"):
        before = (path / segment).read_bytes()
        with pytest.raises(LogError, match="is a segment"):
            Ledger.open(path / segment)
        assert (path / segment).read_bytes() == before
    apart = path.parent / "apart.ledger"
    apart.write_bytes((path / "000002.ledger").read_bytes())
    with pytest.raises(LogError, match="is a segment"):
        Ledger.open(apart)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_rotates_nothing(ledger: Ledger, marks: Callable[..., list[Mark]]) -> None:
    ledger.append(marks("a"))
    ledger.rotate()
    ledger.append(marks("b"))
    child = os.fork()
    if child == 0:
        code = 1
        try:
            ledger.rotate()
        except ForkedWriter:
            code = 0
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
    assert ledger.rotate()
    assert ledger.verify().sound


def test_a_folder_of_something_else_is_left_alone(path: Path) -> None:
    path.mkdir()
    (path / "thesis.tex").write_text("x")
    with pytest.raises(LogError, match=r"holds other things than a ledger, such as thesis\.tex"):
        Ledger.open(path, segmented=True)
    with pytest.raises(LogError, match="without a segment"):
        Ledger.open(path)
    assert [each.name for each in path.iterdir()] == ["thesis.tex"]


# --- beside readers --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("own", [True, False], ids=["the writer's", "another's"])
def test_a_follower_misses_nothing(path: Path, ledger: Ledger, own: bool) -> None:
    """Segments are begun, compressed and dropped behind the back of whoever follows."""
    total = 150
    source = ledger if own else Ledger.open(path, "r")
    ledger.append([Mark(name="first")])
    seen: list[int] = []
    reached = threading.Semaphore(0)

    def follow() -> None:
        for batch in source.tail(poll=0.001):
            seen.extend(event.seq for event in batch)
            for _ in batch:
                reached.release()
            if seen[-1] == total:
                return

    thread = threading.Thread(target=follow)
    thread.start()
    for number in range(2, total + 1):
        ledger.append([Mark(name=str(number))])
        if number % 7 == 0:
            ledger.rotate([b"0"])
        if number % 21 == 0:
            for _ in range(21):
                assert reached.acquire(timeout=10)
            ledger.pack()
        if number % 42 == 0:
            ledger.drop(2**62)
    thread.join(10)
    assert not thread.is_alive()
    assert seen == list(range(1, total + 1))
    assert ledger.first > 1
    if not own:
        source.close()


def test_what_comes_between_two_looks_is_not_passed_over(
    path: Path, ledger: Ledger, marks: Callable[..., list[Mark]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Events, and a segment behind them, between the look for a successor and the one for events."""
    real = FolderReader._is_followed

    def followed(*arguments: Any) -> bool:
        if ledger.head == 1:
            ledger.append(marks("b"))
            ledger.rotate()
            ledger.append(marks("c"))
        return real(*arguments)

    ledger.append(marks("a"))
    with Ledger.open(path, "r") as reader:
        tail = reader.tail(poll=0.001)
        assert [event.name for event in next(tail)] == ["a"]
        monkeypatch.setattr(FolderReader, "_is_followed", followed)
        assert [event.name for event in next(tail)] == ["b"]
        assert [event.name for event in next(tail)] == ["c"]


def test_a_reader_that_is_under_way_reads_on(
    path: Path, ledger: Ledger, marks: Callable[..., list[Mark]]
) -> None:
    for name in "abc":
        ledger.append(marks(name))
        ledger.rotate([b"0"])
    with Ledger.open(path, "r") as reader:
        batches = reader.read()
        assert [event.name for event in next(batches)] == ["a"]
        ledger.pack()
        assert [event.name for batch in batches for event in batch] == ["b", "c"]
        ledger.append(marks("d"))
        ledger.rotate()
        assert reader.head == 4
        assert reader.tip == ledger.tip


@pytest.mark.parametrize("when", ["at once", "later"])
def test_a_folder_that_is_taken_away(path: Path, ledger: Ledger, when: str) -> None:
    ledger.append([Mark(name="a")])
    ledger.rotate()
    with Ledger.open(path, "r") as reader:
        assert reader.in_place
        if when == "later":
            assert reader.head == 1
        path.rename(path.parent / "elsewhere")
        assert not ledger.in_place
        assert not reader.in_place
    (path.parent / "elsewhere").rename(path)


def test_a_writer_goes_on_in_a_folder_that_is_made_anew(path: Path, ledger: Ledger) -> None:
    ledger.append([Mark(name="a")])
    path.rename(path.parent / "elsewhere")
    assert not ledger.in_place
    with ledger.reopen() as again:
        assert (again.head, again.in_place) == (0, True)
        assert Path(again.tip).name == "000001.ledger"
    assert ledger.id != again.id
