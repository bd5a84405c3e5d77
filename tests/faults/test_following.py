"""Readers beside a writer that dies, recovers and goes on; and clocks that do as they like."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ezmsg.ledger import Ledger
from ezmsg.ledger.errors import HistoryChanged
from ezmsg.ledger.events import Mark

from .simulation.disk import SimulatedDisk
from .simulation.ledgers import PATH, open_simulated, simulation


def names(batch: Any) -> list[str]:
    return [event.name for event in batch]


def rounds(number: int) -> Iterator[bool]:
    """A stop that says no so often, and then yes."""
    yield from [False] * number
    while True:
        yield True


@settings(max_examples=150, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 4), min_size=1, max_size=6),
    seen=st.integers(0, 6),
    lost=st.integers(0, 1200),
    more=st.lists(st.integers(1, 3), min_size=1, max_size=3),
)
def test_a_follower_goes_on_or_is_told(sizes: list[int], seen: int, lost: int, more: list[int]) -> None:
    """A power cut takes bytes off the end, a new writer recovers and appends: a follower never mixes two histories."""
    disk = SimulatedDisk()
    with simulation():
        writer = open_simulated(disk, "none")
        with Ledger.open(PATH, "r", disk=disk) as reader:
            follower = reader.tail(poll=0, stop=rounds(60).__next__)
            shown: list[str] = []
            for number, size in enumerate(sizes):
                writer.append([Mark(name=f"{number}.{n}") for n in range(size)])
                if number < seen:
                    shown += names(next(follower))
            writer.close()
            node = disk.files[PATH]
            start = node.content.index(b"\n", node.content.index(b"\n") + 1) + 1  # header and first commit line
            node.truncate(max(start, len(node.content) - lost))
            writer = open_simulated(disk, "none")
            kept = [event.name for event in writer.entries()]  # type: ignore[union-attr]
            for number, size in enumerate(more):
                writer.append([Mark(name=f"new {number}.{n}") for n in range(size)])
            whole = [event.name for event in writer.entries()]  # type: ignore[union-attr]
            try:
                for batch in follower:
                    shown += names(batch)
            except HistoryChanged:
                assert kept[: len(shown)] != shown or len(kept) <= len(shown)
                assert seen > 0
            else:
                assert shown == whole
            writer.close()


@pytest.mark.parametrize("step", [1, 7, 10**9])
def test_a_reader_at_every_instant_of_an_append(step: int) -> None:
    """Whatever part of a commit has been written: it is shown whole, or not at all, and a follower waits for it."""
    disk = SimulatedDisk()
    disk.write_most = step
    seen: list[int] = []
    with simulation(), open_simulated(disk, "none") as writer, Ledger.open(PATH, "r", disk=disk) as reader:
        stop = False
        follower = reader.tail(poll=0, stop=lambda: stop)
        writer.append([Mark(name="first")])
        assert names(next(follower)) == ["first"]
        disk.step = lambda call: seen.append(len(list(reader.entries())))
        writer.append([Mark(name="a"), Mark(name="b")])
        disk.step = lambda call: None
        assert names(next(follower)) == ["a", "b"]
        stop = True
        assert list(follower) == []
    assert set(seen) == {1, 3} if step < 100 else seen == [3]
    assert seen == sorted(seen)


@settings(max_examples=60, deadline=None)
@given(times=st.lists(st.integers(-(2**63), 2**63 - 1) | st.integers(0, 5), min_size=2, max_size=12))
def test_no_clock_has_a_say_in_the_order(times: list[int]) -> None:
    """It stands still, jumps, goes back: the order is that of the appends, in this run and in the next."""
    disk = SimulatedDisk()
    clock = iter([0, *times, 0]).__next__
    with simulation():
        for half in (times[: len(times) // 2], times[len(times) // 2 :]):
            with Ledger.open(PATH, durability="none", clock=clock, disk=disk) as ledger:
                for _ in half:
                    ledger.append([Mark(name="x")])
        with Ledger.open(PATH, "r", disk=disk) as reader:
            assert [(event.seq, event.time) for event in reader.entries()] == [
                (seq, time) for seq, time in enumerate(times, 1)
            ]
            assert reader.verify().sound
            for time in times:
                assert reader.seq_at(time) == max(seq for seq, each in enumerate(times, 1) if each <= time)
