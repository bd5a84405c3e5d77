"""``--since`` and ``--until``: from which event to which."""

import pytest

from ezmsg.ledger import Ledger
from ezmsg.ledger.events import Mark
from ezmsg.ledger.projections import Timeline
from ezmsg.ledger.tools.exits import Misuse
from ezmsg.ledger.tools.input.span import span


@pytest.fixture
def timeline() -> Timeline:
    ledger = Ledger.memory()
    ledger.append([Mark(name=name) for name in ("one", "two", "three", "four")])
    return Timeline(ledger)


@pytest.mark.parametrize(
    ("since", "until", "found"),
    [
        (None, None, (1, 4)),
        ("2", "3", (2, 3)),
        ("3", "3", (3, 3)),
        ("mark:two", None, (2, 4)),
        (None, "mark:two", (1, 2)),
        ("2030-01-01", "2031-01-01", (5, 4)),
        ("2001-01-01", "2002-01-01", (1, 0)),
    ],
)
def test_the_first_and_the_last_event(
    timeline: Timeline, since: str | None, until: str | None, found: tuple[int, int]
) -> None:
    assert span(timeline, since, until) == found


@pytest.mark.parametrize(("since", "until"), [("4", "1"), ("2030-01-01", "2001-01-01"), ("mark:three", "2")])
def test_the_wrong_way_round_is_refused(timeline: Timeline, since: str, until: str) -> None:
    with pytest.raises(Misuse, match=f"--since {since} is after --until {until}"):
        span(timeline, since, until)
