"""Turns: never two at once for one publisher on one host, in the order in which they asked, and nothing is kept."""

from collections.abc import Callable
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from ezmsg.ledger.runtime.server.joining import Joining, Turns

KEYS: list[Joining] = [("h", "a"), ("h", "b"), ("h", "c"), ("g", "a")]


@given(st.lists(st.lists(st.sampled_from(KEYS), min_size=1, unique=True), max_size=8), st.randoms())
def test_everybody_comes_to_turn_and_nobody_beside_another(wanted: list[list[Joining]], chance: Random) -> None:
    turns = Turns()
    joining: dict[int, list[Joining]] = {}
    came: list[int] = []

    def attempt(number: int) -> Callable[[], None]:
        def again() -> None:
            if turns.take(wanted[number], again):
                joining[number] = wanted[number]
                came.append(number)

        return again

    for number in range(len(wanted)):
        attempt(number)()
    while joining:
        held = [each for keys in joining.values() for each in keys]
        assert len(held) == len(set(held))
        turns.give_back(joining.pop(chance.choice(sorted(joining))))
    assert sorted(came) == list(range(len(wanted)))
    assert (turns._taken, turns._next) == (set(), {})


def test_the_first_that_asked_comes_next() -> None:
    turns, came = Turns(), []
    key = [("h", "a")]

    def attempt(name: str) -> None:
        if turns.take(key, lambda: attempt(name)):
            came.append(name)

    for name in "xyz":
        attempt(name)
    for _ in "xyz":
        turns.give_back(key)
    assert came == ["x", "y", "z"]
