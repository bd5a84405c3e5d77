"""A ledger of segments is the ledger that one file would be, wherever it was rotated and whatever was dropped."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ezmsg.ledger import Ledger
from ezmsg.ledger import events as ev
from ezmsg.ledger.errors import EventError, HistoryDropped, UnknownMoment
from ezmsg.ledger.projections import GraphState, Timeline, feed, fold
from ezmsg.ledger.projections.graph import segment_start
from ezmsg.ledger.projections.graph.replay import beginning, state_at, state_of
from ezmsg.ledger.projections.graph.segment_start import rotate, states_of
from ezmsg.ledger.storage.disk import Disk


class HastyDisk(Disk):
    """Does not wait for the disk."""

    def sync(self, handle: int) -> None: ...

    def sync_folder(self, path: str) -> None: ...


def write(folder: Path, events: list[Any], ends: set[int]) -> tuple[Path, Path]:
    """The same history as a file and as a folder, with a rotation behind each of the seqs ``ends``."""
    paths = folder / "file.ledger", folder / "folder.ledger"
    disk = HastyDisk()
    with (
        Ledger.open(paths[0], durability="none", disk=disk) as file,
        Ledger.open(paths[1], durability="none", disk=disk, segmented=True) as segmented,
    ):
        state = GraphState()
        for event in events:
            for ledger in (file, segmented):
                ledger.append_late([event])
            state.apply(event)
            if event.seq in ends:
                assert segmented.rotate(states_of(state), state.seq)
    return paths


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_any_history_with_any_rotations(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, histories: st.SearchStrategy[list[Any]]
) -> None:
    events = data.draw(histories)
    seqs = [event.seq for event in events]
    ends = data.draw(st.sets(st.sampled_from(seqs), max_size=6)) if seqs else set()
    folder = tmp_path_factory.mktemp("x")
    single, segmented = write(folder, events, ends)
    gone = data.draw(st.integers(0, len(ends)))
    with Ledger.open(single, "r") as file, Ledger.open(segmented, "r") as whole:
        assert list(whole.entries()) == list(file.entries()) == events
        assert whole.verify().sound
        assert list(feed(whole.read())) == list(feed(file.read()))
        for time in {event.time for event in events}:
            assert whole.seq_at(time) == file.seq_at(time)
        for number in range(1, gone + 1):
            (segmented / f"{number:06}.ledger").unlink()
        with Ledger.open(segmented, "r") as ledger:
            assert ledger.verify().sound
            assert ledger.first == (sorted(ends)[gone - 1] + 1 if gone else 1)
            asked = sorted({*ends, *data.draw(st.lists(st.sampled_from(seqs), max_size=5))}) if seqs else []
            for seq in (seq for seq in asked if seq >= ledger.first - 1):
                assert state_at(ledger, seq).digest() == fold(file.read(until=seq), GraphState()).digest()
            state = state_at(ledger)
            assert state.digest() == fold(file.read(), GraphState()).digest()
            state.check()
            start = beginning(ledger)
            assert start.seq == ledger.first - 1
            kept = [entry for entry in feed(file.read()) if entry.number > _reached(start, entry)]
            assert list(feed(ledger.read(), start)) == kept
    shutil.rmtree(folder)


def _reached(state: GraphState, entry: Any) -> int:
    return state.topology if type(entry).__name__ == "TopologyChanged" else state.settings_changes


EVENTS: list[Any] = [
    ev.ServerStarted(uuid="r", kind="server", name="rig", host="h", pid=1),
    ev.SessionOpened(uuid="aaa", label="stim"),
    ev.EdgeConnected(from_topic="A", to_topic="B", owner=2),
    ev.Mark(name="early"),
    ev.SessionOpened(uuid="bbb", label="view"),
    ev.EdgeConnected(from_topic="B", to_topic="C", owner=5),
    ev.Mark(name="late"),
    ev.SessionClosed(session=2, reason="lost"),
]


@pytest.fixture
def dropped(tmp_path: Path) -> Path:
    """A folder whose history begins with seq 5, in the middle of a run and a session."""
    stamped = [ev.stamped(event, seq, 10**18 + seq * 10**9) for seq, event in enumerate(EVENTS, 1)]
    _, path = write(tmp_path, stamped, {4, 6})
    (path / "000001.ledger").unlink()
    return path


def test_a_timeline_of_what_is_left(dropped: Path) -> None:
    with Ledger.open(dropped, "r") as ledger:
        timeline = Timeline(ledger)
        assert sorted(timeline.landmarks.sessions) == [2, 5]
        assert [(run.start, run.name) for run in timeline.landmarks.runs] == [(1, "rig")]
        assert timeline.moment("start").seq == 5
        assert timeline.moment("end").seq == 8
        assert timeline.moment("mark:late").seq == 7
        assert [mark.name for mark in timeline.landmarks.marks] == ["late"]
        assert timeline.at("start").ownership.graph() == {"A": ["B"], "B": []}
        assert timeline.at("4").ownership.graph() == {"A": ["B"], "B": []}
        assert [change.key for change in timeline.diff("4", "6").of("edge")] == [("edge", "B", "C", 5)]
        assert timeline.moment("1970-01-01", clamp=True).seq == 4
        assert timeline.moment("1970-01-01", clamp=True).since == 5


@pytest.mark.parametrize("text", ["0", "1", "3"])
def test_a_moment_before_the_history(dropped: Path, text: str) -> None:
    says = f"seq {text} is no longer in"
    with Ledger.open(dropped, "r") as ledger, pytest.raises(UnknownMoment, match=says) as caught:
        Timeline(ledger).at(text)
    assert "The ledger holds seq 5" in caught.value.hint


@pytest.mark.parametrize("text", ["mark:early", "1970-01-01"])
def test_a_name_or_a_time_before_the_history(dropped: Path, text: str) -> None:
    with Ledger.open(dropped, "r") as ledger, pytest.raises(UnknownMoment):
        Timeline(ledger).at(text)


def test_a_segment_that_has_just_begun(tmp_path: Path) -> None:
    stamped = [ev.stamped(event, seq, 10**18) for seq, event in enumerate(EVENTS, 1)]
    _, path = write(tmp_path, stamped, {8})
    (path / "000001.ledger").unlink()
    with Ledger.open(path, "r") as ledger:
        timeline = Timeline(ledger)
        assert (ledger.first, ledger.head) == (9, 8)
        assert timeline.at("end").ownership.graph() == {"B": ["C"], "C": []}
        assert timeline.at("start").seq == timeline.at("8").seq == 8
        assert state_at(ledger).digest() == timeline.at("end").digest()


def test_a_checkpoint_of_a_newer_version(tmp_path: Path) -> None:
    """It is derived: with the events before it, nothing is lost."""
    path = tmp_path / "x.ledger"
    with Ledger.open(path, segmented=True) as ledger:
        for event in EVENTS[:3]:
            ledger.append([event])
        ledger.rotate([b'{"something":"else"}'])
        ledger.append([EVENTS[3]])
        expected = fold(ledger.read(), GraphState()).digest()
        assert state_at(ledger).digest() == expected
        ledger.drop(2**62)
        with pytest.raises(EventError, match="not a checkpoint"):
            state_at(ledger)


def test_no_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "x.ledger"
    with Ledger.open(path, segmented=True) as ledger:
        ledger.append([EVENTS[0]])
        ledger.rotate()
        ledger.append([EVENTS[3]])
        assert state_at(ledger).seq == 2
    (path / "000001.ledger").unlink()
    with Ledger.open(path, "r") as ledger, pytest.raises(HistoryDropped, match="without a checkpoint"):
        state_at(ledger)


@pytest.mark.parametrize("piece", [1, 7, 100, 2**20])
def test_a_long_state_is_kept_in_pieces(monkeypatch: pytest.MonkeyPatch, piece: int) -> None:
    monkeypatch.setattr(segment_start, "PIECE", piece)
    events = [*EVENTS[:2], ev.EdgeConnected(from_topic='\u00e9"\\\U0001f9e0', to_topic="\u2192", owner=2)]
    state = fold([[ev.stamped(event, seq, seq) for seq, event in enumerate(events, 1)]], GraphState())
    states = states_of(state)
    assert (len(states) == 1) == (piece == 2**20)
    assert max(map(len, states)) <= max(6 * piece + 2, 1000)
    assert state_of(states).digest() == state.digest()


def test_what_comes_while_a_segment_is_made_ready(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The state is encoded while others append: what they append goes behind it, as events."""
    with Ledger.open(tmp_path / "x.ledger", segmented=True) as ledger:
        ledger.append(EVENTS[:3])
        encode, seal = segment_start.encode, ledger._writer._seal_early  # type: ignore[attr-defined]

        def encoding(state: GraphState) -> bytes:
            ledger.append(EVENTS[3:6])
            return encode(state)

        def sealing() -> None:
            ledger.append(EVENTS[6:])
            seal()

        monkeypatch.setattr(segment_start, "encode", encoding)
        monkeypatch.setattr(ledger._writer, "_seal_early", sealing)  # type: ignore[attr-defined]
        assert rotate(ledger)
        assert ledger.first == 1
        start = ledger.start()
        assert start is not None
        assert start.seq == 8
        assert [each["type"] for each in json.loads(start.states[-1])] == [
            "mark", "session.opened", "edge.connected", "mark", "session.closed",
        ]  # fmt: skip
        assert state_of(start.states).digest() == fold(ledger.read(), GraphState()).digest()
        monkeypatch.undo()
        ledger.append([ev.Mark(name="x")])
        assert rotate(ledger)
        assert not rotate(ledger)
        assert len(ledger.start().states) == 1  # type: ignore[union-attr]


def test_much_that_comes_meanwhile_is_several_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segment_start, "PIECE", 200)
    events = [ev.stamped(event, seq, seq) for seq, event in enumerate(EVENTS, 1)]
    state = fold([events[:2]], GraphState())
    lists = segment_start.added(events[2:])
    assert len(lists) > 1
    assert [line["seq"] for each in lists for line in json.loads(each)] == list(range(3, 9))
    assert state_of([*states_of(state), *lists]).digest() == fold([events], GraphState()).digest()
    with pytest.raises(EventError, match=r"not a checkpoint: event . does not follow 2"):
        state_of([*states_of(state), *lists[1:]])


@pytest.mark.parametrize("states", [[b"1", b"2"], [b'"{"', b'"x"'], [], [b'"{}"']])
def test_pieces_of_nothing(states: list[bytes]) -> None:
    with pytest.raises(EventError, match="not a checkpoint"):
        state_of(states)
