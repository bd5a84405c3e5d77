"""Times as people write and read them."""

from datetime import UTC, datetime, timedelta, timezone, tzinfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ezmsg.ledger.projections.questions.moments import times
from ezmsg.ledger.projections.questions.moments.times import SECOND

NOON = int(datetime(2026, 11, 24, 12, 0, tzinfo=UTC).timestamp()) * SECOND
EAST = timezone(timedelta(hours=5, minutes=30))


def instant(text: str, zone: tzinfo = UTC) -> int:
    written = times.parse(text)
    assert written is not None, text
    return written.instants(zone, datetime(2026, 11, 24))[0]


@pytest.mark.parametrize(
    ("text", "after_noon"),
    [
        ("12:00", 0),
        ("12:00:20", 20 * SECOND),
        ("12:00:20.5", 20 * SECOND + SECOND // 2),
        ("12:00:20,5", 20 * SECOND + SECOND // 2),
        ("12:00:00.000000001", 1),
        ("2026-11-24T12:00:00", 0),
        ("2026-11-24 12:00", 0),
        ("2026-11-24T12:00:00Z", 0),
        ("2026-11-24T13:00:00+01:00", 0),
        ("2026-11-24T13:00:00+0100", 0),
        ("2026-11-24T13:00:00+01", 0),
        ("13:00:00 +01:00", 0),
        ("06:30-05:30", 0),
        ("13:00 Europe/Berlin", 0),
        ("13:00[Europe/Berlin]", 0),
        ("2026-11-24", -12 * 3600 * SECOND),
        ("9:30", -(2 * 3600 + 1800) * SECOND),
    ],
)
def test_a_written_time_is_this_instant(text: str, after_noon: int) -> None:
    assert instant(text) - NOON == after_noon


def test_a_time_without_a_zone_is_the_viewers() -> None:
    assert instant("17:30", EAST) == NOON
    assert instant("12:00Z", EAST) == NOON


@pytest.mark.parametrize("text", ["", "noon", "12", "12:0", "24-11-2026", "2026-11-24T", "12:00:00.", "T12:00", "-5m"])
def test_what_is_no_time_is_not_taken_for_one(text: str) -> None:
    assert times.parse(text) is None


@pytest.mark.parametrize(
    "text",
    ["24:00", "12:60", "12:00:60", "2026-13-01", "2026-02-30 12:00", "12:00+24:00", "12:00+01:75", "12:00 Mars/X"],
)
def test_a_time_that_does_not_exist_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        times.parse(text)


@pytest.mark.parametrize(
    ("text", "width"),
    [
        ("2026-11-24", 86400 * SECOND),
        ("12:00", 60 * SECOND),
        ("12:00:00", SECOND),
        ("12:00:00.1", SECOND // 10),
        ("12:00:00.123456789", 1),
    ],
)
def test_a_time_is_as_exact_as_it_is_written(text: str, width: int) -> None:
    written = times.parse(text)
    assert written is not None
    assert written.width == width


@pytest.mark.parametrize(
    ("text", "ns", "words"),
    [
        ("5m", 300 * SECOND, "5 minutes"),
        ("1s", SECOND, "1 second"),
        ("1.5h", 5400 * SECOND, "1.5 hours"),
        ("1h30m", 5400 * SECOND, "1 hour 30 minutes"),
        ("250ms", SECOND // 4, "250 milliseconds"),
        ("2d", 2 * 86400 * SECOND, "2 days"),
        ("0.000000001s", 1, "0.000000001 seconds"),
    ],
)
def test_a_length_of_time(text: str, ns: int, words: str) -> None:
    assert times.span(text) == (ns, words)


@pytest.mark.parametrize("text", ["", "5", "m", "5x", "-5m", "5m ", "1e3s", "\u0665m", "5mm"])
def test_what_is_no_length_of_time(text: str) -> None:
    assert times.span(text) is None


@given(st.integers(-(10**18), 4 * 10**18), st.sampled_from([UTC, EAST, timezone(-timedelta(hours=3))]))
def test_what_is_shown_can_be_given_back(time: int, zone: tzinfo) -> None:
    written = times.parse(times.time_text(time, zone, 9))
    assert written is not None
    assert written.instants(UTC) == [time]


def test_a_shown_time_is_cut_not_rounded_and_names_its_offset() -> None:
    assert times.time_text(NOON - 1, UTC) == "2026-11-24 11:59:59.999+00:00"
    assert times.time_text(NOON, EAST, 0) == "2026-11-24 17:30:00+05:30"


def test_a_time_beyond_all_calendars_is_still_shown() -> None:
    assert "s after 1970" in times.time_text(2**63 - 1 + 10**21, UTC)


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        (0, "0.000"),
        (12_345_678_901, "12.345"),
        (205 * SECOND, "3:25.000"),
        (3805 * SECOND, "1:03:25.000"),
        (90061 * SECOND, "1d 1:01:01.000"),
        (-1_500_000_000, "-1.500"),
    ],
)
def test_elapsed_time(ns: int, text: str) -> None:
    assert times.elapsed_text(ns) == text
