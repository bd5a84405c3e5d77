"""How much time passed, by readings of the clocks: what a wall clock told wrongly, and what holds always."""

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ezmsg.ledger import events as ev
from ezmsg.ledger.log import Ledger
from ezmsg.ledger.projections.graph.state import GraphState
from ezmsg.ledger.projections.lifetimes import archive
from ezmsg.ledger.projections.lifetimes.clock_readings import Elapsed, Readings
from ezmsg.ledger.projections.lifetimes.landmarks import Landmarks
from ezmsg.ledger.projections.projection import fold
from ezmsg.ledger.projections.questions.timeline import Timeline
from ezmsg.ledger.runtime.live import LiveGraph
from tests.fake_clock import SECOND, FakeClock

GOLDEN = Path(__file__).parents[2] / "golden"


def told(live: LiveGraph) -> Timeline:
    return Timeline(live.ledger, index=False)


def test_a_second_and_a_half_is_not_twenty_thousand_days() -> None:
    """A battery that ran flat: the clock begins in 1970, and is set while the rig records."""
    clock = FakeClock(begin=1000 * SECOND)
    live = LiveGraph(Ledger.memory(clock))
    first = live.open_session()
    clock.run(1.0)
    clock.step(20_786 * 86400)
    clock.run(0.5)
    live.close_session(first)
    [span] = told(live).history(f"session {first}").spans
    assert (span.ns, span.clock) == (1_500_000_000, "mono")
    assert told(live).elapsed(span.born, span.died or 0) == Elapsed(1_500_000_000, "mono")


def test_an_edge_was_held_for_two_minutes_though_the_clock_was_set_back() -> None:
    clock = FakeClock()
    live = LiveGraph(Ledger.memory(clock))
    live.connect("A", "B")
    clock.run(70)
    clock.step(-3600)
    clock.run(50)
    live.disconnect("A", "B")
    answer = told(live).history("A -> B")
    assert [span.ns for span in answer.spans] == [120 * SECOND]
    assert answer.ns == told(live).when("edge A -> B").ns == 120 * SECOND


def test_the_age_of_a_run_goes_on() -> None:
    """58 minutes before its start by the wall clock, 70 seconds after it in truth."""
    clock = FakeClock()
    live = LiveGraph(Ledger.memory(clock))
    clock.run(70)
    clock.step(-(58 * 60 + 70))
    live.connect("A", "B")
    assert clock.real() < live.state.runs[live.run].started
    assert told(live).elapsed(live.run, live.ledger.head) == Elapsed(70 * SECOND, "mono")


def test_across_two_starts_of_a_machine_wall_time_is_all_there_is(tmp_path: Path) -> None:
    clock, path = FakeClock(), tmp_path / "x.ledger"
    with Ledger.open(path, clock=clock) as ledger:
        first = LiveGraph(ledger)
        first.connect("A", "B")
        first.close()
        end = ledger.head
        clock.restart("boot-2", 30)
        second = LiveGraph(ledger)
        clock.run(5)
        second.connect("B", "C")
        timeline = Timeline(ledger)
        assert timeline.elapsed(end, ledger.head) == Elapsed(35 * SECOND, "boots")
        assert timeline.elapsed(second.run, ledger.head) == Elapsed(5 * SECOND, "mono")
        [span] = timeline.history("A -> B").spans
        assert (span.ns, span.clock) == (35 * SECOND, "boots")


def test_two_runs_in_one_start_of_a_machine_share_a_clock() -> None:
    clock = FakeClock()
    ledger = Ledger.memory(clock)
    first = LiveGraph(ledger)
    first.connect("A", "B")
    first.close()
    clock.run(10)
    clock.step(-500)
    second = LiveGraph(ledger)
    timeline = told(second)
    assert timeline.elapsed(first.run, second.run) == Elapsed(10 * SECOND, "mono")
    assert [(jump.kind, jump.ns) for jump in timeline.landmarks.readings.jumps()] == [("step", -500 * SECOND)]


def test_two_containers_do_not_share_a_clock() -> None:
    clock = FakeClock()
    ledger = Ledger.memory(clock)
    first = LiveGraph(ledger)
    first.close()
    clock.time_namespace = "time:[2]"
    second = LiveGraph(ledger)
    assert told(second).elapsed(first.run, second.run).clock == "boots"


def test_a_lost_run_ends_when_it_was_last_seen(tmp_path: Path) -> None:
    """What comes after its last event is no longer of its clock: the event that says so is of the next run."""
    clock, path = FakeClock(), tmp_path / "x.ledger"
    ledger = Ledger.open(path, clock=clock)
    first = LiveGraph(ledger)
    first.connect("A", "B", first.open_session())
    clock.run(20)
    clock.step(-900)
    first.connect("B", "C")
    clock.restart("boot-2", 100)
    second = LiveGraph(ledger)
    readings = Timeline(ledger).landmarks.readings
    lost = second.run - 2
    assert isinstance(list(ledger.entries())[lost - 1], ev.ServerLost)
    assert readings.at(lost) is None
    here, before = readings.at(second.run), readings.at(lost - 1)
    assert here is not None
    assert before is not None
    assert (here.boot_id, before.boot_id) == ("boot-2", "boot-1")
    ledger.close()


def test_a_suspended_machine_counts_no_time() -> None:
    clock = FakeClock()
    live = LiveGraph(Ledger.memory(clock))
    live.connect("A", "B")
    clock.run(5)
    clock.suspend(3600)
    clock.step(60)
    clock.run(5)
    live.disconnect("A", "B")
    timeline = told(live)
    assert timeline.history("A -> B").ns == 10 * SECOND
    assert [(jump.kind, jump.ns) for jump in timeline.landmarks.readings.jumps()] == [
        ("suspend", 3600 * SECOND),
        ("step", 60 * SECOND),
    ]


@pytest.mark.parametrize("name", ["v1", "rules-2"])
def test_a_ledger_without_readings_reads_as_before(name: str) -> None:
    with Ledger.open(GOLDEN / f"{name}.ledger", "r") as ledger:
        timeline = Timeline(ledger, index=False)
        assert len(timeline.landmarks.readings) == 0
        events = list(ledger.entries())
        for a, b in pairwise(events):
            assert timeline.landmarks.readings.elapsed(a.seq, a.time, b.seq, b.time) == (b.time - a.time, "wall")
        for time in {event.time for event in events}:
            assert timeline.landmarks.seq_at(time) == ledger.seq_at(time)


def test_clock_readings_change_no_state() -> None:
    with Ledger.open(GOLDEN / "clocks.ledger", "r") as ledger:
        events = list(ledger.entries())
    before, state = "", GraphState()
    for event in events:
        before = state.shape_digest() if not state.unknown else ""
        state.apply(event)
        if isinstance(event, ev.ClockRead) and before:
            assert state.shape_digest() == before


def test_the_index_keeps_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "SAVE_EVERY", 1)
    clock, path = FakeClock(), tmp_path / "x.ledger"
    with Ledger.open(path, clock=clock) as ledger:
        live = LiveGraph(ledger)
        live.connect("A", "B")
        clock.run(30)
        clock.step(-3600)
        live.disconnect("A", "B")
        live.close()
    with Ledger.open(path, "r") as reader:
        made = Timeline(reader).history("A -> B")
        assert Path(f"{path}.index").exists()
        again = Timeline(reader)
        assert again.history("A -> B") == made
        assert again.landmarks.readings.kept == fold(reader.read(), Landmarks()).readings.kept
        assert again.landmarks.readings.ends == fold(reader.read(), Landmarks()).readings.ends


Move = tuple[str, float]
MOVES = st.lists(
    st.one_of(
        st.tuples(st.just("run"), st.floats(0.0, 100.0)),
        st.tuples(st.just("step"), st.floats(-1e6, 1e6)),
        st.tuples(st.just("suspend"), st.floats(0.0, 1e5)),
        st.tuples(st.just("tend"), st.just(0.0)),
    ),
    max_size=30,
)


@given(moves=MOVES)
def test_what_passed_is_told_whatever_the_wall_clock_did(moves: list[Move]) -> None:
    """Between any two events of a run: the monotonic clock's own difference, to the millisecond that is no step."""
    clock = FakeClock()
    live = LiveGraph(Ledger.memory(clock))
    lived = {live.run: clock.mono()}
    for number, (what, by) in enumerate(moves):
        if what == "tend":
            live.tend()
        else:
            getattr(clock, what)(by)
        live.connect("A", f"B{number}")
        lived[live.ledger.head] = clock.mono()
    timeline = told(live)
    seqs = sorted(lived)
    for a, b in [*pairwise(seqs), (seqs[0], seqs[-1])]:
        passed = timeline.elapsed(a, b)
        assert passed.clock == "mono"
        assert abs(passed.ns - (lived[b] - lived[a])) < 2_000_000
    reached = fold(live.ledger.read(), Landmarks()).readings
    assert [reached.at(seq) for seq in seqs] == [timeline.landmarks.readings.at(seq) for seq in seqs]


def test_nothing_is_known_of_no_readings() -> None:
    readings = Readings()
    assert readings.at(5) is None
    assert readings.jumps() == []
    assert [tuple(each) for each in readings.stretches(1, 10, 5, 20)] == [(1, 5, 10, 21)]
