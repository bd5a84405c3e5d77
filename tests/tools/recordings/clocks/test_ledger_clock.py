"""The clocks of a ledger: looks that halve find what a walk through all spans finds, and look at few of them."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ezmsg.ledger.projections.lifetimes.clock_readings import Hold, Reading
from ezmsg.ledger.projections.lifetimes.landmarks import Landmarks
from ezmsg.ledger.tools.recordings.clocks.ledger_clock import LedgerClock

NAME = ("a boot", "a namespace")


def reading(seq: int, real: int, mono: int) -> Reading:
    return Reading(
        seq=seq,
        time=real,
        real=real,
        mono=mono,
        boot=None,
        width=0,
        reason="step",
        boot_id=NAME[0],
        time_namespace=NAME[1],
        host="rig",
        named=seq,
        before=0,
    )


@st.composite
def clocks(draw: st.DrawFn) -> tuple[LedgerClock, list[int]]:
    """A clock of some readings, between which the wall clock was set, and the time of each event by its seq."""
    times, holds = [0], []
    mono = 1000
    offset = draw(st.integers(-50, 50))
    for _ in range(draw(st.integers(1, 8))):
        times += [0] * draw(st.integers(0, 2))  # events of another clock
        first = len(times)
        mono += draw(st.integers(0, 30))
        holds.append((first, mono, offset))
        for _ in range(draw(st.integers(1, 5))):
            times.append(mono + offset)
            mono += draw(st.integers(0, 20))
        moved = draw(st.integers(-40, 40))
        for _ in range(draw(st.integers(0, 2))):  # stamped when the clock was set already, before that was noticed
            times.append(max(times[-1], mono + offset + moved))
            mono += draw(st.integers(0, 20))
        offset += moved
        holds[-1] = (*holds[-1], len(times) - 1)
    found = [Hold(reading(first, mono + offset, mono), first, last) for first, mono, offset, last in holds]
    return LedgerClock(Landmarks(), times.__getitem__, NAME, found), times


@given(clocks(), st.integers(-200, 2000))
def test_a_look_finds_what_a_walk_finds(made: tuple[LedgerClock, list[int]], place: int) -> None:
    clock, times = made
    for seq in range(1, len(times)):
        holding = [span for span in clock.spans if span.first <= seq <= span.last]
        assert clock.place(seq) == (times[seq] - holding[0].offset if holding else None)
    begun = next((number for number, span in enumerate(clock.spans) if span.begin > place), len(clock.spans))
    before = [
        seq
        for span in clock.spans[:begun]
        for seq in range(span.first, span.last + 1)
        if times[seq] - span.offset <= place
    ]
    reached = [clock.spans[0].first - 1, *(span.first - 1 for span in clock.spans[:begun]), *before]
    assert clock.seq_at(place) == max(reached)
    over = [span for span in clock.spans if span.begin <= place] or [clock.spans[0]]
    assert clock.wall(place) == place + over[-1].offset


class Counted(list[Any]):
    """A list that counts how often one of its items is looked at."""

    looks = 0

    def __getitem__(self, place: Any) -> Any:
        type(self).looks += 1
        return super().__getitem__(place)

    def __iter__(self) -> Any:
        for place in range(len(self)):
            yield self[place]


def test_a_look_at_a_clock_of_many_readings_costs_few_steps() -> None:
    times = Counted(seq * 10 for seq in range(20_001))
    holds = [Hold(reading(seq, 10 * seq, 10 * seq - seq), seq, seq) for seq in range(1, 20_001)]
    clock = LedgerClock(Landmarks(), times.__getitem__, NAME, holds)
    clock.spans = Counted(clock.spans)
    Counted.looks = 0
    assert (clock.place(19_000), clock.seq_at(19_000 * 9), clock.wall(19_000 * 9)) == (19_000 * 9, 19_000, 190_000)
    assert clock.place(30_000) is None
    assert Counted.looks < 20
