"""Which readings of the clocks a run records, and where they stand."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ezmsg.ledger import events as ev
from ezmsg.ledger.clock import WallOnly
from ezmsg.ledger.log import Ledger
from ezmsg.ledger.projections.graph.replay import state_at
from ezmsg.ledger.projections.graph.segment_start import rotate
from ezmsg.ledger.projections.graph.state import GraphState
from ezmsg.ledger.projections.projection import fold
from ezmsg.ledger.projections.questions.timeline import Timeline
from ezmsg.ledger.runtime import spool
from ezmsg.ledger.runtime.clock_watch import SILENCE_NS, STEP_NS, ClockWatch
from ezmsg.ledger.runtime.live import LiveGraph
from ezmsg.ledger.runtime.rotation import Rotation, Rotator
from tests.fake_clock import SECOND, FakeClock
from tests.runtime.test_rotation import FullDisk

DAY = 86400


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def live(clock: FakeClock) -> Iterator[LiveGraph]:
    live = LiveGraph(Ledger.memory(clock))
    yield live
    live.check()
    assert fold(live.ledger.read(), GraphState()).digest() == live.state.digest()


def readings(live: LiveGraph) -> list[ev.ClockRead]:
    return [event for event in live.ledger.entries() if isinstance(event, ev.ClockRead)]


def kinds(live: LiveGraph) -> list[str]:
    return [
        event.reason if isinstance(event, ev.ClockRead) else ev.type_of(event) for event in live.ledger.entries()
    ]


def test_a_run_begins_and_ends_with_a_reading(live: LiveGraph, clock: FakeClock) -> None:
    clock.run(5)
    live.close()
    live.close()
    assert kinds(live) == ["start", "server.started", "stop", "server.stopped"]
    first, last = readings(live)
    assert (first.boot_id, first.time_namespace, first.host) == clock.identity()
    assert (last.boot_id, last.time_namespace, last.host) == (None, None, None)
    assert last.mono - first.mono == last.real - first.real == 5 * SECOND
    assert first.real == first.time


@pytest.mark.parametrize("seconds", [0.0011, -0.0011, 3600, -3600, 1_796_000_000, -1_700_000_000])
def test_a_step_is_on_record_before_the_first_event_after_it(
    live: LiveGraph, clock: FakeClock, seconds: float
) -> None:
    live.connect("A", "B")
    clock.run(2)
    clock.step(seconds)
    live.connect("B", "C")
    live.connect("C", "D")
    assert kinds(live)[2:] == ["edge.connected", "step", "edge.connected", "edge.connected"]
    step = readings(live)[-1]
    assert step.real == step.time == clock.real()
    assert step.mono == clock.mono()


@pytest.mark.parametrize("seconds", [0.0009, -0.0009, 0.0])
def test_less_than_a_millisecond_is_no_step(live: LiveGraph, clock: FakeClock, seconds: float) -> None:
    clock.step(seconds)
    live.connect("A", "B")
    assert kinds(live) == ["start", "server.started", "edge.connected"]
    assert STEP_NS == 1_000_000


def test_many_small_steps_are_one_in_the_end(live: LiveGraph, clock: FakeClock) -> None:
    for number in range(4):
        clock.step(0.0004)
        live.connect("A", f"B{number}")
    assert kinds(live).count("step") == 1


def test_a_suspend_is_told_apart_from_a_step(live: LiveGraph, clock: FakeClock) -> None:
    clock.suspend(3600)
    live.connect("A", "B")
    assert kinds(live)[2:] == ["suspend", "edge.connected"]
    read = readings(live)[-1]
    assert read.boot is not None
    assert read.boot - read.mono == 3600 * SECOND


def test_a_step_and_a_suspend_are_noticed_without_an_event(live: LiveGraph, clock: FakeClock) -> None:
    clock.step(5)
    live.tend()
    clock.suspend(5)
    live.tend()
    live.tend()
    assert kinds(live)[2:] == ["step", "suspend"]


def test_a_minute_of_silence_after_an_event_has_one_reading(live: LiveGraph, clock: FakeClock) -> None:
    live.connect("A", "B")
    for _ in range(200):
        live.tend()
        clock.run(1)
    assert kinds(live)[2:] == ["edge.connected", "idle"]
    live.connect("B", "C")
    for _ in range(59):
        live.tend()
        clock.run(1)
    assert kinds(live)[-1] == "edge.connected"
    clock.run(2)
    live.tend()
    assert kinds(live)[-1] == "idle"
    assert SILENCE_NS == 60 * SECOND


def test_ids_of_a_batch_are_right_when_a_reading_comes_before_it(live: LiveGraph, clock: FakeClock) -> None:
    """A request that nobody can serve is answered in the same append, by the id that it gets there."""
    session = live.open_session()
    clock.step(-30)
    request, process = live.route_request(session, "r", "NOBODY", "PING", None)
    routed, answered = list(live.ledger.entries())[-2:]
    assert kinds(live)[-3:] == ["step", "request.routed", "request.answered"]
    assert isinstance(routed, ev.RequestRouted)
    assert isinstance(answered, ev.RequestAnswered)
    assert (routed.seq, answered.request, process) == (request, request, None)


def test_what_is_opened_after_a_step_has_its_own_id(live: LiveGraph, clock: FakeClock) -> None:
    clock.step(100)
    session = live.open_session(label="viewer")
    clock.step(-100)
    process = live.open_process()
    clock.step(1)
    endpoint = live.open_endpoint(ev.SubscriberOpened(uuid="e", topic="A"))
    assert set(live.state.sessions) == {session}
    assert set(live.state.processes) == {process}
    assert set(live.state.endpoints) == {endpoint}


def test_an_event_has_the_time_of_the_reading_before_it(live: LiveGraph, clock: FakeClock) -> None:
    clock.step(7)
    live.connect("A", "B")
    step, edge = list(live.ledger.entries())[-2:]
    assert step.time == edge.time == clock.real()


def test_a_lost_turn_is_no_step() -> None:
    """Between the two clocks of an append the process can be stopped; that is not the wall clock being set."""

    class Stopped(FakeClock):
        pause = 0.0

        def real(self) -> int:
            now = super().real()
            pause, self.pause = self.pause, 0.0
            self.run(pause)
            return now

    clock = Stopped()
    live = LiveGraph(Ledger.memory(clock))
    clock.pause = 0.5
    live.connect("A", "B")
    assert kinds(live) == ["start", "server.started", "edge.connected"]


def test_a_wall_clock_alone_has_no_readings() -> None:
    live = LiveGraph(Ledger.memory(clock=lambda: 5))
    live.connect("A", "B")
    live.tend()
    live.close()
    assert kinds(live) == ["server.started", "edge.connected", "server.stopped"]
    watch = ClockWatch(WallOnly(lambda: 5))
    assert watch.readings("start") == []
    assert watch.age(2) == 3


# --- while nothing can be written ------------------------------------------------------------------------------------


def test_a_step_while_the_disk_is_full_is_written_late(clock: FakeClock, tmp_path: Path) -> None:
    disk = FullDisk()
    live = LiveGraph(Ledger.open(tmp_path / "x.ledger", disk=disk, clock=clock), served=True)
    disk.full = True
    live.connect("A", "B")
    assert live.degraded is not None
    clock.step(-3600)
    live.connect("B", "C")
    disk.full = False
    live.tend(at_once=True)
    assert live.degraded is None
    assert kinds(live)[2:] == ["edge.connected", "step", "edge.connected", "gap"]
    live.check()
    live.ledger.close()


def test_after_lost_events_the_clocks_are_read_again(
    clock: FakeClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool, "QUEUE_MAX", 0)
    disk = FullDisk()
    live = LiveGraph(Ledger.open(tmp_path / "x.ledger", disk=disk, clock=clock), served=True)
    disk.full = True
    clock.step(-3600)
    session = live.open_session(label="late")
    live.connect("A", "B", session)
    disk.full = False
    live.tend(at_once=True)
    assert live.degraded is None
    assert kinds(live)[2:5] == ["gap", "gap", "session.opened"]
    again = readings(live)[-1]
    assert (again.boot_id, again.mono) == (clock.boot_id, clock.mono())
    live.connect("B", "C", session)
    assert kinds(live)[-1] == "edge.connected", "the step is on record already"
    live.check()
    assert state_at(live.ledger).digest() == live.state.digest()
    live.ledger.close()


# --- spans of the rotator ---------------------------------------------------------------------------------------------


def tend(rotator: Rotator, live: Any, clock: FakeClock) -> None:
    rotator._housework_at = rotator._not_before = 0.0
    live.tend()
    rotator.tend(live)
    if rotator._thread is not None:
        rotator._thread.join(30)
        assert not rotator._thread.is_alive()


def names(live: LiveGraph) -> list[str]:
    return sorted(path.name for path in Path(live.ledger.location).iterdir())


@pytest.mark.parametrize("step", [-10 * DAY, 10 * DAY])
def test_rotation_by_span_counts_what_passed(clock: FakeClock, tmp_path: Path, step: float) -> None:
    live = LiveGraph(Ledger.open(tmp_path / "x.ledger", clock=clock, segmented=True), served=True)
    rotator = Rotator(Rotation(every=3600 * SECOND))
    clock.step(step)
    live.connect("A", "B")
    tend(rotator, live, clock)
    assert names(live) == ["000001.ledger"]
    clock.run(3601)
    tend(rotator, live, clock)
    assert names(live) == ["000001.ledger", "000002.ledger"]
    live.connect("B", "C")
    clock.step(-step)
    tend(rotator, live, clock)
    assert len(names(live)) == 2
    clock.run(3601)
    tend(rotator, live, clock)
    assert len(names(live)) == 3
    live.ledger.close()


def test_retention_does_not_take_a_step_for_age(clock: FakeClock, tmp_path: Path) -> None:
    """A wall clock that jumps ten days ahead would have had all that is kept for a day removed."""
    live = LiveGraph(Ledger.open(tmp_path / "x.ledger", clock=clock, segmented=True), served=True)
    rotator = Rotator(Rotation(size=10**9, keep=DAY * SECOND))
    live.connect("A", "B")
    assert rotate(live.ledger)
    clock.step(10 * DAY)
    tend(rotator, live, clock)
    assert names(live) == ["000001.ledger", "000002.ledger"]
    clock.run(DAY + 1)
    tend(rotator, live, clock)
    assert names(live) == ["000002.ledger"]
    live.ledger.close()


@pytest.mark.parametrize("step", [10 * DAY, -10 * DAY])
def test_retention_counts_the_time_since_an_earlier_run(clock: FakeClock, tmp_path: Path, step: float) -> None:
    """The clock was set while nobody recorded: by it the segment is ten days old, or not born yet."""
    path = tmp_path / "x.ledger"
    earlier = LiveGraph(Ledger.open(path, clock=clock, segmented=True), served=True)
    earlier.connect("A", "B")
    clock.run(60)
    assert rotate(earlier.ledger)
    earlier.connect("B", "C")
    earlier.tend()
    earlier.close()
    earlier.ledger.close()
    clock.step(step)
    live = LiveGraph(Ledger.open(path, clock=clock, segmented=True), served=True)
    rotator = Rotator(Rotation(size=10**9, keep=DAY * SECOND))
    clock.run(3600)
    tend(rotator, live, clock)
    assert names(live) == ["000001.ledger", "000002.ledger"]
    clock.run(DAY)
    tend(rotator, live, clock)
    assert names(live) == ["000002.ledger"]
    live.ledger.close()


def test_the_age_of_a_wall_time_across_steps(clock: FakeClock) -> None:
    watch = ClockWatch(clock)
    watch.note(watch.readings("start"))
    before = clock.real()
    clock.run(10)
    clock.step(1000)
    assert watch.now()[1]
    watch.note(watch.readings())
    after = clock.real()
    clock.run(5)
    assert watch.age(after) == 5 * SECOND
    assert watch.age(before) == 15 * SECOND
    assert watch.age(before - 3 * SECOND) == 18 * SECOND, "before the run wall time is all there is"


def test_what_is_left_of_a_folder_has_a_reading(clock: FakeClock, tmp_path: Path) -> None:
    """The segments before are gone, and the readings in them; a quiet rig begins no segments for readings alone."""
    live = LiveGraph(Ledger.open(tmp_path / "x.ledger", clock=clock, segmented=True), served=True)
    rotator = Rotator(Rotation(every=3600 * SECOND))
    live.connect("A", "B")
    clock.run(3601)
    tend(rotator, live, clock)
    for _ in range(5):
        clock.run(3601)
        tend(rotator, live, clock)
    assert len(names(live)) <= 3
    rotate(live.ledger)
    first = live.ledger.head + 1
    live.connect("B", "C")
    clock.run(1)
    live.tend()
    clock.run(9)
    clock.step(-500)
    live.connect("C", "D")
    live.ledger.drop(2**62)
    timeline = Timeline(live.ledger, index=False)
    assert timeline.ledger.first == first
    assert timeline.elapsed(first, live.ledger.head) == (10 * SECOND, "mono")
    live.ledger.close()
