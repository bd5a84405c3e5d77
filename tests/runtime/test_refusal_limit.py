"""Refused commands are facts, but one client cannot fill a ledger with them."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from ezmsg.ledger.events import CommandRejected
from ezmsg.ledger.runtime.refusal_limit import (
    AT_THE_DOOR,
    BURST,
    KINDS_MAX,
    RATES,
    RECORDED_MAX,
    RECORDED_S,
    WINDOW_S,
    Refusals,
)


class Clock:
    """A clock that is set by hand, in seconds."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def refusal(
    actor: int | None = 2, command: str = "connect", reason: str = "cycle", argument: int = 0
) -> CommandRejected:
    return CommandRejected(actor=actor, command=command, reason=reason, arguments=[argument])


def admit(refusals: Refusals, times: int, *args: object) -> list[int]:
    """How often each recorded event of ``times`` equal refusals says that it happened."""
    return [event.repeated for _ in range(times) for event in refusals.admit(refusal(*args))]  # type: ignore[arg-type]


def test_a_burst_is_recorded_one_by_one_and_the_rest_is_counted() -> None:
    clock = Clock()
    refusals = Refusals(clock)
    assert admit(refusals, BURST) == [1] * BURST
    assert admit(refusals, 7) == []
    clock.now += WINDOW_S
    assert admit(refusals, 2) == [8, 1]


def test_a_window_ends_by_time_and_not_by_silence() -> None:
    clock = Clock()
    refusals = Refusals(clock)
    recorded = 0
    for _ in range(100):
        recorded += len(refusals.admit(refusal()))
        clock.now += WINDOW_S / 20
    assert recorded == BURST * 5


def test_refusals_differ_by_actor_command_and_reason_but_not_by_their_arguments() -> None:
    refusals = Refusals(Clock())
    for number in range(BURST):
        assert refusals.admit(refusal(argument=number)) == [refusal(argument=number)]
    assert refusals.admit(refusal(argument=99)) == []
    for other in (refusal(actor=3), refusal(actor=None), refusal(command="register"), refusal(reason="malformed")):
        assert refusals.admit(other) == [other]


def test_a_flush_records_what_was_only_counted_with_the_last_of_it() -> None:
    refusals = Refusals(Clock())
    admit(refusals, BURST + 2)
    refusals.admit(refusal(argument=7))
    admit(refusals, BURST + 1, 3)
    admit(refusals, 1, 4)
    (rest,) = refusals.flush(2)
    assert (rest.actor, rest.arguments, rest.repeated) == (2, [7], 3)
    assert refusals.flush(2) == []
    assert [(event.actor, event.repeated) for event in refusals.flush(everything=True)] == [(3, 1)]
    assert refusals.flush(everything=True) == []
    assert admit(refusals, 1) == [1]


def test_those_of_nobody_in_particular_are_flushed_by_themselves() -> None:
    refusals = Refusals(Clock())
    admit(refusals, BURST + 1, None)
    admit(refusals, BURST + 1, 2)
    assert [event.actor for event in refusals.flush(None)] == [None]
    assert [event.actor for event in refusals.flush(2)] == [2]


def test_the_kinds_remembered_are_bounded_and_none_is_forgotten_without_its_count() -> None:
    clock = Clock()
    refusals = Refusals(clock)
    admit(refusals, BURST + 5, 0)
    for actor in range(1, KINDS_MAX):
        clock.now += 2 * RECORDED_S / RECORDED_MAX
        assert len(refusals.admit(refusal(actor))) == 1
    assert len(refusals._windows) == KINDS_MAX
    clock.now += RECORDED_S
    counted, recorded = refusals.admit(refusal(KINDS_MAX))
    assert (counted.actor, counted.repeated) == (0, 5)
    assert (recorded.actor, recorded.repeated) == (KINDS_MAX, 1)
    assert [event.actor for event in refusals.admit(refusal(KINDS_MAX + 1))] == [KINDS_MAX + 1]
    assert len(refusals._windows) == KINDS_MAX


def test_ever_new_ones_are_bounded_together_and_none_is_lost() -> None:
    clock = Clock()
    refusals = Refusals(clock)
    recorded = [event for number in range(5 * RECORDED_MAX) for event in refusals.admit(refusal(reason=f"{number}"))]
    assert sum(event.repeated for event in recorded) <= RECORDED_MAX
    clock.now += RECORDED_S
    again = [event for number in range(5 * RECORDED_MAX) for event in refusals.admit(refusal(reason=f"{number}"))]
    recorded += again + refusals.flush(everything=True)
    assert sum(event.repeated for event in recorded) == 10 * RECORDED_MAX


def test_connections_that_are_turned_away_are_recorded_once_in_a_while() -> None:
    clock = Clock()
    refusals = Refusals(clock)
    burst, seconds = RATES[AT_THE_DOOR]
    assert admit(refusals, 50, None, AT_THE_DOOR) == [1] * burst
    assert len(admit(refusals, 1, None, AT_THE_DOOR, "another reason")) == 1
    clock.now += seconds / 2
    assert admit(refusals, 50, None, AT_THE_DOOR) == []
    clock.now += seconds / 2
    assert admit(refusals, 1, None, AT_THE_DOOR) == [100 - burst + 1]


@given(
    st.lists(
        st.tuples(
            st.one_of(st.none(), st.integers(0, 3)),
            st.integers(1, 2 * BURST),
            st.sampled_from((0.0, WINDOW_S / 2, 2 * WINDOW_S)),
            st.booleans(),
        )
    )
)
def test_every_refusal_is_in_the_counts_once_all_is_flushed(steps: list[tuple[int | None, int, float, bool]]) -> None:
    clock = Clock()
    refusals = Refusals(clock)
    made: Counter[int | None] = Counter()
    recorded: Counter[int | None] = Counter()
    for actor, times, later, flushed in steps:
        clock.now += later
        for _ in range(times):
            made[actor] += 1
            for event in refusals.admit(refusal(actor)):
                recorded[event.actor] += event.repeated
        if flushed:
            for event in refusals.flush(actor):
                recorded[event.actor] += event.repeated
            assert recorded[actor] == made[actor]
    for event in refusals.flush(everything=True):
        recorded[event.actor] += event.repeated
    assert recorded == made
