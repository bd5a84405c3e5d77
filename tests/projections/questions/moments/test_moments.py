"""What people may call a moment, and which place in the ledger is meant."""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from pathlib import Path

import pytest

from ezmsg.ledger import events as ev
from ezmsg.ledger.errors import UnknownMoment
from ezmsg.ledger.log import Ledger
from ezmsg.ledger.projections.questions.moments.moments import Moment, is_ago, sessions_named
from ezmsg.ledger.projections.questions.moments.times import SECOND
from ezmsg.ledger.projections.questions.timeline import Timeline

UTC = UTC
NINE = int(datetime(2026, 11, 24, 9, 0, tzinfo=UTC).timestamp()) * SECOND
HOUR = 3600 * SECOND

UUIDS = {"first": "aaaa0001-0000", "second": "aaaa0002-0000", "third": "bbbb0003-0000"}


class Story:
    """A ledger in memory whose events happen when they are told to."""

    def __init__(self, start: int = NINE) -> None:
        self.time = start
        self.ledger = Ledger.memory(clock=lambda: self.time)

    def at(self, time: int, *events: ev.Event) -> int:
        self.time = time
        return self.ledger.append(list(events))[-1].seq

    def timeline(self, now: int | None = None, zone: tzinfo = UTC) -> Timeline:
        return Timeline(self.ledger, zone=zone, now=lambda: now)


@pytest.fixture
def story() -> Story:
    """Two runs on one morning: 1-5 from 9:00:00, lost; 6-11 from 9:10:00, stopped."""
    told = Story()
    told.at(NINE, ev.ServerStarted(uuid="r1", kind="server", name="rig", host="h", pid=1))
    told.at(NINE + SECOND, ev.SessionOpened(uuid=UUIDS["first"], label="SYSTEM"))
    told.at(NINE + 2 * SECOND + SECOND // 2, ev.Mark(name="baseline", author="ada"))
    told.at(NINE + 60 * SECOND, ev.EdgeConnected(from_topic="a", to_topic="b", owner=2))
    told.at(NINE + 120 * SECOND, ev.Mark(name="task start"))
    ten_past = NINE + 600 * SECOND
    told.at(
        ten_past,
        ev.ServerLost(server=1),
        ev.ServerStarted(uuid="r2", kind="server", name="rig", host="h", pid=2),
    )
    told.at(ten_past + SECOND, ev.SessionOpened(uuid=UUIDS["second"], label="SYSTEM"))
    told.at(ten_past + 2 * SECOND, ev.SessionOpened(uuid=UUIDS["third"], peer="127.0.0.1:5"))
    told.at(ten_past + 3 * SECOND, ev.Mark(name="baseline"))
    told.at(ten_past + 4 * SECOND, ev.ServerStopped(server=7, reason="stopped"))
    return told


@pytest.mark.parametrize(
    ("text", "seq", "how"),
    [
        ("0", 0, "before the first event"),
        ("4", 4, "seq 4"),
        (" 4 ", 4, "seq 4"),
        ("11", 11, "seq 11"),
        ("start", 1, "the first event"),
        ("end", 11, "the last event"),
        ("mark:baseline", 10, 'mark "baseline", the last of 2 of that name'),
        ("mark:task start", 5, 'mark "task start"'),
        ("session:2", 2, 'session 2 "SYSTEM", just after it opened'),
        ("session:SYSTEM", 8, 'session 8 "SYSTEM", just after it opened, the last of 2 of that name'),
        ("session:bbbb", 9, "session 9, just after it opened"),
        ("session:AAAA0001", 2, 'session 2 "SYSTEM", just after it opened'),
        ("run:1", 5, "run 1: its last event before it was lost"),
        ("run:2", 11, "the end of run 2"),
        ("run:last", 11, "the end of run 2"),
        ("09:01", 4, "2026-11-24 09:01:00+00:00 and the minute after it"),
        ("09:00:01", 2, "2026-11-24 09:00:01+00:00"),
        ("09:00:02", 3, "2026-11-24 09:00:02+00:00"),
        ("09:00:02.4", 2, "2026-11-24 09:00:02.4+00:00"),
        ("09:00:02.5", 3, "2026-11-24 09:00:02.5+00:00"),
        ("10:01:30+01:00", 4, "2026-11-24 10:01:30+01:00"),
        ("2026-11-24T09:05Z", 5, "2026-11-24 09:05:00+00:00 and the minute after it"),
        ("2026-11-24", 11, "2026-11-24 00:00:00+00:00 and the day after it"),
        ("-4s", 7, "4 seconds before the last event (2026-11-24 09:10:00.000+00:00)"),
        ("-10m", 3, "10 minutes before the last event (2026-11-24 09:00:04.000+00:00)"),
        ("-9m4s", 4, "9 minutes 4 seconds before the last event (2026-11-24 09:01:00.000+00:00)"),
    ],
)
def test_a_moment_is_understood(story: Story, text: str, seq: int, how: str) -> None:
    moment = story.timeline().moment(text)
    assert (moment.seq, moment.how, moment.text) == (seq, how, text)


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("12", "there is no seq 12", "seq 1 (2026-11-24 09:00:00.000+00:00) to seq 11 (2026-11-24 09:10:04.000"),
        ("mark:basline", "there is no mark 'basline'", "Did you mean baseline?"),
        ("mark:zzz", "there is no mark 'zzz'", "The marks are: baseline, task start."),
        ("session:SYSTM", "there is no session 'SYSTM'", "Did you mean SYSTEM?"),
        ("session:99", "there is no session '99'", "The sessions are: SYSTEM, 9."),
        ("session:aaaa", "the UUIDs of 2 sessions begin with aaaa", "They are 2 (aaaa0001-0000), 8 (aaaa0002-0000)."),
        ("session:", "there is no session ''", "The sessions are"),
        ("run:0", "there is no run '0'", "2 runs: run:1 to run:2"),
        ("run:3", "there is no run '3'", "run:last"),
        ("run:x", "there is no run 'x'", "run:last"),
        ("08:00", "before the first event", "The ledger holds seq 1"),
        ("11:00", "after the last event", "The ledger holds seq 1"),
        ("2026-11-23", "before the first event", "The ledger holds seq 1"),
        ("-2h", "before the first event", "The ledger holds seq 1"),
        ("25:00", "25:00 is not a moment: there is no such time of day", "Moments are:"),
        ("9999-12-31T23:59:59-12:00", "after the last event", "The ledger holds"),
        ("0001-01-01", "before the first event", "The ledger holds"),
        ("strat", "'strat' is not a moment", "Did you mean start?"),
        ("", "'' is not a moment", "Moments are:"),
        ("-5", "'-5' is not a moment", "Moments are:"),
        ("1.5", "'1.5' is not a moment", "Moments are:"),
        ("²", "'²' is not a moment", "Moments are:"),
    ],
)
def test_what_is_no_moment_here_is_answered_with_what_there_is(
    story: Story, text: str, message: str, hint: str
) -> None:
    with pytest.raises(UnknownMoment) as caught:
        story.timeline().moment(text)
    assert message in str(caught.value)
    assert hint in caught.value.hint


def test_an_empty_ledger_has_a_start_and_an_end_and_nothing_else() -> None:
    story = Story()
    timeline = story.timeline()
    assert [timeline.moment(text).seq for text in ("start", "end", "0")] == [0, 0, 0]
    for text, hint in [
        ("1", "no events yet"),
        ("-5m", "no events yet"),
        ("09:00", "no events yet"),
        ("mark:x", "holds no marks"),
        ("session:x", "holds no sessions"),
        ("run:last", "holds no run yet"),
    ]:
        with pytest.raises(UnknownMoment) as caught:
            timeline.moment(text)
        assert hint in caught.value.hint, text


# --- since -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "since"),
    [("4", 4), ("start", 1), ("0", 1), ("mark:task start", 5), ("session:2", 2), ("09:01", 4), ("09:00:02.6", 4),
     ("-4s", 6), ("run:2", 7), ("2026-11-24", 1)],
)  # fmt: skip
def test_since_a_moment_begins_with_what_happened_then(story: Story, text: str, since: int) -> None:
    assert story.timeline().moment(text).since == since


@pytest.mark.parametrize(("text", "seq", "since"), [("08:00", 0, 1), ("-3h", 0, 1), ("23:00", 11, 12)])
def test_outside_times_can_mean_the_nearer_end(story: Story, text: str, seq: int, since: int) -> None:
    moment = story.timeline().moment(text, clamp=True)
    assert (moment.seq, moment.since) == (seq, since)


def test_a_name_that_is_not_there_is_an_error_even_so(story: Story) -> None:
    with pytest.raises(UnknownMoment):
        story.timeline().moment("mark:nothing", clamp=True)


# --- days, zones, clocks ---------------------------------------------------------------------------------------------


def over_midnight() -> Story:
    story = Story()
    late = NINE + 14 * HOUR  # 23:00
    story.at(late, ev.Mark(name="one"))
    story.at(late + 2 * HOUR, ev.Mark(name="two"))
    return story


@pytest.mark.parametrize(
    ("text", "how", "seq"),
    [
        ("23:30", "2026-11-24 23:30:00+00:00 and the minute after it", 1),
        ("00:30", "2026-11-25 00:30:00+00:00 and the minute after it", 1),
        ("01:00:00", "2026-11-25 01:00:00+00:00", 2),
        ("23:00:00", "2026-11-24 23:00:00+00:00", 1),
    ],
)
def test_a_bare_clock_time_is_on_the_day_that_the_ledger_has_it(text: str, how: str, seq: int) -> None:
    moment = over_midnight().timeline().moment(text)
    assert (moment.how, moment.seq) == (how, seq)


def test_of_several_days_the_last_is_meant() -> None:
    story = Story()
    for day in range(3):
        story.at(NINE + day * 24 * HOUR, ev.Mark(name=str(day)))
    assert story.timeline().moment("09:00:00").seq == 3
    assert story.timeline().moment("10:00:00").how.startswith("2026-11-25")
    assert story.timeline().moment("10:00:00").seq == 2


def test_the_day_is_that_of_the_viewers_zone() -> None:
    east = timezone(timedelta(hours=9))
    timeline = over_midnight().timeline(zone=east)  # 08:00 to 10:00 there
    assert timeline.moment("09:00").how == "2026-11-25 09:00:00+09:00 and the minute after it"
    with pytest.raises(UnknownMoment):
        timeline.moment("23:30")


def test_the_day_is_that_of_the_written_zone_when_one_is_written() -> None:
    east = timezone(timedelta(hours=9))
    assert over_midnight().timeline(zone=east).moment("23:30Z").how.startswith("2026-11-24 23:30:00+00:00")


def test_while_somebody_writes_time_goes_on_behind_the_last_event(story: Story) -> None:
    now = NINE + HOUR
    timeline = story.timeline(now=now)
    assert timeline.moment("09:30").seq == 11
    assert timeline.moment("-5m").how == "5 minutes before now (2026-11-24 09:55:00.000+00:00)"
    assert timeline.moment("-5m").seq == 11
    assert timeline.moment("-59m").seq == 4
    with pytest.raises(UnknownMoment, match="in the future"):
        timeline.moment("2026-11-24 10:30")


def test_with_somebody_writing_a_later_clock_time_was_yesterday() -> None:
    story = Story()
    story.at(NINE - 20 * HOUR, ev.Mark(name="yesterday, 13:00"))
    story.at(NINE, ev.Mark(name="today, 9:00"))
    assert story.timeline(now=NINE + HOUR).moment("14:00").how.startswith("2026-11-23 14:00")


def test_a_clock_that_was_set_back_does_not_put_moments_out_of_reach() -> None:
    story = Story()
    for hour in (10, 12, 9, 11):
        story.at(NINE + (hour - 9) * HOUR, ev.Mark(name=f"{hour}"))
    timeline = story.timeline()
    assert timeline.moment("09:30").seq == 3
    assert timeline.moment("12:00:00").seq == 4
    assert timeline.moment("09:00:00").seq == 3


def test_a_lost_seq_leads_to_the_last_one_before_it() -> None:
    story = Story()
    story.at(NINE, ev.Mark(name="a"))
    story.at(NINE + SECOND, ev.Gap(first=2, last=8, lost=7, late=0, reason="disk full"))
    moment = story.timeline().moment("5")
    assert (moment.seq, moment.since) == (1, 9)
    assert moment.how == "seq 5 was lost (seqs 2 to 8: disk full); the last one before"
    assert story.timeline().at("5").seq == 1
    assert story.timeline().moment("9").seq == 9


# --- small things ----------------------------------------------------------------------------------------------------


def test_what_looks_like_an_option_is_told_apart() -> None:
    assert all(map(is_ago, ["-5m", "-1.5h", "-1h30m", "-250ms"]))
    assert not any(map(is_ago, ["-n", "-5", "--since", "5m", "-", "-m", "-5x"]))


def test_a_moment_and_a_seq_are_taken_as_they_are(story: Story) -> None:
    timeline = story.timeline()
    moment = Moment(text="mine", seq=4, time=0, how="by hand", since=4)
    assert timeline.moment(moment) is moment
    assert timeline.moment(4).seq == 4


def test_a_session_whose_label_is_a_number_can_be_named() -> None:
    story = Story()
    story.at(NINE, ev.SessionOpened(uuid="x", label="7"))
    found = sessions_named(story.timeline().landmarks.sessions, "7")
    assert [mark.seq for mark in found] == [1]


def test_the_viewers_zone_is_the_systems_when_none_is_given(
    zone_of_the_system: Callable[[str], None],
) -> None:
    story = Story()
    story.at(NINE, ev.Mark(name="x"))
    zone_of_the_system("XYZ-03:00")
    moment = Timeline(story.ledger, now=lambda: None).moment("12:00:00")
    assert (moment.seq, moment.how) == (1, "2026-11-24 12:00:00+03:00")


@pytest.fixture
def zone_of_the_system(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    if not hasattr(time, "tzset"):
        pytest.skip("this system's zone cannot be set for one process")

    def set_zone(name: str) -> None:
        monkeypatch.setenv("TZ", name)
        time.tzset()

    yield set_zone
    monkeypatch.undo()
    time.tzset()


def test_a_file_is_resolved_like_a_ledger_in_memory(tmp_path: Path) -> None:
    times = iter(range(NINE, NINE + 10 * SECOND, SECOND))
    with Ledger.open(tmp_path / "x.ledger", clock=lambda: next(times)) as ledger:
        for n in range(5):
            ledger.append([ev.Mark(name=f"m{n}")])
    with Ledger.open(tmp_path / "x.ledger", "r") as ledger:
        timeline = Timeline(ledger, zone=UTC)
        assert timeline.moment("mark:m3").seq == 4
        assert timeline.moment("09:00:03").seq == 3
        assert timeline.moment("-1s").how.startswith("1 second before the last event")
