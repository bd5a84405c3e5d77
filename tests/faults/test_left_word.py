"""A server that ends while it cannot write leaves word: the next one says what is lost, and gives no seq out anew."""

import os
import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ezmsg.ledger import Ledger
from ezmsg.ledger import events as ev
from ezmsg.ledger.projections import GraphState, fold
from ezmsg.ledger.runtime.recorder.control_client import ask

from .conftest import fill

KEPT_MAX = 60
"""Marks that fit into the last page of a file."""


@pytest.fixture
def serve(desk: Any, small_disk: Path) -> Callable[..., tuple[Any, str]]:
    """Starts ``serve`` on the small disk; the program and its address."""

    def start(*options: str) -> tuple[Any, str]:
        server = desk.start("ezmsg-ledger", "serve", small_disk / "x.ledger", "--address", desk.free, *options)
        return server, server.until(r"EZMSG_GRAPHSERVER_ADDR=(\S+)")[1]

    return start


def fill_up(address: str, ballast: Path) -> int:
    """Fill the disk, and bring events until one is not written; the seq of the last that was given out."""
    fill(ballast)
    for _ in range(KEPT_MAX):
        reply = ask(address, "mark", name="m" * 200)
        if reply["unwritten"] is not None:
            return int(reply["seq"])
    raise AssertionError("the last page never got full")


def events_of(path: Path) -> list[Any]:
    with Ledger.open(path, "r") as ledger:
        assert ledger.verify().sound
        fold(ledger.read(), GraphState()).check()
        return list(ledger.entries())


@pytest.mark.parametrize("how", ["SIGTERM", "SIGKILL"])
@pytest.mark.parametrize("folder", [False, True])
def test_what_a_server_took_with_it_is_a_gap(
    desk: Any, serve: Any, small_disk: Path, how: str, folder: bool
) -> None:
    options = ["--rotate", "1MB"] if folder else []
    server, address = serve(*options)
    ledger, ballast = small_disk / "x.ledger", small_disk / "ballast"
    fill_up(address, ballast)
    told = desk.do("ezmsg-ledger", "mark", "glitch", "--address", address)
    marked = int(re.search(r"marked seq (\d+)", told.out)[1])  # type: ignore[index]
    assert told.code == 7
    assert "NOT ON THE DISK" in told.err
    status = desk.do("ezmsg-ledger", "status", address)
    assert status.code == 7
    assert "the next start will name the seqs that are lost" in status.out
    os.kill(server.pid, getattr(signal, how))
    assert server.end().code == (6 if how == "SIGTERM" else -9)
    before = events_of(ledger)[-1].seq
    assert before < marked

    ballast.unlink()
    server, address = serve(*options)
    after = ask(address, "mark", name="back")["seq"]
    os.kill(server.pid, signal.SIGTERM)
    told = server.end()
    assert "LOST" in told.err
    after_it = [event for event in events_of(ledger) if event.seq > before and not isinstance(event, ev.ClockRead)]
    gap, ended, started, back = after_it[:4]
    first_run = next(event.seq for event in events_of(ledger) if isinstance(event, ev.ServerStarted))
    assert isinstance(gap, ev.Gap)
    last = marked if how == "SIGKILL" else gap.last
    assert last >= marked
    assert (gap.seq, gap.first, gap.last, gap.lost) == (last + 1, before + 1, last, last - before)
    assert "No space left" in gap.reason
    if how == "SIGTERM":
        assert isinstance(ended, ev.ServerStopped)
        assert (ended.server, ended.reason, ended.by) == (first_run, "signal", "SIGTERM")
        assert ended.ended is not None
        assert ended.ended < ended.time
    else:
        assert isinstance(ended, ev.ServerLost)
        assert not ended.untold
    assert isinstance(started, ev.ServerStarted)
    assert (back.seq, back.name) == (after, "back")

    # and that once
    server, _ = serve(*options)
    os.kill(server.pid, signal.SIGTERM)
    assert "LOST" not in server.end().err
    assert sum(isinstance(event, ev.Gap) for event in events_of(ledger)) == 1


@pytest.fixture
def killed(serve: Any, small_disk: Path) -> tuple[Path, Path, int, int]:
    """A ledger on a disk that is full, what fills that, the last seq on it, and the last one given out by its server,
    which was killed."""
    ledger, ballast = small_disk / "x.ledger", small_disk / "ballast"
    server, address = serve()
    taken = fill_up(address, ballast)
    os.kill(server.pid, signal.SIGKILL)
    server.end()
    return ledger, ballast, events_of(ledger)[-1].seq, taken


def test_the_disk_is_still_full_at_the_next_start(serve: Any, killed: tuple[Path, Path, int, int]) -> None:
    """The seqs stay taken, also when the next server is killed as well, and when a third finds room."""
    ledger, ballast, before, taken = killed
    server, address = serve()
    second = ask(address, "mark", name="second")["seq"]
    assert second > taken + 1
    os.kill(server.pid, signal.SIGKILL)
    server.end()
    ballast.unlink()
    server, address = serve()
    third = ask(address, "mark", name="third")["seq"]
    assert third > second
    os.kill(server.pid, signal.SIGTERM)
    assert server.end().code == 0
    [gap] = [event for event in events_of(ledger) if isinstance(event, ev.Gap)]
    assert (gap.first, gap.last) == (before + 1, second)


def test_room_comes_back_under_the_next_server(desk: Any, serve: Any, killed: tuple[Path, Path, int, int]) -> None:
    ledger, ballast, before, taken = killed
    server, address = serve()
    second = ask(address, "mark", name="second")["seq"]
    ballast.unlink()
    desk.poll(lambda: ask(address, "status")["degraded"] is None, "it records again")
    third = ask(address, "mark", name="third")["seq"]
    os.kill(server.pid, signal.SIGTERM)
    assert server.end().code == 0
    events = events_of(ledger)
    gap = next(event for event in events if isinstance(event, ev.Gap))
    assert gap.first == before + 1
    assert gap.last >= taken
    assert third > second
    assert [event.name for event in events if isinstance(event, ev.Mark)][-1] == "third"


def test_a_library_that_appends_takes_no_such_seq_either(serve: Any, small_disk: Path) -> None:
    server, address = serve()
    taken = fill_up(address, small_disk / "ballast")
    os.kill(server.pid, signal.SIGKILL)
    server.end()
    (small_disk / "ballast").unlink()
    with Ledger.open(small_disk / "x.ledger") as ledger:
        [mark] = ledger.append([ev.Mark(name="by hand")])
    assert mark.seq == taken + 2


def test_a_lock_file_that_tells_nothing(desk: Any, serve: Any, small_disk: Path) -> None:
    """Nobody can know what a killed server took with it when its lock file is gone, and the next one says so."""
    server, _ = serve()
    os.kill(server.pid, signal.SIGKILL)
    server.end()
    (small_disk / "x.ledger.lock").unlink()
    server, _ = serve()
    os.kill(server.pid, signal.SIGTERM)
    server.end()
    [lost] = [event for event in events_of(small_disk / "x.ledger") if isinstance(event, ev.ServerLost)]
    assert lost.untold
    assert "cannot be known" in desk.do("ezmsg-ledger", "log", small_disk / "x.ledger").out


def test_a_lock_file_that_cannot_be_written_is_told_at_once(desk: Any, tmp_path: Path) -> None:
    full = tmp_path / "full"
    degradable = Path(__file__).with_name("degradable.py")
    words = ("--full-while", full, "--", "serve", tmp_path / "x.ledger", "--address", desk.free)
    server = desk.start("python", degradable, *words)
    address = server.until(r"EZMSG_GRAPHSERVER_ADDR=(\S+)")[1]
    full.touch()
    assert not ask(address, "mark", name="x")["unwritten"]["noted"]
    assert "NOBODY WILL KNOW" in desk.do("ezmsg-ledger", "status", address).out
    os.kill(server.pid, signal.SIGKILL)
    assert "NOBODY WILL KNOW" in server.end().err
