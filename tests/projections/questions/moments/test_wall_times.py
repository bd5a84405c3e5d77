"""Times of day in a ledger whose wall clock was set: which event is meant, and when it cannot be known."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ezmsg.ledger import events as ev
from ezmsg.ledger.errors import UnknownMoment
from ezmsg.ledger.log import Ledger
from ezmsg.ledger.projections.questions.moments.times import time_text
from ezmsg.ledger.projections.questions.timeline import Timeline
from ezmsg.ledger.runtime.live import LiveGraph
from tests.fake_clock import SECOND, FakeClock

NINE = int(datetime(2026, 11, 24, 9, tzinfo=UTC).timestamp()) * SECOND


class Rig:
    """A recorder whose clocks are moved, and that is asked in UTC."""

    def __init__(self, begin: int = NINE) -> None:
        self.clock = FakeClock(begin)
        self.live = LiveGraph(Ledger.memory(self.clock))

    def mark(self, name: str, **fields: object) -> int:
        self.live.note(ev.Mark(name=name, **fields))  # type: ignore[arg-type]
        return self.live.ledger.head

    def timeline(self, zone: ZoneInfo | None = None) -> Timeline:
        return Timeline(self.live.ledger, zone=zone or UTC, now=lambda: None)


def test_a_bare_time_does_not_follow_a_day_that_never_was() -> None:
    """A clock that ran fifty years ahead for a second, and was set right: 09:00:10 is that of the real day."""
    rig = Rig()
    rig.clock.run(10)
    right = rig.mark("right")
    rig.clock.step(20_786 * 86400)
    rig.mark("bogus")
    rig.clock.run(1)
    rig.clock.step(-20_786 * 86400)
    rig.clock.run(60)
    rig.mark("after")
    moment = rig.timeline().moment("09:00:10")
    assert moment.seq == right
    assert moment.how.startswith("2026-11-24 09:00:10")


def test_a_time_that_was_there_twice_names_both() -> None:
    rig = Rig()
    rig.clock.run(1800)
    before = rig.mark("before")
    rig.clock.run(1800)
    rig.clock.step(-3600)
    rig.live.tend()
    rig.clock.run(1700)
    after = rig.mark("after")
    rig.clock.run(400)
    rig.mark("end")
    with pytest.raises(UnknownMoment, match=f"twice.* seq {before} and seq {after} ") as caught:
        rig.timeline().moment("2026-11-24 09:30:00")
    assert f"--at {after}" in caught.value.hint
    assert rig.timeline().moment("2026-11-24 09:35:00").how
    with pytest.raises(UnknownMoment, match="twice"):
        rig.timeline().moment("09:10", clamp=True)


def test_a_time_before_a_step_ahead_means_the_last_event_before_it() -> None:
    rig = Rig()
    early = rig.mark("early")
    rig.clock.step(3600)
    rig.mark("late")
    assert rig.timeline().moment("2026-11-24 09:30:00").seq == early


@pytest.mark.parametrize("step", [-86400, 86400, -1.0, 1.0])
def test_minutes_ago_are_minutes_that_passed(step: float) -> None:
    rig = Rig()
    seqs = {}
    for minute in range(10):
        seqs[minute] = rig.mark(f"m{minute}")
        rig.clock.run(59)
        if minute == 7:
            rig.clock.step(step)
        rig.clock.run(1)
    seqs[10] = rig.mark("end")
    timeline = rig.timeline()
    assert timeline.moment("-5m").seq == seqs[5]
    assert timeline.moment("-1m").seq == seqs[9]
    assert timeline.moment("-1m30s").seq == seqs[8]
    assert timeline.moment("-5m").since == seqs[5]


def test_minutes_ago_reach_into_the_start_of_the_machine_before() -> None:
    rig = Rig()
    early = rig.mark("early")
    rig.live.close()
    rig.clock.restart("boot-2", 60)
    rig.live = LiveGraph(rig.live.ledger)
    rig.clock.run(10)
    rig.clock.step(5000)
    rig.mark("end")
    with pytest.raises(UnknownMoment, match="before the first event"):
        rig.timeline().moment("-20m")
    assert rig.timeline().moment("-1m5s").seq > early


def test_a_mark_means_when_it_happened() -> None:
    rig = Rig()
    rig.clock.run(10)
    then = rig.mark("then")
    happened = rig.clock.real() + SECOND
    rig.clock.run(60)
    appended = rig.mark("blink", happened=happened, source="LSL")
    moment = rig.timeline().moment("mark:blink")
    assert (moment.seq, moment.time, moment.since) == (then, happened, then + 1)
    assert "happened at 2026-11-24 09:00:11" in moment.how
    assert appended > then
    assert rig.timeline().moment("mark:then").seq == then


def test_a_mark_that_happened_at_a_time_that_was_there_twice_is_of_the_later_one() -> None:
    """The marker came after the clock was set back, so by the clock of then."""
    rig = Rig()
    rig.clock.run(1800)
    rig.mark("before")
    rig.clock.run(1800)
    rig.clock.step(-3600)
    rig.clock.run(1700)
    later = rig.mark("later")
    rig.clock.run(100)
    rig.mark("x", happened=NINE + 1750 * SECOND)
    assert rig.timeline().moment("mark:x").seq == later


def test_a_mark_that_happened_before_all_is_at_the_beginning() -> None:
    rig = Rig()
    rig.mark("x", happened=NINE - 86400 * SECOND)
    rig.mark("y", happened=NINE + 86400 * SECOND)
    assert rig.timeline().moment("mark:x").seq == 0
    assert rig.timeline().moment("mark:y").seq == rig.live.ledger.head


ZONES = ["UTC", "Europe/Berlin", "America/St_Johns", "Asia/Kathmandu", "Australia/Lord_Howe", "Africa/Monrovia",
         "Pacific/Apia", "America/New_York"]  # fmt: skip


@given(
    begin=st.integers(0, 4_000_000_000 * SECOND),
    gaps=st.lists(st.integers(1, 10_000_000 * SECOND), min_size=1, max_size=8),
    steps=st.lists(st.sampled_from([0, 0, 0, -7 * 86400, 3600, -2, -1800, 40_000_000]), min_size=8, max_size=8),
    zone=st.sampled_from(ZONES),
    digits=st.just(9),
)
def test_a_printed_time_finds_what_it_was_printed_for(
    begin: int, gaps: list[int], steps: list[int], zone: str, digits: int
) -> None:
    """In every zone and season, also where clocks are put back an hour or begin in 1970; unless it was there twice."""
    rig = Rig(begin)
    seqs: list[int] = []
    for gap, step in zip(gaps, steps, strict=False):
        rig.clock.run(gap / SECOND)
        rig.clock.step(step)
        seqs.append(rig.mark("x"))
    timeline = rig.timeline(ZoneInfo(zone))
    for seq in seqs:
        time = timeline.moment(seq).time
        text = time_text(time, ZoneInfo(zone), digits)
        try:
            assert timeline.moment(text).seq == seq
        except UnknownMoment as error:
            assert "twice" in str(error) or " times, for" in str(error)  # noqa: PT017
            assert f"seq {seq}" in str(error)  # noqa: PT017


CHANGES = {
    "Europe/Berlin": [(2026, 3, 29, 1), (2026, 10, 25, 1)],
    "America/New_York": [(2026, 3, 8, 7), (2026, 11, 1, 6)],
    "Australia/Lord_Howe": [(2026, 4, 4, 15), (2026, 10, 3, 15)],  # by half an hour
    "America/Havana": [(2026, 3, 8, 5), (2026, 11, 1, 5)],  # at midnight
    "Africa/Casablanca": [(2026, 2, 15, 2), (2026, 3, 22, 2)],
    "UTC": [(2026, 10, 25, 1)],
}
"""Zones, and instants (UTC) at which clocks there are put forward or back."""


@st.composite
def around_changes(draw: st.DrawFn) -> tuple[ZoneInfo, list[int]]:
    """A zone, and times (ns) of events in the hours around a change of its clocks, in their order."""
    name = draw(st.sampled_from(sorted(CHANGES)))
    change = int(datetime(*draw(st.sampled_from(CHANGES[name])), tzinfo=UTC).timestamp()) * SECOND
    offsets = draw(st.lists(st.integers(-9000 * SECOND, 9000 * SECOND), min_size=1, max_size=8, unique=True))
    on_the_hour = draw(st.lists(st.sampled_from([-3600, -1800, 0, 1800, 3600]), max_size=3, unique=True))
    return ZoneInfo(name), sorted({change + each for each in (*offsets, *(each * SECOND for each in on_the_hour))})


def recorded(times: list[int], zone: ZoneInfo) -> Timeline:
    ledger = Ledger.memory(clock=iter([times[0], *times]).__next__)
    for _ in times:
        ledger.append([ev.Mark(name="x")])
    return Timeline(ledger, zone=zone, now=lambda: None)


@given(around_changes())
def test_a_printed_time_finds_its_event_on_the_nights_when_clocks_change(story: tuple[ZoneInfo, list[int]]) -> None:
    zone, times = story
    timeline = recorded(times, zone)
    for seq, time in enumerate(times, 1):
        assert timeline.moment(time_text(time, zone, 9)).seq == seq


@given(around_changes())
def test_without_its_offset_a_time_that_was_there_twice_names_both(story: tuple[ZoneInfo, list[int]]) -> None:
    """Whoever reads a clock on a wall has no offset. Where two events are meant, none is chosen."""
    zone, times = story
    timeline = recorded(times, zone)
    for seq, time in enumerate(times, 1):
        naive = datetime.fromtimestamp(time // SECOND, zone).replace(tzinfo=None)
        text = f"{naive:%Y-%m-%d %H:%M:%S}.{time % SECOND:09d}"
        instants = {int(naive.replace(tzinfo=zone, fold=fold).timestamp()) * SECOND + time % SECOND for fold in (0, 1)}
        instants = {each for each in instants if times[0] <= each <= times[-1]}
        meant = [sum(each <= instant for each in times) for instant in sorted(instants)]
        if len(set(meant)) < 2:
            assert timeline.moment(text).seq == seq
            continue
        with pytest.raises(UnknownMoment, match="was there twice, for clocks were put back") as refused:
            timeline.moment(text)
        assert all(f"seq {each} (" in str(refused.value) for each in meant)
        assert seq in meant


def test_a_day_on_which_clocks_change_ends_at_midnight() -> None:
    """It has 23 or 25 hours."""
    for day, hours in (("2026-03-29", 23), ("2026-10-25", 25), ("2026-11-24", 24)):
        zone = ZoneInfo("Europe/Berlin")
        begin = int(datetime.fromisoformat(day).replace(tzinfo=zone).timestamp()) * SECOND
        timeline = recorded([begin, begin + hours * 3600 * SECOND - 1, begin + hours * 3600 * SECOND], zone)
        assert (timeline.moment(day).since, timeline.moment(day).seq) == (1, 2)


def test_a_day_whose_midnight_was_there_twice_begins_with_the_first() -> None:
    zone = ZoneInfo("America/Havana")
    begin = int(datetime(2026, 11, 1, tzinfo=zone).timestamp()) * SECOND
    timeline = recorded([begin - 1, begin, begin + 3600 * SECOND, begin + 25 * 3600 * SECOND], zone)
    assert (timeline.moment("2026-11-01").since, timeline.moment("2026-11-01").seq) == (2, 3)


def test_an_offset_with_seconds_is_read() -> None:
    zone = ZoneInfo("Africa/Monrovia")
    text = time_text(1000 * SECOND, zone, 9)
    assert text == "1969-12-31 23:32:10.000000000-00:44:30"
    rig = Rig(1000 * SECOND)
    seq = rig.mark("x")
    assert rig.timeline(zone).moment(text).seq == seq
