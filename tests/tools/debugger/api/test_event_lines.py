"""Events told without the state before them are told in the same words."""

from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

import pytest

from ezmsg.ledger import events as ev
from ezmsg.ledger.log import Ledger
from ezmsg.ledger.tools.debugger.api import event_lines as module
from ezmsg.ledger.tools.debugger.api.event_lines import event_lines
from ezmsg.ledger.tools.debugger.watched import Watched

HISTORIES = range(3)


@pytest.fixture
def watching() -> Iterator[Callable[[Path], Watched]]:
    opened: list[Watched] = []

    def watch(path: Path) -> Watched:
        opened.append(Watched(path))
        return opened[-1]

    yield watch
    for each in opened:
        each.close()


def told(watched: Watched, after: int, number: int, fold: bool) -> Any:
    document = event_lines(watched, after, watched.head, number, fold=fold)
    return document["lines"], document["events"], document["next"]


@pytest.mark.parametrize("seed", HISTORIES)
def test_every_kind_of_event_is_told_the_same(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, watching: Any, long_history: Any
) -> None:
    path = long_history(tmp_path / "all.ledger", seed, 300)
    by_state, without = watching(path), watching(path)
    random = Random(seed)
    for after in range(by_state.head):
        number, fold = random.randint(1, 12), random.random() < 0.5
        by_state._states.clear()
        without._states.clear()
        monkeypatch.setattr(module, "FOLDED_MAX", 10**9)
        expected = told(by_state, after, number, fold)
        monkeypatch.setattr(module, "FOLDED_MAX", -1)
        assert told(without, after, number, fold) == expected, f"seed {seed}, after {after}"


def test_edges_and_sessions_of_a_long_history_need_no_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, watching: Any
) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[4]))
    from benchmarks.workload import Laboratory

    path = tmp_path / "edges.ledger"
    with Ledger.open(path, durability="none") as ledger:
        ledger.append(list(islice(Laboratory().events(), 8_000)))
    watched, by_state = watching(path), watching(path)
    asked: list[int] = []
    monkeypatch.setattr(watched, "state_after", asked.append)
    for after in Random(4).sample(range(2_001, 7_800), 25):
        assert told(watched, after, 200, True) == told(by_state, after, 200, True)
    assert asked == []


def test_a_page_goes_on_where_the_last_one_ended_whatever_told_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, watching: Any
) -> None:
    monkeypatch.setattr(module, "FOLDED_MAX", -1)
    path = tmp_path / "growing.ledger"
    with Ledger.open(path) as ledger:
        ledger.append([ev.SessionOpened(uuid="u", label="viewer")])
        ledger.append([ev.EdgeConnected(from_topic="A", to_topic="B", owner=1), ev.Mark(name="seen")])
        watched = watching(path)
        assert [line.text for line in told(watched, 0, 2, False)[0]] == [
            'session 1 "viewer" opened',
            'session 1 "viewer" connected A -> B',
        ]
        ledger.append([ev.SessionClosed(session=1, reason="lost")])
        watched.look()
        lost = 'session 1 "viewer" was lost while it held 1 edge, now gone: A -> B'
        assert told(watched, 2, 5, False)[0][-1].text == lost
