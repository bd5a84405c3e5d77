"""From times to seqs."""

from hypothesis import given
from hypothesis import strategies as st

from ezmsg.ledger.events import Mark
from ezmsg.ledger.storage.reading.seq_times import TimeStack


@given(times=st.lists(st.integers(-5, 30), max_size=40), asked=st.lists(st.integers(-6, 31), min_size=1))
def test_is_the_definition(times: list[int], asked: list[int]) -> None:
    stack = TimeStack()
    events = [Mark(seq=seq, time=time, name="x") for seq, time in enumerate(times, 1)]
    stack.add(events[:10])
    stack.add(events[10:])
    stack.check()
    for time in asked:
        assert stack.seq_at(time) == max((event.seq for event in events if event.time <= time), default=0)


def test_a_clock_that_went_back_and_what_it_means() -> None:
    stack = TimeStack()
    stack.add([Mark(seq=seq, time=time, name="x") for seq, time in [(1, 100), (2, 200), (3, 150)]])
    assert [stack.seq_at(time) for time in (99, 100, 149, 150, 199, 200, 10**18)] == [0, 1, 1, 3, 3, 3, 3]
