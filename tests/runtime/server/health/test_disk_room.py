"""The room on the disk: told, and warned of before it is gone."""

import logging
from pathlib import Path

import pytest

from ezmsg.ledger.log import Ledger
from ezmsg.ledger.runtime.server.health import disk_room
from ezmsg.ledger.runtime.server.health.disk_room import DiskRoom, DiskState
from ezmsg.ledger.storage.disk import OS_DISK, Disk, Space

MB = 10**6


class Filling(Disk):
    """Says that so much is free."""

    def __init__(self, free: int, total: int = 100_000 * MB) -> None:
        self.free, self.total = free, total

    def space(self, path: str) -> Space:
        if self.free < 0:
            raise OSError("the system does not tell")
        return Space(self.free, self.total)


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    moment = [1000.0]
    monkeypatch.setattr(disk_room, "monotonic", lambda: moment[0])
    return moment


def room(disk: Disk, path: Path, least: int | None = None, appending: int | None = None) -> DiskRoom:
    ledger = Ledger.open(path / "x.ledger", disk=disk)
    ledger.close()
    return DiskRoom(lambda: ledger, lambda: appending, least)


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    found = [record.getMessage().partition(": ")[2] for record in caplog.records if record.levelno == logging.WARNING]
    caplog.clear()
    return found


def test_it_warns_once_and_whenever_half_is_gone(
    now: list[float], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    disk = Filling(2000 * MB)
    watched = room(disk, tmp_path, least=1000 * MB)
    story = {2000: 0, 1000: 0, 999: 1, 998: 0, 500: 0, 499: 1, 300: 0, 249: 1, 5000: 0, 900: 1}
    for free, warned in story.items():
        disk.free = free * MB
        now[0] += 60
        watched.tend()
        told = warnings(caplog)
        assert len(told) == warned, free
        if told:
            assert told[0].startswith(f"THE DISK IS NEARLY FULL: {free} MB free, less than 1 GB")


def test_it_does_not_look_all_the_time(now: list[float], tmp_path: Path) -> None:
    disk = Filling(2000 * MB)
    watched = room(disk, tmp_path)
    watched.tend()
    disk.free = MB
    now[0] += disk_room.LOOK_S / 2
    watched.tend()
    assert watched.state is not None
    assert watched.state.free == 2000 * MB


def test_how_long_it_lasts(now: list[float], tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """At the rate at which the disk fills, whoever fills it."""
    disk = Filling(2000 * MB)
    watched = room(disk, tmp_path, least=1000 * MB)
    watched.look()
    assert watched.state == DiskState(
        free=2000 * MB, total=100_000 * MB, min_free=1000 * MB, low=False, bytes_per_hour=None, hours_left=None
    )
    for _ in range(30):
        now[0] += 60
        disk.free -= 40 * MB
        watched.tend()
    assert watched.state == DiskState(
        free=800 * MB, total=100_000 * MB, min_free=1000 * MB, low=True, bytes_per_hour=2400 * MB, hours_left=0.33
    )
    [told] = warnings(caplog)
    assert "960 MB free, less than 1 GB; at the present rate it is full in 24 min 0 s. " in told


def test_the_ledger_counts_where_it_writes_more_than_the_disk_fills(now: list[float], tmp_path: Path) -> None:
    watched = room(Filling(1000 * MB), tmp_path, appending=100 * MB)
    watched.look()
    assert watched.state is not None
    assert (watched.state.bytes_per_hour, watched.state.hours_left) == (100 * MB, 10.0)


@pytest.mark.parametrize(
    ("least", "total", "meant"),
    [(None, 10**12, 10**9), (None, 2 * 10**9, 10**8), (5 * 10**9, 10**12, 5 * 10**9), (0, 10**12, 0)],
)
def test_the_least_that_is_to_be_free(
    now: list[float], tmp_path: Path, caplog: pytest.LogCaptureFixture, least: int | None, total: int, meant: int
) -> None:
    watched = room(Filling(0, total), tmp_path, least)
    watched.look()
    assert watched.state is not None
    assert (watched.state.min_free, watched.state.low) == (meant, meant > 0)
    assert len(warnings(caplog)) == (meant > 0)


def test_where_nothing_can_be_told(now: list[float], tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for watched in (room(Filling(-1), tmp_path), DiskRoom(Ledger.memory, lambda: None)):
        watched.look()
        assert watched.state is None
    assert warnings(caplog) == []


def test_the_system_tells_it(tmp_path: Path) -> None:
    space = OS_DISK.space(str(tmp_path))
    assert 0 < space.free <= space.total


def test_a_disk_without_any_room_is_told_of_once(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    watched = room(Filling(0), tmp_path, least=1000)
    for _ in range(3):
        watched.look()
    assert caplog.text.count("THE DISK IS NEARLY FULL") == 1
