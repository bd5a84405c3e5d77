"""The index file: disposable, bound to its ledger, never believed when it is damaged."""

import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ezmsg.ledger import events as ev
from ezmsg.ledger.log import Ledger
from ezmsg.ledger.projections.graph.state import GraphState
from ezmsg.ledger.projections.lifetimes import archive, index_file
from ezmsg.ledger.projections.lifetimes import index as index_format
from ezmsg.ledger.projections.lifetimes.columns import CODES, GROWING
from ezmsg.ledger.projections.lifetimes.index import FIRST, VERSION, open_index
from ezmsg.ledger.projections.lifetimes.index_file import standing
from ezmsg.ledger.projections.projection import fold
from ezmsg.ledger.projections.questions.timeline import Timeline
from ezmsg.ledger.storage.disk import OS_DISK
from ezmsg.ledger.storage.reading import reader

pytestmark = pytest.mark.usefixtures("small_steps")


def grow(path: Path, number: int) -> None:
    with Ledger.open(path, durability="none") as ledger:
        for place in range(ledger.head, ledger.head + number):
            ledger.append([ev.EdgeConnected(from_topic=f"A{place}", to_topic=f"B{place}", owner=None)])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "x.ledger"
    grow(found, 60)
    return found


def answer(path: Path, seq: int = 55) -> str:
    with Ledger.open(path, "r") as ledger:
        digest = Timeline(ledger).at(seq).digest()
        assert digest == fold(ledger.read(until=seq), GraphState()).digest()
        found = Timeline(ledger).when("edge A3 -> B3")
        assert (found.first, found.now) == (4, True)
    return digest


def index(path: Path) -> Path:
    return Path(f"{path}.index")


def test_a_short_ledger_needs_none(tmp_path: Path) -> None:
    short = tmp_path / "short.ledger"
    grow(short, 19)
    answer(short, 15)
    assert not index(short).exists()


def test_it_is_made_once_and_belongs_to_its_owner_alone(path: Path) -> None:
    answer(path)
    before = index(path).stat()
    answer(path)
    assert index(path).stat().st_mtime_ns == before.st_mtime_ns
    assert sys.platform == "win32" or before.st_mode & 0o077 == 0
    assert sorted(os.listdir(path.parent)) == ["x.ledger", "x.ledger.index", "x.ledger.lock"]


def test_with_one_nothing_but_the_rest_is_read(path: Path) -> None:
    answer(path)
    calls: list[tuple[int, int]] = []
    with Ledger.open(path, "r") as ledger:
        looked = Timeline(ledger, progress=lambda seq, head: calls.append((seq, head)))
        looked.when("edge A3 -> B3")
        assert calls == []
    grow(path, 5)
    with Ledger.open(path, "r") as ledger:
        looked = Timeline(ledger, progress=lambda seq, head: calls.append((seq, head)))
        looked.when("edge A62 -> B62")
    assert calls[-1] == (65, 65)


def test_a_first_look_reads_all_events_once(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    with Ledger.open(path, "r") as ledger:
        whole = ledger.read

        def count(after: int = 0, until: int | None = None) -> Iterator[list[Any]]:
            for batch in whole(after, until):
                read.extend(event.seq for event in batch)
                yield batch

        monkeypatch.setattr(ledger, "read", count)
        looked = Timeline(ledger)
        assert looked.landmarks.seq == 60
        assert looked.asked(lambda told: told.has_edge(("A3", "B3"), 50))
    assert read == list(range(1, 61))


@pytest.mark.parametrize("version", [VERSION - 1, VERSION + 1])
def test_one_of_another_version_is_not_read_but_made_anew(
    path: Path, version: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        for module in (index_format, index_file):
            patch.setattr(module, "VERSION", version)
        answer(path)
    with Ledger.open(path, "r") as ledger:
        assert open_index(OS_DISK, str(index(path)), ledger.id) is None
        assert (Timeline(ledger).session_lives.seq, Timeline(ledger).asked(lambda told: told.seq)) == (60, 60)
        made = open_index(OS_DISK, str(index(path)), ledger.id)
        assert made is not None
        assert made.head.version == VERSION
    answer(path)


def in_memory(path: Path) -> list[int]:
    """The rows of lifetimes that were in memory after each batch that was read to make an index, and at the end."""
    found = []

    def count(seq: int, head: int) -> None:
        lifetimes = told._archive._lifetimes
        assert lifetimes is not None
        columns = [lifetimes.column(name) for name in GROWING]
        found.append(sum(len(column._full[place] or ()) for column in columns for place in range(len(column._full))))

    with Ledger.open(path, "r") as ledger:
        told = Timeline(ledger, progress=count)
        told.when("edge A3 -> B3")
        count(0, 0)
    return found


def test_a_long_one_is_made_in_steps_that_take_no_more_memory_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "STEP", 200)
    monkeypatch.setattr(reader, "PIECE", 4096)
    most = []
    for number in (1000, 4000):
        path = tmp_path / f"{number}.ledger"
        grow(path, number)
        rows = in_memory(path)
        assert rows[-1] < 200, "all that is in the file is left there"
        most.append(max(rows))
        assert answer(path)
    assert most[1] < 1.5 * most[0]


def mapped(path: Path) -> int:
    """The bytes of a file's mappings that this process has in memory."""
    found, ours = 0, False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if not line.split(" ")[0].endswith(":"):
            ours = line.endswith(str(path))
        elif ours and line.startswith("Rss:"):
            found += 1024 * int(line.split()[1])
    return found


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="Linux tells what is in memory")
def test_one_that_is_written_anew_is_not_in_memory_as_a_whole(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    grow(path, 3000)
    answer(path)
    monkeypatch.setattr(index_file, "BUFFER", 2**14)
    with Ledger.open(path, "r") as ledger:
        before = open_index(OS_DISK, str(index(path)), ledger.id)
        assert before is not None
        size, columns = index(path).stat().st_size, {name: before.column(name) for name in CODES}
        index_file.IndexFile.make(OS_DISK, f"{path}.again", ledger.id, 1, before.head.place, columns, before).close()
        assert mapped(index(path)) < size / 4
        again = open_index(OS_DISK, f"{path}.again", ledger.id)
        assert again is not None
        assert all(again.column(name) == before.column(name) for name in CODES)


@pytest.mark.parametrize(
    "question",
    [
        lambda told: told.at(1500),
        lambda told: told.why("A3 -> B3", 1500),
        lambda told: told.when("edge A3 -> B3"),
        lambda told: told.asked(lambda lifetimes: lifetimes.has_edge(("A3", "B3"), 900)),
        lambda told: told.history("A3 -> B3"),
    ],
)
def test_a_question_reads_a_small_part_of_a_long_one(path: Path, question: Callable[[Timeline], object]) -> None:
    grow(path, 2000)
    answer(path)
    with Ledger.open(path, "r") as ledger:
        told = Timeline(ledger)
        question(told)
        lifetimes = told._archive._lifetimes
        assert lifetimes is not None
        holds = [lifetimes.column(name) for name in GROWING if name.startswith(("hold", "check", "time"))]
        read = sum(block is not None for column in holds for block in column._full)
        assert 0 < read < 0.25 * sum(column.blocks for column in holds)


def test_one_that_was_given_up_in_between_is_gone_on_with(path: Path) -> None:
    def give_up(seq: int, head: int) -> None:
        if index(path).exists():
            raise KeyboardInterrupt

    grow(path, 2000)
    with Ledger.open(path, "r") as ledger, pytest.raises(KeyboardInterrupt):
        Timeline(ledger, progress=give_up).when("edge A3 -> B3")
    with Ledger.open(path, "r") as ledger:
        begun = standing(str(path), ledger.id)
        assert begun is not None
        assert 0 < begun.seq < ledger.head
        assert not begun.kept
    answer(path)
    with Ledger.open(path, "r") as ledger:
        assert standing(str(path), ledger.id) == (ledger.head, False)


def test_a_little_more_is_read_and_much_more_is_kept(path: Path) -> None:
    answer(path)
    before = index(path).read_bytes()
    grow(path, 10)
    answer(path, 68)
    assert index(path).read_bytes() == before
    grow(path, 30)
    answer(path, 95)
    assert index(path).read_bytes() != before
    found = open_index(OS_DISK, str(index(path)), Ledger.open(path, "r").id)
    assert found is not None
    assert found.head.seq == 100


def test_every_damaged_byte_is_noticed_or_does_not_matter(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "ezmsg.ledger")
    expected = answer(path)
    sound = index(path).read_bytes()
    step = max(1, len(sound) // 60)
    for place in [*range(0, FIRST, 11), *range(FIRST, len(sound), step)]:
        data = bytearray(sound)
        data[place] ^= 0x10
        index(path).write_bytes(data)
        assert answer(path) == expected
    assert "damaged" in caplog.text


@pytest.mark.parametrize("size", [0, 1, FIRST, 1000, -9])
def test_a_torn_one_is_done_without_and_made_anew(path: Path, size: int, caplog: pytest.LogCaptureFixture) -> None:
    answer(path)
    sound = index(path).read_bytes()
    index(path).write_bytes(sound[:size])
    caplog.set_level(logging.WARNING, "ezmsg.ledger")
    answer(path)
    assert "cannot be used" in caplog.text
    assert len(index(path).read_bytes()) == len(sound)


def test_that_of_another_ledger_is_not_believed(path: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.ledger"
    grow(other, 70)
    with Ledger.open(other, "r") as ledger:
        Timeline(ledger).at("end")
    index(path).write_bytes(index(other).read_bytes())
    answer(path)


def test_that_of_a_history_that_was_cut_back_is_not_believed(path: Path) -> None:
    whole = path.read_bytes()
    grow(path, 30)
    answer(path, 85)
    path.write_bytes(whole)  # another end of the same ledger
    grow(path, 1)
    with Ledger.open(path, "r") as ledger:
        assert Timeline(ledger).at("end").seq == 61
        assert len(Timeline(ledger).lifetimes.edges_at(61)) == 61


def test_a_timeline_that_stays_open_follows_and_notices_that_the_file_was_replaced(path: Path) -> None:
    whole = path.read_bytes()
    with Ledger.open(path, "r") as ledger:
        looked = Timeline(ledger)
        assert len(looked.lifetimes.edges_at(60)) == 60
        grow(path, 3)
        assert looked.when("edge A62 -> B62").now
        with path.open("r+b") as file:
            file.truncate(len(whole))
        assert len(looked.lifetimes.edges_at(looked.lifetimes.seq)) == 60


@pytest.mark.skipif(sys.platform == "win32", reason="no such permissions there")
def test_where_the_folder_cannot_be_written_it_goes_to_the_cache(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    monkeypatch.setenv("HOME", str(cache))
    create = OS_DISK.create

    def refuse(name: str) -> int:
        if name.startswith(str(path)):
            raise PermissionError(13, "Permission denied", name)
        return create(name)

    monkeypatch.setattr(OS_DISK, "create", refuse)
    answer(path)
    kept = [name for _, _, names in os.walk(cache) for name in names]
    with Ledger.open(path, "r") as ledger:
        assert kept == [f"{ledger.id}.index"]
        calls: list[int] = []
        Timeline(ledger, progress=lambda seq, head: calls.append(seq)).when("edge A3 -> B3")
        assert calls == []
    assert not index(path).exists()


def test_a_failing_disk_costs_the_index_and_nothing_else(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setenv("XDG_CACHE_HOME", str(path.parent / "cache"))
    monkeypatch.setattr(OS_DISK, "sync", fail)
    with Ledger.open(path, "r") as ledger:
        assert Timeline(ledger).at(55).digest() == fold(ledger.read(until=55), GraphState()).digest()
    assert [name for name in os.listdir(path.parent) if "index" in name] == []


KILLED = """
import sys
from ezmsg.ledger.storage.reading import reader
from ezmsg.ledger.storage.disk import OS_DISK
from ezmsg.ledger.log import Ledger
from ezmsg.ledger.projections.lifetimes import archive, index_file
from ezmsg.ledger.projections.lifetimes import index as index_format
from ezmsg.ledger.projections.questions.timeline import Timeline
archive.SAVE_EVERY = 20
sync = OS_DISK.sync
def wait(handle):
    print("writing", flush=True)
    sys.stdin.readline()
    sync(handle)
OS_DISK.sync = wait
with Ledger.open(sys.argv[1], "r") as ledger:
    Timeline(ledger).when("edge A3 -> B3")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="a file that is open cannot be removed there")
def test_what_a_killed_writer_left_is_swept_and_what_a_living_one_writes_is_not(path: Path) -> None:
    writer = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert writer.stdout is not None
    assert writer.stdout.readline() == "writing\n"
    being_written = Path(f"{index(path)}.{writer.pid}.new")
    unlike = Path(f"{index(path)}.mine.new")
    unlike.write_bytes(b"")
    answer(path)
    assert being_written.exists(), "it was taken from a writer that lives"
    writer.kill()
    writer.communicate()
    assert being_written.exists()
    index(path).unlink()
    answer(path)
    assert not being_written.exists()
    assert unlike.exists(), "no writer names its file so"


def test_one_that_is_interrupted_leaves_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(handle: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(OS_DISK, "sync", interrupt)
    with Ledger.open(path, "r") as ledger, pytest.raises(KeyboardInterrupt):
        Timeline(ledger).at(55)
    assert [name for name in os.listdir(path.parent) if "index" in name] == []


@pytest.fixture
def memory() -> Iterator[Ledger]:
    with Ledger.memory() as ledger:
        ledger.append([ev.EdgeConnected(from_topic=f"A{n}", to_topic=f"B{n}", owner=None) for n in range(60)])
        yield ledger


def test_a_ledger_in_memory_has_none(memory: Ledger) -> None:
    assert Timeline(memory).at(55).digest() == fold(memory.read(until=55), GraphState()).digest()
    assert not Path("memory.index").exists()
