"""When a live graph's ledger begins a new segment, and what becomes of the sealed ones."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ezmsg.ledger import Ledger
from ezmsg.ledger import events as ev
from ezmsg.ledger.errors import LogError
from ezmsg.ledger.projections import GraphState, fold
from ezmsg.ledger.projections.graph.replay import state_at
from ezmsg.ledger.projections.graph.segment_start import rotate
from ezmsg.ledger.projections.graph.views.feed_entries import FeedEntry, TopologyChanged
from ezmsg.ledger.runtime import rotation, spool
from ezmsg.ledger.runtime.live import LiveGraph
from ezmsg.ledger.runtime.rotation import Rotation, Rotator
from ezmsg.ledger.storage.disk import Disk


class FullDisk(Disk):
    """A real disk that has no space left while ``full``."""

    full = False

    def write(self, handle: int, data: bytes | memoryview, offset: int) -> int:
        if self.full:
            raise OSError(28, "No space left on device")
        return super().write(handle, data, offset)


@pytest.fixture
def disk() -> FullDisk:
    return FullDisk()


@pytest.fixture
def live(tmp_path: Path, disk: FullDisk) -> Iterator[LiveGraph]:
    ledger = Ledger.open(tmp_path / "x.ledger", disk=disk, segmented=True)
    live = LiveGraph(ledger, served=True)
    yield live
    live.close()
    live.check()
    live.ledger.close()
    with Ledger.open(tmp_path / "x.ledger", "r") as reader:
        assert reader.verify().sound
        assert state_at(reader).digest() == live.state.digest()


def segment(live: LiveGraph) -> int:
    return int(Path(live.ledger.tip).name.partition(".")[0])


def tend(rotator: Rotator, live: LiveGraph) -> None:
    """Have it do what is due, and wait for its thread."""
    rotator.tend(live)
    if rotator._thread is not None:
        rotator._thread.join(10)
        assert not rotator._thread.is_alive()


def test_nothing_is_due(live: LiveGraph) -> None:
    rotator = Rotator(Rotation(size=10**6, every=10**18, keep=10**18))
    tend(rotator, live)
    assert segment(live) == 1


def test_by_size(live: LiveGraph) -> None:
    rotator = Rotator(Rotation(size=4096))
    number = 0
    while segment(live) < 4:
        live.connect(f"A{number}", "B")
        tend(rotator, live)
        number += 1
        assert number < 200
    sizes = [file.stat().st_size for file in sorted(Path(live.ledger.location).iterdir())]
    assert all(size > 4096 for size in sizes[:-1])
    assert sizes[0] < 4096 + 600


def test_by_time(live: LiveGraph) -> None:
    ledger = live.ledger
    rotator = Rotator(Rotation(every=1))
    live.connect("A", "B")
    tend(rotator, live)
    assert segment(live) == 2
    tend(rotator, live)
    assert segment(live) == 2, "nothing has happened since"
    live.connect("B", "C")
    slow = Rotator(Rotation(every=10**15))
    tend(slow, live)
    assert segment(live) == 2
    ledger._began -= 10**15
    tend(slow, live)
    assert segment(live) == 3


def test_sealed_segments_are_compressed_and_dropped(live: LiveGraph) -> None:
    rotator = Rotator(Rotation(every=1, compress=True))
    for number in range(3):
        live.connect("A", f"B{number}")
        tend(rotator, live)
    folder = Path(live.ledger.location)
    assert sorted(file.name for file in folder.iterdir()) == [
        *(f"00000{number}.ledger.zst" for number in (1, 2, 3)),
        "000004.ledger",
    ]
    dropping = Rotator(Rotation(size=10**6, keep=1))
    tend(dropping, live)
    assert sorted(file.name for file in folder.iterdir()) == ["000004.ledger"]
    assert live.ledger.first == live.ledger.head + 1


def test_a_failure_is_told_once_and_tried_again_later(
    live: LiveGraph, disk: FullDisk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    rotator = Rotator(Rotation(every=1))
    live.connect("A", "B")
    disk.full = True
    tend(rotator, live)
    tend(rotator, live)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert live.degraded is None, "nothing was to be recorded, so nothing could not be"
    disk.full = False
    tend(rotator, live)
    assert segment(live) == 1
    monkeypatch.setattr(rotator, "_not_before", 0.0)
    tend(rotator, live)
    assert segment(live) == 2


def test_what_was_lost_is_made_up_for_across_segments(
    live: LiveGraph, disk: FullDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool, "RETRY_S", 0.0)
    monkeypatch.setattr(spool, "QUEUE_MAX", 0)
    rotator = Rotator(Rotation(every=1))
    session = live.open_session()
    live.connect("A", "B", session)
    tend(rotator, live)
    live.connect("B", "C", session)
    tend(rotator, live)
    disk.full = True
    live.connect("C", "D", session)
    assert live.degraded is not None
    tend(rotator, live)
    assert segment(live) == 3
    disk.full = False
    live.tend()
    assert live.degraded is None
    live.check()
    live.connect("D", "E", session)
    assert rotate(live.ledger)
    state = fold(live.ledger.read(), GraphState())
    assert state.digest() == live.state.digest() == state_at(live.ledger).digest()
    assert [edge for edge, _ in state.ownership.edges()] == [("A", "B"), ("B", "C"), ("C", "D"), ("D", "E")]


def test_it_goes_on_from_what_is_left(tmp_path: Path) -> None:
    """The first run's segments are dropped: persistent edges stand, feeds and ids go on, the dead run is ended."""
    path = tmp_path / "y.ledger"
    ledger: Any = Ledger.open(path, segmented=True)
    first = LiveGraph(ledger)
    session = first.open_session(label="viewer")
    first.connect("A", "B")
    first.connect("A", "B", session)
    first.connect("B", "C", session)
    assert rotate(ledger)
    ledger.drop(2**62)
    reached = first.state.topology
    ledger.close()  # and no word of the run's end
    with Ledger.open(path) as again:
        second = LiveGraph(again)
        lost, _, started = again.entries()
        assert isinstance(lost, ev.ServerLost)
        assert lost.server == first.run
        assert second.run == started.seq
        assert second.state.ownership.graph() == {"A": ["B"], "B": []}
        assert second.opening.number(TopologyChanged) == reached
        entries: list[FeedEntry] = []
        second.on_feed = entries.extend
        second.connect("B", "C")
        assert entries[-1].number == second.state.topology > reached
        second.check()
        second.close()
        assert state_at(again).digest() == second.state.digest()


def test_a_ledger_that_is_no_folder_is_left_alone(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "z.ledger") as ledger:
        live = LiveGraph(ledger)
        Rotator(Rotation(every=1)).tend(live)
        assert (tmp_path / "z.ledger").is_file()
        live.close()


def test_compressing_that_is_stopped_leaves_all_as_it_was(
    live: LiveGraph, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    live.connect("A", "B")
    assert rotate(live.ledger)
    ledger = live.ledger
    with pytest.raises(InterruptedError):
        ledger.pack(lambda: True)
    assert sorted(file.name for file in Path(ledger.location).iterdir()) == ["000001.ledger", "000002.ledger"]
    rotator = Rotator(Rotation(every=1, compress=True))
    begun = threading.Event()

    def pack(stop: Any) -> list[str]:
        begun.set()
        assert rotator._stopping.wait(10)
        return type(ledger).pack(ledger, stop)

    monkeypatch.setattr(ledger, "pack", pack)
    live.connect("B", "C")
    rotator.tend(live)
    assert begun.wait(10)
    rotator.close()
    assert sorted(file.suffix for file in Path(ledger.location).iterdir()) == [".ledger"] * 3
    assert not caplog.records


def test_the_library_is_asked_for_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        raise LogError("no zstandard")

    monkeypatch.setattr(rotation.compression, "library", missing)
    with pytest.raises(LogError):
        Rotator(Rotation(size=10**6, compress=True))
    Rotator(Rotation(size=10**6))


def test_events_that_keep_coming_hold_no_segment_up(live: LiveGraph) -> None:
    """A segment is begun in a thread again and again, while this one appends as fast as it can."""
    rotator = Rotator(Rotation(size=5000))
    number = 0
    while segment(live) < 5:
        live.connect(f"A{number}", f"B{number % 7}")
        rotator.tend(live)
        number += 1
        assert number < 20_000
    rotator.close()
    for seq in range(live.ledger.first, live.ledger.head, 97):
        expected = fold(live.ledger.read(until=seq), GraphState()).digest()
        assert state_at(live.ledger, seq).digest() == expected
