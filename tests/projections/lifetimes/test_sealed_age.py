"""How old sealed segments are, whatever was done to the wall clock: of earlier runs too, and where no recorder runs."""

from pathlib import Path

import pytest

from ezmsg.ledger import events as ev
from ezmsg.ledger.clock import WallOnly
from ezmsg.ledger.log import Ledger
from ezmsg.ledger.projections.graph.segment_start import rotate
from ezmsg.ledger.projections.lifetimes.sealed_age import SealedAges
from ezmsg.ledger.runtime.live import LiveGraph
from ezmsg.ledger.storage.reading.open_file import Sealed
from tests.fake_clock import SECOND, FakeClock

DAY = 86400


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "rig.ledger"


def run(path: Path, clock: FakeClock, rotations: int = 0) -> None:
    """A run of ten seconds, with rotations in it; the next one begins a second later."""
    live = LiveGraph(Ledger.open(path, clock=clock, segmented=True))
    for number in range(rotations):
        live.note(ev.Mark(name=f"mark {number}"))
        rotate(live.ledger)
        clock.run(1)
        live.note(ev.Mark(name="more"))
        live.tend()
    clock.run(10 - rotations)
    live.close()
    live.ledger.close()
    clock.run(1)


def rotated(path: Path, clock: FakeClock) -> None:
    with Ledger.open(path, clock=clock, segmented=True) as ledger:
        assert rotate(ledger)


def ages(path: Path, clock: FakeClock | WallOnly) -> list[tuple[float, str]]:
    """The age of each sealed segment in seconds, and how it is known."""
    with Ledger.open(path, clock=clock) as ledger:
        found: list[tuple[float, str]] = []
        known = SealedAges(ledger, clock)

        def is_old(sealed: Sealed) -> bool:
            age = known.age(sealed)
            assert known.age(sealed) == age
            found.append((age.ns / SECOND, age.clock))
            return True

        ledger.drop(is_old)
    return found


@pytest.mark.parametrize("step", [0, 3650 * DAY, -3650 * DAY])
def test_the_clock_was_set_after_the_run(path: Path, clock: FakeClock, step: float) -> None:
    """A battery that ran flat, or a wrong date, makes no segment old and none young."""
    run(path, clock, rotations=2)
    clock.step(step)
    clock.run(5)
    assert ages(path, clock) == [(16, "mono"), (15, "mono")]


@pytest.mark.parametrize("step", [3650 * DAY, -3650 * DAY])
def test_the_clock_was_set_within_the_run(path: Path, clock: FakeClock, step: float) -> None:
    live = LiveGraph(Ledger.open(path, clock=clock, segmented=True))
    live.note(ev.Mark(name="one"))
    rotate(live.ledger)
    clock.run(1)
    clock.step(step)
    live.note(ev.Mark(name="two"))
    clock.run(4)
    live.close()
    live.ledger.close()
    assert ages(path, clock) == [(5, "mono")]


@pytest.mark.parametrize("step", [0, 3650 * DAY, -3650 * DAY])
def test_a_segment_that_was_sealed_while_no_recorder_ran(path: Path, clock: FakeClock, step: float) -> None:
    run(path, clock)
    rotated(path, clock)
    clock.run(20)
    clock.step(step)
    run(path, clock)
    [(age, how)] = ages(path, clock)
    assert how == "mono"
    # the clock was set at some time between the two runs: that it was before the sealing cannot be excluded
    assert age == 31 if step >= 0 else 11 <= age <= 31


def test_earlier_runs_of_one_start_of_the_machine(path: Path, clock: FakeClock) -> None:
    run(path, clock, rotations=1)
    rotated(path, clock)
    clock.step(100 * DAY)
    run(path, clock)
    rotated(path, clock)
    clock.step(100 * DAY)
    run(path, clock)
    # sealed at 0 s, 11 s and 22 s of 33 s; between the runs the clock was set after the sealing, as it was
    assert ages(path, clock) == [(33, "mono"), (22, "mono"), (11, "mono")]


def test_another_start_of_the_machine_leaves_wall_time(path: Path, clock: FakeClock) -> None:
    run(path, clock, rotations=1)
    clock.restart("boot-2", 30)
    clock.run(5)
    assert ages(path, clock) == [(46, "wall")]


def test_a_segment_before_the_machine_was_started_and_a_run_after(path: Path, clock: FakeClock) -> None:
    run(path, clock)
    rotated(path, clock)
    clock.restart("boot-2", 300)
    run(path, clock)
    assert ages(path, clock) == [(311, "wall")], "the reading of the run after it says nothing of the time before"


def test_a_ledger_without_readings(path: Path, clock: FakeClock) -> None:
    with Ledger.open(path, clock=clock.real, segmented=True) as ledger:
        ledger.append([ev.Mark(name="one")])
        rotate(ledger)
        ledger.append([ev.Mark(name="two")])
    clock.run(7)
    assert ages(path, clock) == [(7, "wall")]

