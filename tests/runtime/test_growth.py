"""How fast a ledger grows."""

import pytest

from ezmsg.ledger.runtime.growth import LEAST_S, STEP_S, WINDOW_S, Growth


def test_it_takes_a_while_to_tell() -> None:
    growth = Growth()
    assert growth.per_hour(0.0, 0) is None
    growth.note(0.0, 100)
    assert growth.per_hour(LEAST_S - 1, 100) is None
    assert growth.per_hour(LEAST_S, 110) == 10 * 3600 / LEAST_S


def test_what_is_longer_ago_than_an_hour_does_not_count() -> None:
    growth = Growth()
    now, appended = 0.0, 0
    while now < 3 * WINDOW_S:
        appended += 1000 if now < WINDOW_S else 10
        growth.note(now, appended)
        now += STEP_S / 4
    assert growth.per_hour(now, appended) == pytest.approx(10 * 4 * 60, rel=0.02)
    assert len(growth._samples) <= WINDOW_S / STEP_S + 2


def test_another_ledger_begins_anew() -> None:
    growth = Growth()
    growth.note(0.0, 5000)
    growth.note(1.0, 10)
    assert growth.per_hour(11.0, 20) == 3600
