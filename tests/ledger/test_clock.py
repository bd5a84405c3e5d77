"""The clock seam: what a ledger reads the time from."""

import sys
import time
from pathlib import Path

import pytest

from ezmsg.ledger import Ledger, events
from ezmsg.ledger.clock import SYSTEM_CLOCK, TRIES, Clock, Reading, WallOnly, as_clock
from tests.fake_clock import BEGIN, FakeClock


def test_the_clocks_of_this_machine_are_read_together() -> None:
    before = time.monotonic_ns(), time.time_ns()
    reading = SYSTEM_CLOCK.read()
    after = time.monotonic_ns(), time.time_ns()
    assert before[0] <= reading.mono <= after[0]
    assert before[1] <= reading.real <= after[1]
    assert 0 <= reading.width <= after[0] - before[0]


@pytest.mark.skipif(sys.platform != "linux", reason="the files of Linux")
def test_linux_names_its_monotonic_clock() -> None:
    name = SYSTEM_CLOCK.identity()
    assert name.boot_id == Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    assert name.time_namespace is None or name.time_namespace.startswith("time:[")
    assert name.host
    boot = SYSTEM_CLOCK.read().boot
    assert boot is not None
    assert boot >= SYSTEM_CLOCK.mono() - 60 * 10**9, "it never is behind the one that rests"


def test_the_narrowest_of_some_readings_counts() -> None:
    """A process that loses its turn between two clocks would tell a step that never was."""
    widths = iter([5_000_000, 80, 3000])

    class Busy(FakeClock):
        def _read(self) -> Reading:
            return super()._read()._replace(width=next(widths))

    assert Busy().read().width == 80
    assert TRIES == 3


def test_a_function_is_a_clock_of_wall_time_alone() -> None:
    clock = as_clock(lambda: 17)
    assert isinstance(clock, WallOnly)
    assert clock.real() == 17
    assert as_clock(clock) is clock
    assert as_clock(time.time_ns) is SYSTEM_CLOCK


@pytest.mark.parametrize("where", ["file", "folder", "memory"])
def test_a_ledger_stamps_by_its_clock(where: str, tmp_path: Path) -> None:
    clock = FakeClock()
    ledger = (
        Ledger.memory(clock)
        if where == "memory"
        else Ledger.open(tmp_path / "x.ledger", clock=clock, segmented=where == "folder")
    )
    with ledger:
        assert ledger.created == BEGIN
        clock.run(1.5)
        [mark] = ledger.append([events.Mark(name="a")])
        assert mark.time == BEGIN + 1_500_000_000
        [given] = ledger.append([events.Mark(name="b")], time=BEGIN + 7)
        assert given.time == BEGIN + 7
        assert ledger.clock is clock
        assert ledger.reopen().clock is clock


def test_a_plain_append_is_told_the_seqs_that_it_gets() -> None:
    """Readings belong to recorded runs: who appends alone gets what was asked for, whatever the clock did."""
    clock = FakeClock()
    ledger = Ledger.memory(clock)
    for number in range(1, 4):
        clock.step(-100)
        assert ledger.next_seq == number
        assert [event.seq for event in ledger.append([events.Mark(name="x")])] == [number]


def test_a_clock_of_ones_own() -> None:
    class Behind(Clock):
        def real(self) -> int:
            return super().real() - 10**18

    [event] = Ledger.memory(Behind()).append([events.Mark(name="x")])
    assert event.time < time.time_ns() - 9 * 10**17
