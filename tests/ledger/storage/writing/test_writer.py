"""Disks that are full or broken: nothing half, nothing acknowledged that is not so, and a word about why."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ezmsg.ledger import Ledger
from ezmsg.ledger.errors import WriteFailed
from ezmsg.ledger.events import Mark


def names(ledger: Ledger) -> list[str]:
    return [event.name for event in ledger.entries()]  # type: ignore[union-attr]


@pytest.mark.parametrize("level", ["commit", "interval", "none"])
def test_a_full_disk(path: Path, faulty: Any, marks: Callable[..., list[Mark]], level: Any) -> None:
    with Ledger.open(path, durability=level, disk=faulty) as ledger:
        ledger.append(marks("a"))
        size = path.stat().st_size
        for space in (0, 1, 50, 150):
            faulty.space = space
            with pytest.raises(WriteFailed, match=r"after seq 1 .*No space left on device") as info:
                ledger.append(marks("b", "c"))
            assert "Free space" in info.value.hint
            assert path.stat().st_size == size, "cut back to the last commit"
            assert (ledger.head, ledger.next_seq, ledger.failure) == (1, 2, None)
        faulty.space = None
        assert [event.seq for event in ledger.append(marks("d"))] == [2]
        assert names(ledger) == ["a", "d"]
        ledger.check()
    assert Ledger.open(path, "r").verify().sound


def test_a_full_disk_that_does_not_even_truncate(path: Path, faulty: Any, marks: Callable[..., list[Mark]]) -> None:
    with Ledger.open(path, disk=faulty) as ledger:
        ledger.append(marks("a"))
        faulty.space, faulty.fail["truncate"] = 200, 3
        for _ in range(2):  # the second finds the rest of the first, and cannot cut it either
            with pytest.raises(WriteFailed):
                ledger.append(marks("long" * 100))
        with Ledger.open(path, "r") as reader:
            assert reader.tail_bytes == 200
            assert names(reader) == ["a"]
        faulty.space = None
        ledger.append(marks("b"))
        with Ledger.open(path, "r") as reader:
            assert (names(reader), reader.tail_bytes) == (["a", "b"], 0)
        ledger.check()


def test_a_disk_too_full_for_the_seal(path: Path, faulty: Any, marks: Callable[..., list[Mark]]) -> None:
    with Ledger.open(path, disk=faulty) as ledger:
        ledger.append(marks("a"))
        faulty.space = 30
    found = Ledger.open(path, "r").verify()
    assert (found.sound, found.sealed, found.seq) == (True, False, 1)


def test_an_interrupt_in_the_middle_leaves_nothing_half(
    path: Path, faulty: Any, marks: Callable[..., list[Mark]]
) -> None:
    with Ledger.open(path, disk=faulty) as ledger:
        ledger.append(marks("a"))
        real = faulty.write

        def interrupted(handle: int, data: bytes, offset: int) -> int:
            real(handle, data[:30], offset)
            raise KeyboardInterrupt

        faulty.write = interrupted
        with pytest.raises(KeyboardInterrupt):
            ledger.append(marks("b"))
        faulty.write = real
        assert ledger.head == 1
        ledger.append(marks("c"))
        assert names(ledger) == ["a", "c"]
        ledger.check()


def test_a_write_in_many_goes_and_signals_between(path: Path, faulty: Any, marks: Callable[..., list[Mark]]) -> None:
    real, calls = faulty.write, iter(range(10**6))

    def in_bits(handle: int, data: Any, offset: int) -> int:
        if next(calls) % 3 == 2:
            raise InterruptedError
        return int(real(handle, data[:7], offset))

    faulty.write = in_bits
    with Ledger.open(path, disk=faulty) as ledger:
        ledger.append(marks("a", "b"))
        ledger.check()
    assert Ledger.open(path, "r").verify().sound


# --- failed syncs: what was written since the last good one is gone, and a second sync says that all is well ---


def test_a_failed_sync_is_made_good(path: Path, faulty: Any, marks: Callable[..., list[Mark]]) -> None:
    with Ledger.open(path, durability="commit", disk=faulty) as ledger:
        ledger.append(marks("a"))
        faulty.fail["sync"] = 1
        ledger.append(marks("b"))
        assert (ledger.durable_seq, ledger.failure) == (2, None)
        assert ledger.verify().sound, "the lost bytes were written again"
        ledger.check()
    assert names(Ledger.open(path, "r")) == ["a", "b"]


def test_a_failed_sync_at_interval_is_made_good_by_the_flusher(
    path: Path, faulty: Any, marks: Callable[..., list[Mark]]
) -> None:
    with Ledger.open(path, durability="interval", disk=faulty) as ledger:
        faulty.fail["sync"] = 1
        for name in "abc":
            ledger.append(marks(name))
        assert ledger.wait_durable(3, timeout=5)
        assert faulty.fail["sync"] == 0
        assert ledger.verify().sound
        assert names(ledger) == ["a", "b", "c"]


def test_a_disk_that_fails_for_good(path: Path, faulty: Any, marks: Callable[..., list[Mark]]) -> None:
    reached: list[int] = []
    failed: list[Any] = []
    with Ledger.open(path, durability="commit", disk=faulty) as ledger:
        ledger.on_durable(reached.append, failed.append)
        ledger.append(marks("a"))
        faulty.fail["sync"] = 2
        with pytest.raises(WriteFailed, match=r"failed to keep what follows seq 1 \(Input/output error\)"):
            ledger.append(marks("b"))
        assert ledger.failure is not None
        assert (ledger.head, ledger.durable_seq, names(ledger)) == (1, 1, ["a"])
        for _ in range(2):
            with pytest.raises(WriteFailed, match="nothing more is written"):
                ledger.append(marks("c"))
        with pytest.raises(WriteFailed):
            ledger.sync()
        with pytest.raises(WriteFailed):
            ledger.wait_durable(2)
        assert ledger.wait_durable(1)
        assert (reached, failed) == ([1], [ledger.failure])
    with Ledger.open(path) as ledger:
        assert names(ledger) == ["a"]
        ledger.append(marks("d"))


def test_a_disk_that_fails_for_good_at_interval(path: Path, faulty: Any, marks: Callable[..., list[Mark]]) -> None:
    dead = threading.Event()
    with Ledger.open(path, durability="interval", disk=faulty) as ledger:
        ledger.append(marks("a"))
        ledger.sync()
        ledger.on_durable(lambda seq: None, lambda error: dead.set())
        faulty.fail["sync"] = 2
        ledger.append(marks("b"))
        assert dead.wait(5)
        with pytest.raises(WriteFailed):
            ledger.append(marks("c"))
        assert ledger.durable_seq == 1


def test_nothing_is_kept_to_write_again_at_level_none(
    path: Path, faulty: Any, marks: Callable[..., list[Mark]]
) -> None:
    ledger = Ledger.open(path, durability="none", disk=faulty)
    ledger.append(marks("a"))
    faulty.fail["sync"] = 1
    with pytest.raises(WriteFailed):
        ledger.close()
    ledger.close()
    Ledger.open(path).close()  # the lock is free, the file can be opened


def test_no_acknowledgement_rests_on_a_failed_sync(path: Path, faulty: Any, marks: Callable[..., list[Mark]]) -> None:
    """Whatever fails when: what was acknowledged at level commit is in the file after what the disk lost is lost."""
    import random

    dice = random.Random(7)
    for _ in range(60):
        path.unlink(missing_ok=True)
        disk = type(faulty)()
        acknowledged: list[str] = []
        ledger = Ledger.open(path, durability="commit", disk=disk)
        for n in range(12):
            disk.fail["sync"] = dice.choice([0, 0, 0, 1, 1, 2])
            disk.fail["write"] = dice.choice([0, 0, 0, 1])
            try:
                ledger.append(marks(str(n)))
            except WriteFailed:
                continue
            acknowledged.append(str(n))
        disk.fail.clear()
        ledger.close()
        with Ledger.open(path) as again:
            assert names(again) == acknowledged
            assert again.verify().sound


def test_a_broken_writer_can_be_opened_anew(path: Path, faulty: Any, marks: Callable[..., list[Mark]]) -> None:
    ledger = Ledger.open(path, durability="commit", disk=faulty)
    ledger.append(marks("a"))
    faulty.fail["sync"] = 2
    with pytest.raises(WriteFailed):
        ledger.append(marks("b"))
    with ledger.reopen() as again:
        assert again.failure is None
        again.append(marks("c"))
        assert names(again) == ["a", "c"]
        again.check()


def test_a_file_that_was_taken_away(path: Path, marks: Callable[..., list[Mark]]) -> None:
    ledger = Ledger.open(path)
    ledger.append(marks("a"))
    assert ledger.in_place
    path.rename(path.with_name("y.ledger"))
    assert not ledger.in_place
    ledger.append(marks("b"))
    with ledger.reopen() as again:
        assert (again.head, again.in_place) == (0, True)
    assert not ledger.in_place
    moved = Ledger.open(path.with_name("y.ledger"), "r")
    assert names(moved) == ["a", "b"]
    assert moved.verify().sealed


# --- levels ---


def test_level_commit_syncs_before_it_returns(path: Path, faulty: Any, marks: Callable[..., list[Mark]]) -> None:
    with Ledger.open(path, durability="commit", disk=faulty) as ledger:
        for n in range(1, 4):
            before = faulty.syncs
            ledger.append(marks("x"))
            assert (faulty.syncs, ledger.durable_seq) == (before + 1, n)


def test_level_commit_does_not_wait_if_told(path: Path, faulty: Any, marks: Callable[..., list[Mark]]) -> None:
    gate, entered, reached = threading.Event(), threading.Event(), threading.Event()
    durable: list[int] = []
    with Ledger.open(path, durability="commit", disk=faulty) as ledger:
        real = faulty.sync

        def held(handle: int) -> None:
            entered.set()
            gate.wait(5)
            real(handle)

        faulty.sync = held
        ledger.on_durable(lambda seq: (durable.append(seq), reached.set() if seq == 50 else None))
        before = faulty.syncs
        ledger.append(marks("first"), wait=False)
        assert entered.wait(5)
        for _ in range(49):
            ledger.append(marks("x"), wait=False)
        assert (ledger.head, ledger.durable_seq, durable) == (50, 0, [])
        gate.set()
        assert reached.wait(5)
        assert durable == [1, 50]
        assert faulty.syncs == before + 2, "49 of them shared one sync"


def test_waiting_threads_share_syncs(path: Path, faulty: Any, marks: Callable[..., list[Mark]]) -> None:
    entered, gate = threading.Event(), threading.Event()
    with Ledger.open(path, durability="commit", disk=faulty) as ledger:
        real = faulty.sync

        def held(handle: int) -> None:
            entered.set()
            gate.wait(5)
            real(handle)

        faulty.sync = held
        before = faulty.syncs
        threads = [threading.Thread(target=lambda: ledger.append(marks("x"))) for _ in range(10)]
        threads[0].start()
        assert entered.wait(5)
        for thread in threads[1:]:
            thread.start()
        while ledger.head < 10:
            threading.Event().wait(0.001)
        gate.set()
        for thread in threads:
            thread.join()
        assert ledger.durable_seq == 10
        assert faulty.syncs <= before + 2


def test_level_interval_syncs_soon_and_then_rests(path: Path, faulty: Any, marks: Callable[..., list[Mark]]) -> None:
    synced = threading.Event()
    with Ledger.open(path, durability="interval", disk=faulty) as ledger:
        ledger.on_durable(lambda seq: synced.set())
        for n in range(1, 4):
            synced.clear()
            before = faulty.syncs
            ledger.append(marks("x"))
            assert synced.wait(5)
            assert (ledger.durable_seq, faulty.syncs) == (n, before + 1)
        ledger.check()


@pytest.mark.parametrize("level", ["interval", "commit"])
def test_a_listener_that_fails_harms_nobody(
    path: Path, marks: Callable[..., list[Mark]], caplog: pytest.LogCaptureFixture, level: Any
) -> None:
    heard: list[int] = []
    with Ledger.open(path, durability=level) as ledger:
        ledger.on_durable(lambda seq: 1 // 0)
        ledger.on_durable(heard.append)
        for n in range(1, 4):
            ledger.append(marks("x"), wait=False)
            assert ledger.wait_durable(n, timeout=5)
            ledger.append(marks("y"))
            ledger.sync()
    assert heard[-1] == 6
    assert "ZeroDivisionError" in caplog.text


def test_level_none_does_not_sync(path: Path, faulty: Any, marks: Callable[..., list[Mark]]) -> None:
    with Ledger.open(path, durability="none", disk=faulty) as ledger:
        before = faulty.syncs
        for _ in range(5):
            ledger.append(marks("x"))
        assert (faulty.syncs, ledger.durable_seq) == (before, 0)
        assert ledger.wait_durable(5, timeout=5), "unless asked"
        assert faulty.syncs == before + 1


def test_unsynced_bytes_are_bounded(
    path: Path, faulty: Any, marks: Callable[..., list[Mark]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ezmsg.ledger.storage.writing.flusher.UNSYNCED_MAX", 10_000)
    monkeypatch.setattr("ezmsg.ledger.storage.writing.flusher.INTERVAL_S", 60)
    with Ledger.open(path, durability="interval", disk=faulty) as ledger:
        for _ in range(30):
            ledger.append(marks("x" * 1000))
            assert ledger._flusher._pending_bytes <= 12_000  # type: ignore[attr-defined]
        assert ledger.durable_seq > 15


# --- the real thing ---


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if not hasattr(os, "geteuid") or os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("may not mount")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_disk_that_is_really_full(tiny_disk: Path, marks: Callable[..., list[Mark]]) -> None:
    path = tiny_disk / "x.ledger"
    ballast = tiny_disk / "ballast"
    ballast.write_bytes(bytes(30_000))
    with Ledger.open(path) as ledger:
        with pytest.raises(WriteFailed, match="No space left on device"):
            [ledger.append(marks("x" * 3000)) for _ in range(100)]
        head = ledger.head
        assert head > 0
        assert [event.seq for event in ledger.entries()] == list(range(1, head + 1))
        ballast.unlink()
        assert ledger.append(marks("room again"))[0].seq == head + 1
        ledger.check()
    with Ledger.open(path, "r") as reader:
        assert reader.verify().sound


KILLED = """
import sys
from ezmsg.ledger import Ledger, events
ledger = Ledger.open(sys.argv[1], durability="interval")
while True:
    for event in ledger.append([events.Mark(name="x")] * 3):
        pass
    sys.stdout.write(f"{event.seq}\\n")
    sys.stdout.flush()
"""


def test_a_killed_writer_loses_nothing_acknowledged(path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(path)], stdout=subprocess.PIPE, text=True)
    with process:
        assert process.stdout is not None
        for line in process.stdout:
            if int(line) >= 600:
                break
        process.send_signal(signal.SIGKILL)
        process.wait()
        rest = process.stdout.read().split("\n")[:-1]  # told before it died, perhaps
    acknowledged = int(rest[-1]) if rest else int(line)
    with Ledger.open(path) as ledger:
        assert ledger.head >= acknowledged
        assert ledger.head % 3 == 0
        assert ledger.verify().sound
