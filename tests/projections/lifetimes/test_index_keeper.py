"""An index that is kept while a ledger grows: whatever happens to it, every answer is the one without an index."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest

from ezmsg.ledger import events as ev
from ezmsg.ledger.log import Ledger
from ezmsg.ledger.projections.graph.segment_start import rotate
from ezmsg.ledger.projections.graph.state import GraphState
from ezmsg.ledger.projections.lifetimes import archive, index_file, index_keeper
from ezmsg.ledger.projections.lifetimes.index_file import standing
from ezmsg.ledger.projections.lifetimes.index_keeper import IndexKeeper
from ezmsg.ledger.projections.projection import fold
from ezmsg.ledger.projections.questions.timeline import Timeline
from ezmsg.ledger.storage.disk import OS_DISK, Disk

pytestmark = pytest.mark.usefixtures("small_steps")

SEEDS, LONG_SEEDS = 12, 300
KILLS_LONG = 400
PATIENCE_S = 60.0


@pytest.fixture(autouse=True)
def no_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An index that cannot be beside its ledger is in the cache: of each test its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(index_keeper, "ROOM_MIN", 0)


def dump(location: Path, index: bool) -> dict[str, Any]:
    """All that a ledger's lifetimes, landmarks and checkpoints say, in one form, whatever they were made from."""
    with Ledger.open(location, "r") as ledger:
        told = Timeline(ledger, index=index)
        lifetimes = told.lifetimes
        head, first = ledger.head, ledger.first
        edges = lifetimes.edges()
        moments = range(first - 1, head + 1, max(1, (head - first) // 7))
        kinds = {kind for kind, _ in lifetimes.keys}
        return {
            "seq": lifetimes.seq,
            "edges": edges,
            "topics": lifetimes.topics,
            "holds": [lifetimes.holds_on(edge) for edge in edges],
            "spans": lifetimes.spans_of(range(len(edges))),
            "facts": {kind: lifetimes.facts(kind) for kind in sorted(kinds)},
            "keys": lifetimes.keys,
            "times": [(lifetimes.time_of(seq), told.landmarks.seq_at(lifetimes.time_of(seq))) for seq in moments],
            "landmarks": msgspec.json.decode(told.landmarks.sections()[0]),
            "sessions": (told.session_lives.lives, told.session_lives.runs),
            "live": [sorted(lifetimes.edges_at(seq).items()) for seq in moments],
            "states": [told.at(seq).digest() for seq in moments if seq >= first],
        }


def check(location: Path) -> None:
    """What is told with the index that is there is what is told without one."""
    assert dump(location, index=True) == dump(location, index=False)


class Recording:
    """A ledger that is written to from a legal history of all kinds of events."""

    def __init__(self, location: Path, events: list[Any], segmented: bool = False) -> None:
        self.location = location
        self._events = events
        self._segmented = segmented
        self.clock = 10**9
        self.open()

    def open(self) -> None:
        self.ledger = Ledger.open(
            self.location, durability="none", clock=lambda: self.clock, segmented=self._segmented
        )

    def append(self, number: int) -> None:
        for event in self._events[self.ledger.head : self.ledger.head + number]:
            self.clock += 3
            unstamped = {name: getattr(event, name) for name in event.__struct_fields__} | {"seq": 0, "time": 0}
            self.ledger.append([type(event)(**unstamped)])


@pytest.fixture(scope="module")
def long_history(history: Any) -> Callable[[int], list[Any]]:
    """A legal history from a seed: some 600 events, without losses, so that seqs are places."""
    kinds = [
        *("connect",) * 8, *("disconnect",) * 5, "open_session", "open_session", "close_session", "clear", "register",
        "graph_clear", "open_process", "register_process", "change_units", "close_process", "update", "update", "route",
        "answer", "publisher", "subscriber", "close_endpoint", "stall", "pause", "mark", "reject", "restart",
    ]  # fmt: skip

    def write(seed: int) -> list[Any]:
        random = Random(seed)
        return list(history([(random.choice(kinds), *(random.randrange(12) for _ in range(3))) for _ in range(900)]))

    return write


# --- whatever happens to it ------------------------------------------------------------------------------------------


class Story:
    """A recorder, a keeper, readers, and a hostile world, in the order of a seed."""

    def __init__(self, folder: Path, events: list[Any], random: Random, full: list[bool]) -> None:
        self.random = random
        self.full = full
        self.segmented = random.random() < 0.4
        self.recording = Recording(folder / "x.ledger", events, self.segmented)
        self.location = self.recording.location
        self.index = Path(f"{self.location}.index")
        self.keeper = self._keeper()

    def _keeper(self) -> IndexKeeper:
        return IndexKeeper(str(self.location), threading.Event())

    def append(self) -> None:
        self.recording.append(self.random.randrange(1, 60))

    def keep(self) -> None:
        self.keeper._step()

    def finish(self) -> None:
        """The recording ends, and goes on later."""
        self.recording.ledger.close()
        self.keeper._step(over=True)
        self.keeper._forget()
        if not self.full[0]:
            check(self.location)
        self.recording.open()
        self.keeper = self._keeper()

    def kill_keeper(self) -> None:
        kept = self.keeper._archive
        if kept is not None and kept._file is not None:
            os.close(kept._file._handle)  # and nothing else that a process does which ends in good order
            kept._file = None
        self.keeper = self._keeper()

    def look(self) -> None:
        check(self.location)

    def delete(self) -> None:
        self.index.unlink(missing_ok=True)

    def spoil(self) -> None:
        """One bit of the index is another one."""
        if self.index.exists() and (size := self.index.stat().st_size):
            with self.index.open("r+b") as file:
                place = self.random.randrange(size)
                file.seek(place)
                old = file.read(1)
                file.seek(place)
                file.write(bytes([old[0] ^ 1 << self.random.randrange(8)]))

    def tear(self) -> None:
        """A power cut took what was added to the index last: zeros are there."""
        if self.index.exists() and (size := self.index.stat().st_size) > 1000:
            with self.index.open("r+b") as file:
                start = self.random.randrange(size // 2, size)
                file.seek(start)
                file.write(bytes(size - start))

    def cut_back(self) -> None:
        """A power cut took the end of the ledger, which goes on in another way."""
        if self.segmented or self.recording.ledger.head < 30:
            return
        self.recording.ledger.close()
        data = self.location.read_bytes()
        lines = data.splitlines(keepends=True)
        ends = [place for place, line in enumerate(lines) if b'"ledger.commit"' in line]
        self.location.write_bytes(b"".join(lines[: ends[-self.random.randrange(2, 20)] + 1]))
        self.recording.open()
        self.recording.ledger.append([ev.Mark(name="another history")])
        self.recording._events.insert(self.recording.ledger.head - 1, ev.Mark(name="another history"))

    def rotate(self) -> None:
        if self.segmented:
            rotate(self.recording.ledger)

    def drop(self) -> None:
        if self.segmented and len(list(self.location.glob("*.ledger"))) > 2:
            self.recording.ledger.drop(2**62)

    def fill(self) -> None:
        self.full[0] = not self.full[0]


DEEDS = (
    *("append",) * 6, *("keep",) * 5, "finish", "kill_keeper", "look", "look", "delete", "spoil", "tear", "rotate",
    "drop", "fill",
)  # fmt: skip


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether the disk has no room for an index: some of a write is done, and then no more."""
    is_full = [False]
    write = OS_DISK.write

    def refuse(handle: int, data: bytes | memoryview, offset: int) -> int:
        if is_full[0] and os.readlink(f"/proc/self/fd/{handle}").rpartition("/")[2].find(".index") >= 0:
            if len(data) > 16:
                return write(handle, memoryview(data)[: len(data) // 2], offset)
            raise OSError(28, "No space left on device")
        return write(handle, data, offset)

    monkeypatch.setattr(OS_DISK, "write", refuse)
    return is_full


def tell(seed: int, folder: Path, events: list[Any], full: list[bool]) -> set[str]:
    story = Story(folder, events, Random(seed), full)
    done = set()
    for _ in range(60):
        deed = story.random.choice(DEEDS)
        getattr(story, deed)()
        done.add(deed)
    full[0] = False
    story.look()
    story.finish()
    story.keeper._forget()
    story.recording.ledger.close()
    return done


@pytest.mark.skipif(sys.platform != "linux", reason="a handle's name is asked for")
@pytest.mark.parametrize("seed", range(SEEDS))
def test_whatever_happens_no_answer_differs(
    seed: int, tmp_path: Path, long_history: Callable[[int], list[Any]], full: list[bool]
) -> None:
    tell(seed, tmp_path, long_history(seed), full)


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.skipif(sys.platform != "linux", reason="a handle's name is asked for")
def test_whatever_happens_no_answer_differs_for_long(
    tmp_path: Path, long_history: Callable[[int], list[Any]], full: list[bool]
) -> None:
    for seed in range(1000, 1000 + LONG_SEEDS):
        folder = tmp_path / str(seed)
        folder.mkdir()
        tell(seed, folder, long_history(seed), full)


# --- as it grows -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("restarts", [False, True])
def test_it_grows_with_the_ledger(
    seed: int, restarts: bool, tmp_path: Path, long_history: Callable[[int], list[Any]]
) -> None:
    """One file, to which only what is new is added, also by a keeper that goes on with what another one left."""
    random = Random(seed)
    recording = Recording(tmp_path / "x.ledger", long_history(seed))
    keeper = IndexKeeper(str(recording.location), threading.Event())
    numbers, files = set(), set()
    while recording.ledger.head < len(recording._events):
        recording.append(random.randrange(10, 50))
        keeper._step(over=restarts)
        if restarts:
            keeper._forget()
        kept = standing(str(recording.location), recording.ledger.id)
        if kept is not None:
            assert kept.kept is not restarts
            numbers.add(kept.seq)
            files.add(os.stat(f"{recording.location}.index").st_ino)
    recording.ledger.close()
    keeper._step(over=True)
    keeper._forget()
    kept = standing(str(recording.location), recording.ledger.id)
    assert kept == (len(recording._events), False)
    assert len(files) == 1
    assert len(numbers) > 5
    before = Path(f"{recording.location}.index").read_bytes()
    check(recording.location)
    assert Path(f"{recording.location}.index").read_bytes() == before, "nothing was left to add"


def test_it_is_made_anew_when_most_of_it_is_out_of_date(
    tmp_path: Path, long_history: Callable[[int], list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "WASTE_MIN", 0)
    recording = Recording(tmp_path / "x.ledger", long_history(1))
    keeper = IndexKeeper(str(recording.location), threading.Event())
    made = []
    make = index_file.IndexFile.make
    monkeypatch.setattr(index_file.IndexFile, "make", lambda *args: made.append(1) or make(*args))
    added = 0
    while recording.ledger.head < len(recording._events):
        recording.append(25)
        keeper._step()
        added += 1
        if added % 7 == 0:
            check(recording.location)
    keeper._forget()
    assert 1 < len(made) < added
    monkeypatch.setattr(archive, "WASTE_SHARE", 0)
    recording.ledger.append([ev.Mark(name="last")])
    recording.ledger.close()
    before = len(made)
    keeper._step(over=True)
    keeper._forget()
    assert len(made) == before, "nobody waits for that when the recording has ended"
    check(recording.location)


def test_a_short_ledger_needs_none(tmp_path: Path, long_history: Callable[[int], list[Any]]) -> None:
    recording = Recording(tmp_path / "x.ledger", long_history(1))
    recording.append(archive.SAVE_EVERY - 1)
    recording.ledger.close()
    IndexKeeper(str(recording.location), threading.Event())._step(over=True)
    assert not Path(f"{recording.location}.index").exists()


def test_the_last_room_on_a_disk_is_for_the_ledger(
    tmp_path: Path, long_history: Callable[[int], list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = Recording(tmp_path / "x.ledger", long_history(1))
    recording.append(200)
    monkeypatch.setattr(index_keeper, "ROOM_MIN", 2**62)
    keeper = IndexKeeper(str(recording.location), threading.Event())
    keeper._step(over=True)
    assert standing(str(recording.location), recording.ledger.id) is None
    keeper._forget()
    monkeypatch.setattr(index_keeper, "ROOM_MIN", 0)
    keeper._step(over=True)
    assert standing(str(recording.location), recording.ledger.id) == (200, True)
    keeper._forget()
    recording.ledger.close()


def test_one_that_is_far_behind_delays_no_end(
    tmp_path: Path, long_history: Callable[[int], list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index_keeper, "LEFT_MAX", -1)
    recording = Recording(tmp_path / "x.ledger", long_history(1))
    recording.append(200)
    recording.ledger.close()
    stop = threading.Event()
    stop.set()
    IndexKeeper(str(recording.location), stop).run()
    assert not Path(f"{recording.location}.index").exists()
    check(recording.location)


# --- killed at any moment --------------------------------------------------------------------------------------------


def dying(disk: Disk, number: int) -> None:
    """Let this process die at the call with this number that changes something; of a write, half is done."""
    left = [number]

    def wrap(name: str) -> None:
        call = getattr(disk, name)

        def counted(*args: Any) -> Any:
            left[0] -= 1
            if left[0] < 0:
                if name == "write":
                    call(args[0], memoryview(args[1])[: len(args[1]) // 2], args[2])
                os._exit(9)
            return call(*args)

        setattr(disk, name, counted)

    for name in ("create", "write", "sync", "truncate", "replace", "remove", "sync_folder"):
        wrap(name)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked")
@pytest.mark.parametrize("what", ["made", "added to", "made anew"])
def test_killed_at_any_call(
    what: str, tmp_path: Path, long_history: Callable[[int], list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = Recording(tmp_path / "x.ledger", long_history(3))
    recording.append(300)
    index = Path(f"{recording.location}.index")
    if what != "made":
        check(recording.location)
        recording.append(200)
    if what == "made anew":
        monkeypatch.setattr(archive, "WASTE_MIN", 0)
        monkeypatch.setattr(archive, "WASTE_SHARE", 0)
    monkeypatch.setattr(index_file, "BUFFER", 8192)
    recording.ledger.close()
    expected = dump(recording.location, index=False)
    before = index.read_bytes() if index.exists() else None
    for number in range(1000):
        child = os.fork()
        if child == 0:
            try:
                dying(OS_DISK, number)
                IndexKeeper(str(recording.location), threading.Event())._step(over=what != "made anew")
                os._exit(0)
            finally:
                os._exit(1)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        assert code in (0, 9)
        with monkeypatch.context() as patch:
            patch.setattr(archive, "SAVE_EVERY", 10**9)  # looking leaves what was found
            assert dump(recording.location, index=True) == expected, number
        if code == 0:
            break
        if before is None:
            index.unlink(missing_ok=True)
        else:
            index.write_bytes(before)
    assert code == 0
    assert number > 5
    found = standing(str(recording.location), recording.ledger.id)
    assert found is not None
    assert found.seq == expected["seq"]


SMALL = """
import sys
from ezmsg.ledger.projections.lifetimes import archive, builder, column, index_keeper
builder.CHECK_EVERY = builder.NOTE_EVERY = archive.CHECK_EVERY = 10
column.INTEGERS_SHIFT, column.BYTES_SHIFT = 3, 6
archive.SAVE_EVERY, archive.SAVE_SHARE, index_keeper.POLL_S, index_keeper.ROOM_MIN = 20, 10**9, 0.001, 0
"""
KEEPS = SMALL + "sys.exit(index_keeper.main(sys.argv[1:]))"
WRITES = """
import sys, time
from ezmsg.ledger.log import Ledger
from ezmsg.ledger.events import EdgeConnected, EdgeDisconnected
with Ledger.open(sys.argv[1]) as ledger:
    print("open", flush=True)
    while True:
        place = ledger.head
        edge = {"from_topic": f"A{place % 7}", "to_topic": f"B{place % 11}", "owner": None}
        ledger.append([EdgeConnected(**edge), EdgeDisconnected(**edge)])
        ledger.append([EdgeConnected(**edge), EdgeDisconnected(**edge)])
        time.sleep(0.003)  # so that what it has written can be looked at in no time
"""


def kill_all(folder: Path, times: int, random: Random) -> None:
    """A recorder, a keeper and a reader that also makes an index; the recorder, the keeper or both are killed."""
    location = folder / "x.ledger"
    keeper: subprocess.Popen[bytes] | None = None
    writer: subprocess.Popen[bytes] | None = None
    try:
        for _ in range(times):
            if writer is None:
                writer = subprocess.Popen([sys.executable, "-c", WRITES, str(location)], stdout=subprocess.PIPE)
                assert writer.stdout is not None
                assert writer.stdout.readline() == b"open\n"
            if keeper is None:
                keeper = subprocess.Popen([sys.executable, "-c", KEEPS, str(location)], stdin=subprocess.PIPE)
            with Ledger.open(location, "r") as ledger:
                until = ledger.head + random.randrange(30, 400)
                while ledger.head < until:
                    time.sleep(0.001)
            victims = random.choice(("keeper", "recorder", "both"))
            if victims != "recorder":
                keeper.kill()
                keeper.communicate()
                keeper = None
            if victims != "keeper":
                writer.kill()
                writer.communicate()
                writer = None
                with Ledger.open(location, "r") as ledger:
                    here = fold(ledger.read(), GraphState()).digest()
                    assert Timeline(ledger).at("end").digest() == here
            with Ledger.open(location, "r") as ledger:
                seq = random.randrange(1, ledger.head)
                told, plain = Timeline(ledger), Timeline(ledger, index=False)
                assert told.at(seq).digest() == plain.at(seq).digest()
                assert told.lifetimes.edges_at(seq) == plain.lifetimes.edges_at(seq)
                assert told.when("A3 -> B3", seq).spans == plain.when("A3 -> B3", seq).spans
    finally:
        for process in (keeper, writer):
            if process is not None:
                process.kill()
                process.communicate()
    with Ledger.open(location):  # recovered
        pass
    check(location)


def test_recorder_and_keeper_are_killed(tmp_path: Path) -> None:
    kill_all(tmp_path, 8, Random(1))


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_recorder_and_keeper_are_killed_for_long(tmp_path: Path) -> None:
    for seed in range(20):
        folder = tmp_path / str(seed)
        folder.mkdir()
        kill_all(folder, KILLS_LONG // 20, Random(seed))


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[tuple[Path, "subprocess.Popen[bytes]"]]:
    """A ledger with some events, and a keeper of it, as a process."""
    location = tmp_path / "x.ledger"
    with Ledger.open(location) as ledger:
        for number in range(50):
            ledger.append([ev.Mark(name=f"{number}")])
    keeper = subprocess.Popen([sys.executable, "-c", KEEPS, str(location)], stdin=subprocess.PIPE)
    yield location, keeper
    keeper.kill()
    keeper.communicate()


def test_it_ends_with_the_recording_and_has_all_of_it(kept: tuple[Path, "subprocess.Popen[bytes]"]) -> None:
    location, keeper = kept
    with Ledger.open(location) as ledger:
        ledger.append([ev.Mark(name="last")])
        ledger_id = ledger.id
    assert keeper.stdin is not None
    keeper.stdin.close()
    assert keeper.wait(PATIENCE_S) == 0
    assert standing(str(location), ledger_id) == (51, False)


def test_others_read_what_it_keeps_and_do_not_write_it(kept: tuple[Path, "subprocess.Popen[bytes]"]) -> None:
    location, _ = kept
    with Ledger.open(location, "r") as ledger:
        ledger_id = ledger.id
    deadline = time.monotonic() + PATIENCE_S
    while (found := standing(str(location), ledger_id)) is None or not found.kept:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    check(location)
    file = os.stat(f"{location}.index").st_ino
    with Ledger.open(location) as ledger:
        for number in range(100):
            ledger.append([ev.Mark(name=f"more {number}")])
        check(location)
    while standing(str(location), ledger_id) != (150, True):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    check(location)
    assert os.stat(f"{location}.index").st_ino == file
