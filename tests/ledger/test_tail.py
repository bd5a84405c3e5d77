"""Following a ledger: from other processes, through cuts and replacements."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ezmsg.ledger import Ledger
from ezmsg.ledger.errors import DamagedLedger, HistoryChanged
from ezmsg.ledger.events import Mark

WRITER = """
import sys
from ezmsg.ledger import Ledger, events
with Ledger.open(sys.argv[1], durability="none") as ledger:
    for n in range(1, 1501):
        ledger.append([events.Mark(name="x" * (n % 40))] * (1 + n % 7) * (300 if n % 500 == 0 else 1))
"""


def test_across_processes_while_a_writer_appends(path: Path) -> None:
    Ledger.open(path).close()
    seqs: list[int] = []
    commits: list[int] = []
    with Ledger.open(path, "r") as reader:
        process = subprocess.Popen([sys.executable, "-c", WRITER, str(path)])

        def all_seen() -> bool:
            return process.poll() is not None and len(seqs) == reader.head

        for batch in reader.tail(poll=0.002, stop=all_seen):
            seqs.extend(event.seq for event in batch)
            commits.append(batch[-1].seq)
        assert process.wait() == 0
        assert seqs == list(range(1, len(seqs) + 1)), "gapless, in order"
        assert len(seqs) == reader.head
    assert len(commits) > 3, "it followed while it was written"
    with Ledger.open(path, "r") as reader:
        ends = {int(commit.split(b'"upto":')[1].split(b",")[0]) for commit in path.read_bytes().split(b"\n")
                if commit.startswith(b'{"type":"ledger.commit"')}  # fmt: skip
        assert set(commits) <= ends, "whole commits only"


def test_a_torn_tail_is_not_shown_until_it_is_whole(small: Path) -> None:
    data = small.read_bytes()
    stop = threading.Event()
    small.write_bytes(data[:-1])
    with Ledger.open(small, "r") as reader:
        tail = reader.tail(after=5, poll=0.001, stop=stop)
        assert [event.seq for event in next(tail)] == [6]
        small.write_bytes(data + b'{"type":"mark","seq":7,"time":1,"na')
        threading.Timer(0.05, stop.set).start()
        assert list(tail) == []
        assert reader.tail_bytes == 35


@pytest.mark.parametrize("change", ["cut", "rewritten", "replaced", "removed", "emptied"])
def test_history_that_changed(small: Path, change: str) -> None:
    data = small.read_bytes()
    with Ledger.open(small, "r") as reader:
        tail = reader.tail(poll=0.001)
        assert len(next(tail)) == 6
        if change == "cut":
            small.write_bytes(data[:600])
        elif change == "emptied":
            small.write_bytes(b"")
        elif change == "rewritten":
            with Ledger.open(small.with_name("other"), durability="none") as other:
                other.append([Mark(name="x")] * 100)
            small.write_bytes(small.with_name("other").read_bytes())
        elif change == "replaced":
            os.replace(_copy(small), small)
        else:
            small.unlink()
        with pytest.raises(HistoryChanged, match=str(small)):
            next(tail)


def _copy(path: Path) -> Path:
    copy = path.with_name("copy")
    copy.write_bytes(path.read_bytes())
    return copy


def test_a_writer_that_lost_its_last_commits_to_a_power_cut(path: Path, marks: Callable[..., list[Mark]]) -> None:
    with Ledger.open(path, durability="none") as writer:
        writer.append(marks("a"))
        kept = path.read_bytes()
        writer.append(marks("b"))
    with Ledger.open(path, "r") as reader:
        tail = reader.tail(poll=0.001)
        assert len(next(tail)) == 2
        path.write_bytes(kept + b"torn")
        with Ledger.open(path, durability="none") as writer:
            writer.append(marks("another b", "c", "d"))
        with pytest.raises(HistoryChanged):
            next(tail)


def test_a_recovery_that_only_cut_what_was_never_shown(path: Path, marks: Callable[..., list[Mark]]) -> None:
    with Ledger.open(path, durability="none") as writer:
        writer.append(marks("a"))
    with path.open("ab") as file:
        file.write(b'{"type":"mark","seq":2,"time":1,"name":"never"}\n')
    with Ledger.open(path, "r") as reader:
        tail = reader.tail(poll=0.001)
        assert len(next(tail)) == 1
        with Ledger.open(path, durability="none") as writer:
            writer.append(marks("b"))
        assert [event.name for event in next(tail)] == ["b"]  # type: ignore[union-attr]


def test_a_tail_at_a_writer_whose_disk_died(path: Path, faulty: Any, marks: Callable[..., list[Mark]]) -> None:
    """At level commit the events that were not acknowledged are taken back: a tail that had shown them says so."""
    with Ledger.open(path, durability="commit", disk=faulty) as ledger:
        ledger.append(marks("a"))
        tail = ledger.tail(poll=0.001)
        next(tail)
        faulty.fail["sync"] = 2
        entered, gate = threading.Event(), threading.Event()
        real = faulty.sync

        def held(handle: int) -> None:
            entered.set()
            gate.wait(5)
            real(handle)

        faulty.sync = held
        ledger.append(marks("b"), wait=False)
        assert [event.name for event in next(tail)] == ["b"]  # type: ignore[union-attr]
        assert entered.wait(5)
        dead = threading.Event()
        ledger.on_durable(lambda seq: None, lambda error: dead.set())
        gate.set()
        assert dead.wait(5)
        with pytest.raises(HistoryChanged):
            next(tail)


def test_a_writers_own_tail_goes_on_when_its_file_was_renamed(path: Path, marks: Callable[..., list[Mark]]) -> None:
    with Ledger.open(path) as ledger:
        tail = ledger.tail(poll=0.01)
        ledger.append(marks("a"))
        assert len(next(tail)) == 1
        path.rename(path.with_name("y.ledger"))
        ledger.append(marks("b"))
        assert [event.name for event in next(tail)] == ["b"]  # type: ignore[union-attr]


def test_damage_ahead_is_met_when_it_is_reached(small: Path) -> None:
    data = small.read_bytes()
    small.write_bytes(data.replace(b'"name":"one"', b'"name";"one"'))
    with Ledger.open(small, "r") as reader:
        tail = reader.tail(poll=0.001)
        assert [event.seq for event in next(tail)] == [1, 2]
        with pytest.raises(DamagedLedger):
            next(tail)


def test_tails_of_a_writer_are_independent(path: Path, marks: Callable[..., list[Mark]]) -> None:
    with Ledger.open(path) as ledger:
        tails = [ledger.tail(after=n, poll=0.01) for n in range(3)]
        ledger.append(marks("a", "b", "c"))
        assert [next(tail)[0].seq for tail in tails] == [1, 2, 3]
        ledger.append(marks("d"))
        assert [next(tail)[0].seq for tail in reversed(tails)] == [4, 4, 4]
