"""Questions to a ledger whose first segments are gone: the answers of a replay, and nothing of what is gone."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ezmsg.ledger import events as ev
from ezmsg.ledger.errors import HistoryDropped, UnknownMoment
from ezmsg.ledger.log import Ledger
from ezmsg.ledger.projections.graph.segment_start import rotate
from ezmsg.ledger.projections.graph.state import GraphState
from ezmsg.ledger.projections.lifetimes.index import open_index
from ezmsg.ledger.projections.projection import fold
from ezmsg.ledger.projections.questions.timeline import Timeline
from ezmsg.ledger.storage.disk import OS_DISK

pytestmark = pytest.mark.usefixtures("small_steps")

EDGES = [("A", "B"), ("B", "C"), ("A", "X")]


def story() -> Iterator[Any]:
    """Edges that come and go with sessions, over and over."""
    yield ev.ServerStarted(uuid="r", kind="server", name="rig", host="h", pid=1)
    yield ev.SessionOpened(uuid="a", label="early")
    yield ev.EdgeConnected(from_topic="A", to_topic="B", owner=2)
    yield ev.SubscriberOpened(uuid="s", topic="C")
    for seq in range(5, 80, 5):
        yield ev.SessionOpened(uuid=f"u{seq}", label="viewer")
        yield ev.EdgeConnected(from_topic="B", to_topic="C", owner=seq)
        yield ev.EdgeConnected(from_topic="A", to_topic="X", owner=None)
        yield ev.EdgeDisconnected(from_topic="A", to_topic="X", owner=None)
        yield ev.SessionClosed(session=seq, reason="lost")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Three segments: they end in the middle of things, with seqs 27 and 51."""
    found = tmp_path / "x.ledger"
    with Ledger.open(found, durability="none", segmented=True) as ledger:
        for event in story():
            ledger.append([event])
            if ledger.head in (27, 51):
                rotate(ledger)
    return found


def states(path: Path) -> dict[int, GraphState]:
    """Every state, replayed while all events are there."""
    with Ledger.open(path, "r") as ledger:
        return {seq: fold(ledger.read(until=seq), GraphState()) for seq in range(1, ledger.head + 1)}


def drop(path: Path, number: int) -> None:
    (path / f"{number:06}.ledger").unlink()


def holds(state: GraphState, edge: tuple[str, str]) -> bool:
    return edge in state.ownership


@pytest.mark.parametrize("index", [False, True])
def test_answers_are_those_of_a_replay(path: Path, index: bool) -> None:
    replayed = states(path)
    drop(path, 1)
    with Ledger.open(path, "r") as ledger:
        assert ledger.first == 28
        looked = Timeline(ledger, index=index)
        for seq in range(27, ledger.head + 1):
            assert looked.at(seq).digest() == replayed[seq].digest()
            for edge in EDGES:
                answer = looked.why(" -> ".join(edge), seq)
                assert answer.holds == holds(replayed[seq], edge)
                owners = {life.owner for life in answer.lives} if answer.holds else set()
                assert owners == dict(replayed[seq].ownership.edges()).get(edge, set())
        for edge in EDGES:
            text = " -> ".join(edge)
            for found in (looked.when(f"edge {text}").spans, looked.history(text).spans, looked.path(*edge).spans):
                for seq in range(27, ledger.head + 1):
                    there = any(span.born <= seq and (span.died is None or seq < span.died) for span in found)
                    assert there == holds(replayed[seq], edge), (text, seq)
            nots = looked.when(f"not edge {text}").spans
            assert all(span.born >= 27 for span in nots)
        assert looked.when("edges >= 0").spans[0].born == 27


def test_what_was_there_before_has_no_cause_but_that(path: Path) -> None:
    drop(path, 1)
    with Ledger.open(path, "r") as ledger:
        looked = Timeline(ledger)
        [life] = looked.why("A -> B").lives
        assert (life.born, life.owner, life.came.kind, life.came.seq) == (27, 2, "earlier", 27)
        assert looked.when("A -> B", causes=True).spans[0].came == life.came
        assert looked.why("endpoint 4").lives[0].came.kind == "earlier"
        assert looked.explain("C").reasons
        with pytest.raises(HistoryDropped, match="opened before the first event"):
            looked.without("early")
        assert looked.without("viewer", 77).gone_edges == [("B", "C")]
        with pytest.raises(UnknownMoment, match=r"session 2 .* opened before") as caught:
            looked.at("session:early")
        assert "The ledger holds seq 28" in caught.value.hint


def test_an_index_is_not_believed_once_segments_are_gone(path: Path) -> None:
    with Ledger.open(path, "r") as ledger:
        before = Timeline(ledger).when("edge B -> C")
        assert before.first == 6
    kept = Path(f"{path}.index")
    assert kept.exists()
    for number, first in ((1, 28), (2, 52)):
        drop(path, number)
        with Ledger.open(path, "r") as ledger:
            found = Timeline(ledger).when("edge B -> C")
            assert found.first is not None
            assert found.first >= first
            assert found.last == before.last
            index = open_index(OS_DISK, str(kept), ledger.id)
            assert index is not None
            assert index.head.first == first, "it was made anew"


def test_segments_that_go_while_somebody_looks(path: Path) -> None:
    with Ledger.open(path, "a") as ledger:
        looked = Timeline(ledger, index=False)
        assert looked.when("edge B -> C").first == 6
        ledger.drop(2**62)  # type: ignore[attr-defined]
        assert ledger.first == 52
        found = looked.when("edge B -> C")
        assert found.first is not None
        assert found.first >= 52
