"""Past states, differences, and whether somebody is still writing."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ezmsg.ledger import events as ev
from ezmsg.ledger.errors import DamagedLedger, UnknownMoment
from ezmsg.ledger.log import Ledger
from ezmsg.ledger.projections.graph.state import GraphState
from ezmsg.ledger.projections.projection import fold
from ezmsg.ledger.projections.questions.timeline import Timeline

TOPICS = ["a", "b", "c", "d"]


def edges(state: GraphState) -> set[tuple[str, str]]:
    return {edge for edge, _ in state.ownership.edges()}


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(TOPICS), st.sampled_from(TOPICS)).filter(lambda e: e[0] < e[1]), max_size=30))
def test_every_past_state_is_the_fold_of_what_came_before(wanted: list[tuple[str, str]]) -> None:
    ledger = Ledger.memory()
    ledger.append([ev.SessionOpened(uuid="s")])
    held: set[tuple[str, str]] = set()
    expected = [set(held)]
    for edge in wanted:
        kind = ev.EdgeDisconnected if edge in held else ev.EdgeConnected
        ledger.append([kind(from_topic=edge[0], to_topic=edge[1], owner=1)])
        held ^= {edge}
        expected.append(set(held))
    timeline = Timeline(ledger)
    assert edges(timeline.at("0")) == set()
    for seq, known in enumerate(expected, start=1):
        state = timeline.at(seq)
        assert (state.seq, edges(state)) == (seq, known)
        state.check()


def test_a_difference_leads_from_one_moment_to_the_other_and_back() -> None:
    ledger = Ledger.memory()
    ledger.append([ev.SessionOpened(uuid="s")])
    ledger.append([ev.EdgeConnected(from_topic="a", to_topic="b", owner=1)])
    ledger.append([ev.SessionCleared(session=1)])
    timeline = Timeline(ledger)
    there, back = timeline.diff("1", "2"), timeline.diff("2", "1")
    assert [change.key for change in there.of("edge")] == [("edge", "a", "b", 1)]
    assert there.apply(timeline.at("1")).digest() == timeline.at("2").digest()
    assert back.apply(timeline.at("2")).digest() == timeline.at("1").digest()
    assert not timeline.diff("2", "2")


def test_the_end_of_a_growing_ledger_moves() -> None:
    ledger = Ledger.memory()
    timeline = Timeline(ledger)
    ledger.append([ev.Mark(name="one")])
    assert timeline.at("mark:one").seq == 1
    ledger.append([ev.Mark(name="two")])
    assert timeline.at("end").seq == timeline.moment("mark:two").seq == 2


def test_an_unknown_moment_has_no_state() -> None:
    with pytest.raises(UnknownMoment):
        Timeline(Ledger.memory()).at("1")


@pytest.fixture
def damaged(tmp_path: Path) -> Path:
    """A sealed ledger of 20 marks; a byte of the 11th was changed."""
    path = tmp_path / "x.ledger"
    with Ledger.open(path) as ledger:
        for number in range(20):
            ledger.append([ev.Mark(name=f"m{number:02}")])
    content = path.read_bytes()
    path.write_bytes(content.replace(b'"name":"m10"', b'"name":m10""'))
    return path


def test_what_comes_before_damage_can_be_looked_at(damaged: Path) -> None:
    with Ledger.open(damaged, "r") as ledger:
        timeline = Timeline(ledger)
        assert timeline.at(10).seq == 10
        assert timeline.moment("mark:m09").seq == 10
        assert timeline.damage is not None
        assert timeline.damage.seq == 10
        with pytest.raises(DamagedLedger):
            timeline.at("end")
        with pytest.raises(UnknownMoment):
            timeline.moment("mark:m15")


# --- who writes ------------------------------------------------------------------------------------------------------

Start = Callable[[str], tuple["subprocess.Popen[str]", Path]]

WRITER = """
import sys
from ezmsg.ledger.log import Ledger
from ezmsg.ledger import events as ev
ledger = Ledger.open(sys.argv[1])
ledger.append([ev.Mark(name="x")])
print("written", flush=True)
sys.stdin.readline()
if sys.argv[2] == "close":
    ledger.close()
print("done", flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[Start]:
    """Starts another process that writes to a ledger; it closes it, or not, when it is told to go on."""
    children = []

    def start(how: str) -> tuple["subprocess.Popen[str]", Path]:
        path = tmp_path / "x.ledger"
        child = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), how], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        children.append(child)
        assert child.stdout is not None
        assert child.stdout.readline() == "written\n"
        return child, path

    yield start
    for child in children:
        child.kill()
        child.communicate()


def test_a_writer_in_another_process_is_seen_until_it_is_gone(writer: Start) -> None:
    child, path = writer("leave")
    with Ledger.open(path, "r") as ledger:
        assert ledger.being_written
        assert "before now" in Timeline(ledger).moment("-0s").how
        child.kill()
        child.wait()
        assert not ledger.being_written
        assert "before the last event" in Timeline(ledger).moment("-0s").how


def test_a_writer_that_closed_is_none_though_its_process_lives(writer: Start) -> None:
    child, path = writer("close")
    child.stdin.write("\n")
    child.stdin.flush()
    assert child.stdout.readline() == "done\n"
    with Ledger.open(path, "r") as ledger:
        assert not ledger.being_written


def test_a_writer_of_this_process_is_seen_and_not_disturbed(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "x.ledger") as ledger:
        ledger.append([ev.Mark(name="x")])
        assert ledger.being_written
        with Ledger.open(tmp_path / "x.ledger", "r") as reader:
            assert reader.being_written
        ledger.append([ev.Mark(name="y")])
        assert ledger.being_written


@pytest.mark.skipif(sys.platform == "win32", reason="an open file cannot be deleted there")
def test_a_writer_whose_lock_file_was_deleted_is_seen_all_the_same(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "x.ledger") as ledger:
        ledger.append([ev.Mark(name="x")])
        (tmp_path / "x.ledger.lock").unlink()
        with Ledger.open(tmp_path / "x.ledger", "r") as reader:
            assert reader.being_written


def test_a_copied_ledger_without_its_lock_has_no_writer(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "x.ledger") as ledger:
        ledger.append([ev.Mark(name="x")])
        (tmp_path / "copy.ledger").write_bytes((tmp_path / "x.ledger").read_bytes())
        with Ledger.open(tmp_path / "copy.ledger", "r") as copy:
            assert not copy.being_written


def test_looking_does_not_keep_anybody_from_writing(tmp_path: Path) -> None:
    path = tmp_path / "x.ledger"
    with Ledger.open(path) as ledger:
        ledger.append([ev.Mark(name="x")])
        content = path.read_bytes()
    path.write_bytes(content)  # as a killed writer leaves it: no seal
    with Ledger.open(path, "r") as reader:
        for _ in range(3):
            assert not reader.being_written
            with Ledger.open(path) as ledger:
                ledger.append([ev.Mark(name="y")])
            path.write_bytes(content)


def test_a_ledger_in_memory_is_being_written() -> None:
    assert Ledger.memory().being_written


def test_at_costs_one_pass_and_leaves_the_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "x.ledger"
    with Ledger.open(path) as ledger:
        ledger.append([ev.Mark(name=str(number)) for number in range(100)])
    before = (path.read_bytes(), sorted(os.listdir(tmp_path)))
    with Ledger.open(path, "r") as ledger:
        assert fold(ledger.read(until=50), GraphState()).digest() == Timeline(ledger).at(50).digest()
    assert (path.read_bytes(), sorted(os.listdir(tmp_path))) == before
