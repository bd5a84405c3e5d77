"""One ledger's lifetimes, landmarks and states, which come from one index and grow with the ledger."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ezmsg.ledger import events as ev
from ezmsg.ledger.log import Ledger
from ezmsg.ledger.projections.graph.state import GraphState
from ezmsg.ledger.projections.lifetimes.archive import Archive
from ezmsg.ledger.projections.lifetimes.landmarks import Landmarks
from ezmsg.ledger.projections.lifetimes.session_lives import SessionLives
from ezmsg.ledger.projections.projection import fold

pytestmark = pytest.mark.usefixtures("small_steps")


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """A ledger with an index of its first forty events, and nothing after them."""
    with Ledger.open(tmp_path / "x.ledger") as ledger:
        for number in range(40):
            ledger.append([ev.EdgeConnected(from_topic=f"A{number}", to_topic="B", owner=None)])
        Archive(ledger).lifetimes()
        assert (tmp_path / "x.ledger.index").exists()
        yield ledger


def landmarks(archive: Archive, of: str) -> Landmarks:
    return archive.landmarks if of == "archive" else archive.lifetimes().landmarks


@pytest.mark.parametrize("order", [("archive", "lifetimes"), ("lifetimes", "archive")])
def test_a_mark_counts_once_whatever_is_asked_first(ledger: Ledger, order: tuple[str, str]) -> None:
    """Both read on from one index, each for itself."""
    ledger.append([ev.Mark(name="after the index")])
    archive = Archive(ledger)
    for of in (*order, *order):
        found = landmarks(archive, of)
        assert [mark.name for mark in found.marks] == ["after the index"]
        assert found.seq == ledger.head


def test_a_mark_counts_once_while_the_ledger_grows(ledger: Ledger) -> None:
    archive = Archive(ledger)
    for number in range(1, 4):
        ledger.append([ev.Mark(name=f"mark {number}")])
        for of in ("archive", "lifetimes", "archive"):
            found = landmarks(archive, of)
            assert [mark.name for mark in found.marks] == [f"mark {each}" for each in range(1, number + 1)]
            assert found.last[0] == ledger.head


def test_landmarks_are_those_of_a_fold(ledger: Ledger) -> None:
    ledger.append([ev.SessionOpened(uuid="u", label="SYSTEM"), ev.Mark(name="m")])
    assert Archive(ledger).landmarks.sections() == fold(ledger.read(), Landmarks()).sections()


def test_sessions_are_those_of_a_fold_and_no_event_is_read_that_the_index_has(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    [opened] = ledger.append([ev.SessionOpened(uuid="u", label="SYSTEM")])
    for number in range(40):
        ledger.append([ev.EdgeConnected(from_topic=f"A{number}", to_topic="C", owner=opened.seq)])
    Archive(ledger).lifetimes()
    ledger.append([ev.EdgeDisconnected(from_topic="A1", to_topic="C", owner=opened.seq)])
    expected = fold(ledger.read(), SessionLives())
    asked, read = [], type(ledger).read
    monkeypatch.setattr(type(ledger), "read", lambda *args: asked.append(args[1:]) or read(*args))
    for archive in (Archive(ledger), Archive(ledger, keep=False)):
        found = archive.session_lives
        assert (found.lives, found.runs, found.seq) == (expected.lives, expected.runs, ledger.head)
        assert (found.lives[opened.seq].edges, found.lives[opened.seq].edges_max) == (39, 40)
    assert asked == [(81,), (0,)]


@pytest.mark.parametrize("keep", [True, False])
def test_any_state_is_that_of_a_replay(ledger: Ledger, keep: bool) -> None:
    archive = Archive(ledger, keep)
    for seq in (0, 1, 9, 10, 25, 40):
        assert archive.state_at(seq).digest() == fold(ledger.read(until=seq), GraphState()).digest()
