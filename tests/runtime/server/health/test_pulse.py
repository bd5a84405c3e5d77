"""How fast a server's ledger grows, and how many events it decides."""

from pathlib import Path

import pytest

from ezmsg.ledger.log import Ledger
from ezmsg.ledger.runtime.live import LiveGraph
from ezmsg.ledger.runtime.server.health import pulse as pulse_module
from ezmsg.ledger.runtime.server.health.pulse import (
    GROWTH_MIN_S,
    GROWTH_STEP_S,
    GROWTH_WINDOW_S,
    RATE_WINDOW_S,
    Pulse,
    Speed,
)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time that a pulse sees, to be moved."""
    now = [0.0]
    monkeypatch.setattr(pulse_module, "monotonic", lambda: now[0])
    return now


def test_it_takes_a_while_to_tell_the_growth(clock: list[float], tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "x.ledger") as ledger:
        live = LiveGraph(ledger)
        pulse = Pulse(live)
        clock[0] = GROWTH_MIN_S - 1
        assert pulse.bytes_per_hour is None
        before = ledger.appended
        live.open_session()
        clock[0] = GROWTH_MIN_S
        assert pulse.bytes_per_hour == round((ledger.appended - before) * 3600 / GROWTH_MIN_S) > 0


def test_what_is_longer_ago_than_the_window_does_not_count() -> None:
    growth = Speed(GROWTH_WINDOW_S, GROWTH_STEP_S, 0.0, 0)
    now, count = 0.0, 0
    while now < 3 * GROWTH_WINDOW_S:
        count += 1000 if now < GROWTH_WINDOW_S else 10
        growth.note(now, count)
        now += GROWTH_STEP_S / 4
    assert growth.per_second(now, count) == pytest.approx(10 / (GROWTH_STEP_S / 4), rel=0.02)
    assert len(growth._samples) <= GROWTH_WINDOW_S / GROWTH_STEP_S + 2


def test_another_ledger_begins_anew() -> None:
    growth = Speed(GROWTH_WINDOW_S, GROWTH_STEP_S, 0.0, 5000)
    growth.note(1.0, 10)
    assert growth.per_second(11.0, 20) == 1.0


def test_the_rate_is_that_of_the_last_seconds(clock: list[float]) -> None:
    live = LiveGraph(Ledger.memory())
    pulse = Pulse(live)
    assert pulse.events_per_second == 0.0
    for _ in range(20):
        for _ in range(3):
            live.open_session()
        clock[0] += 1.0
        pulse.beat()
    assert pulse.events_per_second == pytest.approx(3.0)
    clock[0] += 2 * RATE_WINDOW_S
    pulse.beat()
    assert pulse.events_per_second == 0.0
    assert len(pulse._events._samples) < 2 * RATE_WINDOW_S
