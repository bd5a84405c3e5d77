"""Runs, sessions and marks of a ledger."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ezmsg.ledger import events as ev
from ezmsg.ledger.errors import InvalidEvent, OutOfOrder
from ezmsg.ledger.events import stamped
from ezmsg.ledger.log import Ledger
from ezmsg.ledger.projections.lifetimes.landmarks import Landmarks, turns
from ezmsg.ledger.projections.projection import fold


def started(name: str) -> ev.ServerStarted:
    return ev.ServerStarted(uuid="u", kind="server", name=name, host="h", pid=1)


def recorded(*events: ev.Event, times: list[int] | None = None) -> Landmarks:
    now = 0
    ledger = Ledger.memory(clock=lambda: now)
    for event, time in zip(events, times or range(1, len(events) + 1), strict=True):
        now = time
        ledger.append([event])
    return fold(ledger.read(), Landmarks())


def test_runs_are_numbered_and_say_how_they_ended() -> None:
    marks = recorded(
        started("a"),
        ev.ServerStopped(server=1, reason="stopped"),
        started("b"),
        ev.Mark(name="x"),
        ev.ServerLost(server=3, last_seen=77),
        started("c"),
    )
    a, b, c = marks.runs
    assert (a.number, a.start, a.end, a.ending) == (1, 1, 2, "stopped")
    assert (b.number, b.start, b.end, b.ending, b.ended) == (2, 3, 4, "lost", 77)
    assert (c.number, c.start, c.end, c.ending) == (3, 6, None, None)
    found = [marks.run_at(seq) for seq in range(1, 7)]
    assert [run.number for run in found if run] == [1, 1, 2, 2, 2, 3]
    assert marks.run_at(0) is None


def test_a_session_goes_by_its_first_label() -> None:
    metadata = {"$": "GraphMetadata", "root_name": "SYSTEM", "components": {}}
    marks = recorded(
        started("a"),
        ev.SessionOpened(uuid="one", peer="127.0.0.1:1"),
        ev.SessionOpened(uuid="two", label="viewer"),
        ev.MetadataRegistered(session=2, metadata=metadata),
        ev.MetadataRegistered(session=3, metadata=metadata),
    )
    assert [(mark.label, mark.peer, mark.run) for mark in marks.sessions.values()] == [
        ("SYSTEM", "127.0.0.1:1", 1),
        ("viewer", None, 1),
    ]


def test_sessions_of_an_index_are_read_when_they_are_asked_for() -> None:
    marks = recorded(started("a"), ev.SessionOpened(uuid="one", label="viewer"))
    loaded = marks.copy()
    assert loaded.runs == marks.runs
    assert loaded._sessions is None
    again = loaded.copy()
    assert loaded._sessions is None, "a copy needs none of them"
    assert loaded.sessions == marks.sessions
    again.apply(stamped(ev.SessionOpened(uuid="two"), 3, 3))
    assert [list(each.sessions) for each in (loaded, again, again.copy())] == [[2], [2, 3], [2, 3]]


def test_the_bounds_of_time_hold_when_the_clock_was_set_back() -> None:
    marks = recorded(*[ev.Mark(name=str(n)) for n in range(4)], times=[50, 90, 20, 60])
    assert (marks.first, marks.last) == ((1, 50), (4, 60))
    assert (marks.earliest, marks.latest) == (20, 90)
    assert [marks.seq_at(time) for time in (10, 20, 55, 60, 95)] == [0, 3, 3, 4, 4]


def test_a_hole_is_noticed() -> None:
    marks = Landmarks()
    marks.apply(ev.Mark(name="a", seq=1, time=1))
    with pytest.raises(OutOfOrder):
        marks.apply(ev.Mark(name="c", seq=3, time=3))


def test_a_registration_of_nobody_is_a_contradiction() -> None:
    with pytest.raises(InvalidEvent):
        Landmarks().apply(ev.MetadataRegistered(session=9, metadata={}, seq=1, time=1))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 4)), min_size=1, max_size=20), st.integers(1, 7))
def test_taking_stretches_of_one_time_is_as_good_as_noting_each(runs: list[tuple[int, int]], size: int) -> None:
    times = [time for time, number in runs for _ in range(number)]
    events = [stamped(ev.Mark(name="m"), seq, time) for seq, time in enumerate(times, 1)]
    noted, taken = Landmarks(), Landmarks()
    noted.apply_batch(events)
    for begin in range(0, len(events), size):
        piece = events[begin : begin + size]
        taken.take(piece, piece, turns(piece)[1])
    for name in ("seq", "first", "last", "earliest", "latest", "marks"):
        assert getattr(taken, name) == getattr(noted, name), name
    assert [taken.seq_at(time) for time in range(11)] == [noted.seq_at(time) for time in range(11)]
    data, *columns = taken.sections()
    kept = Landmarks.load(data, *(column.copy() for column in columns), taken.seq)
    assert (kept.sections(), kept.seq) == (taken.sections(), taken.seq)
