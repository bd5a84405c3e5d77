"""A ledger that was cut out of another one answers as that one does, and nothing half made is ever left."""

import errno
import os
import re
import shutil
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ezmsg.ledger import Ledger
from ezmsg.ledger import events as ev
from ezmsg.ledger.audit.receipt import check, take
from ezmsg.ledger.errors import CutBack, DamagedLedger, LogError, OtherHistory, OtherLedger
from ezmsg.ledger.projections import GraphState, Timeline, feed
from ezmsg.ledger.projections.copies.cut import cut
from ezmsg.ledger.projections.copies.descent import check_descent
from ezmsg.ledger.projections.graph.replay import beginning, state_at
from ezmsg.ledger.projections.graph.segment_start import rotate, states_of
from ezmsg.ledger.storage.disk import Disk


class HastyDisk(Disk):
    """Does not wait for the disk."""

    def sync(self, handle: int) -> None: ...

    def sync_folder(self, path: str) -> None: ...


class SmallDisk(Disk):
    """Takes ``space`` bytes and no more."""

    def __init__(self, space: int) -> None:
        self.space = space

    def write(self, handle: int, data: bytes | memoryview, offset: int) -> int:
        if not self.space:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written = super().write(handle, data[: self.space], offset)
        self.space -= written
        return written


def reached(state: GraphState, entry: Any) -> int:
    return state.topology if type(entry).__name__ == "TopologyChanged" else state.settings_changes


def lines_of(path: Path) -> list[bytes]:
    return [line for line in path.read_bytes().splitlines() if not line.startswith(b'{"type":"ledger.')]


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_any_span_of_any_history(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, histories: st.SearchStrategy[list[Any]]
) -> None:
    events = data.draw(histories.filter(len))
    seqs = [event.seq for event in events]
    segmented, disk = data.draw(st.booleans()), HastyDisk()
    folder = tmp_path_factory.mktemp("x")
    with Ledger.open(folder / "whole", durability="none", disk=disk, segmented=segmented) as ledger:
        state, rest = GraphState(), list(events)
        while rest:
            size = data.draw(st.integers(1, 4))
            ledger.append_late(rest[:size])
            state.apply_batch(rest[:size])
            rest = rest[size:]
            if segmented and data.draw(st.booleans()):
                ledger.rotate(states_of(state), state.seq)
    first, last = sorted((data.draw(st.sampled_from(seqs)), data.draw(st.sampled_from(seqs))))
    with Ledger.open(folder / "whole", "r") as whole:
        made = cut(whole, first, last, folder / "part", disk)
        with Ledger.open(folder / "part", "r") as part:
            kept = [event for event in events if first <= event.seq <= last]
            assert list(part.entries()) == kept
            assert (made.events, part.head, made.last) == (len(kept), last, last)
            found = part.verify()
            assert (found.sound, found.sealed, found.events, found.problems) == (True, True, len(kept), [])
            for event in kept:
                assert state_at(part, event.seq).digest() == state_at(whole, event.seq).digest()
            start = beginning(part)
            entries = [entry for entry in feed(whole.read(until=last)) if entry.number > reached(start, entry)]
            assert list(feed(part.read(), start)) == entries
            descent = check_descent(part, whole)
            assert (descent.events, descent.state, descent.added) == (len(kept), True, 0)
            again = cut(part, kept[0].seq, kept[-1].seq, folder / "again", disk)
            assert again.origin.ledger == part.id
            with Ledger.open(folder / "again", "r") as second:
                assert [each.ledger for each in second.origins] == [whole.id, part.id]
                assert check_descent(second, whole).events == check_descent(second, part).events == len(kept)
    shutil.rmtree(folder)


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    """A session that holds an edge, and marks, two of which came at once."""
    path = tmp_path / "whole.ledger"
    with Ledger.open(path) as ledger:
        ledger.append([ev.ServerStarted(uuid="r", kind="server", name="rig", host="h", pid=1, rules=2)])
        ledger.append([ev.SessionOpened(uuid="s", label="stim")])
        ledger.append([ev.EdgeConnected(from_topic="A", to_topic="B", owner=2)])
        ledger.append([ev.Mark(name="four"), ev.Mark(name="five")])
        ledger.append([ev.Mark(name="six")])
    return path


def cut_out(path: Path, first: int, last: int, disk: Disk | None = None) -> Path:
    target = path.with_name("part.ledger")
    with Ledger.open(path, "r") as ledger:
        cut(ledger, first, last, target, disk or Disk())
    return target


def test_a_commit_can_be_cut_in_two(whole: Path) -> None:
    part = cut_out(whole, 3, 4)
    assert lines_of(part) == lines_of(whole)[2:4]


def test_ids_of_things_stay_and_answers_too(whole: Path) -> None:
    with Ledger.open(cut_out(whole, 4, 5), "r") as part, Ledger.open(whole, "r") as ledger:
        assert part.id != ledger.id
        assert Timeline(part).at(5).snapshot() == Timeline(ledger).at(5).snapshot()


def test_it_can_be_recorded_to_and_rotated(whole: Path) -> None:
    part = cut_out(whole, 4, 5)
    receipt = take(str(part), 0)
    with Ledger.open(part) as ledger:
        assert [event.seq for event in ledger.append([ev.Mark(name="new")])] == [6]
    check(str(part), receipt)
    with Ledger.open(part, segmented=True) as ledger:
        assert rotate(ledger)
        assert os.path.basename(ledger.tip) == "000003.ledger"
        assert ledger.verify().sound
    check(str(part), receipt)
    with Ledger.open(part, "r") as ledger, Ledger.open(whole, "r") as original:
        found = check_descent(ledger, original)
        assert (found.events, found.added) == (2, 1)


def test_what_is_being_written_can_be_cut(whole: Path) -> None:
    with Ledger.open(whole) as ledger:
        ledger.append([ev.Mark(name="seven")])
        part = cut_out(whole, 6, 7)
        ledger.append([ev.Mark(name="eight")])
    with Ledger.open(part, "r") as found, Ledger.open(whole, "r") as original:
        assert check_descent(found, original).events == 2


def test_a_span_without_an_event(whole: Path) -> None:
    with pytest.raises(ValueError, match="no event from seq 7 to seq 9"):
        cut_out(whole, 7, 9)
    assert sorted(os.listdir(whole.parent)) == ["whole.ledger", "whole.ledger.lock"]


def test_a_changed_letter_before_the_span_ends_is_damage(whole: Path) -> None:
    content = whole.read_bytes()
    whole.write_bytes(content.replace(b'"stim"', b'"stin"'))
    before = sorted(os.listdir(whole.parent))
    with pytest.raises(DamagedLedger, match="not those that were written"):
        cut_out(whole, 4, 5)
    assert sorted(os.listdir(whole.parent)) == before


def test_a_changed_letter_in_an_earlier_segment_is_damage(whole: Path) -> None:
    with Ledger.open(whole, segmented=True) as ledger:
        rotate(ledger)
        ledger.append([ev.Mark(name="seven")])
    file = whole / "000001.ledger"
    file.write_bytes(file.read_bytes().replace(b'"four"', b'"fuor"'))
    with pytest.raises(DamagedLedger, match=r"not those that were written|it does not state"):
        cut_out(whole, 3, 7)


def test_a_disk_that_is_full_at_any_byte(whole: Path) -> None:
    size = cut_out(whole, 3, 6).stat().st_size
    whole.with_name("part.ledger").unlink()
    before = sorted(os.listdir(whole.parent))
    for space in range(0, size, 97):
        with pytest.raises(LogError, match=os.strerror(errno.ENOSPC)):
            cut_out(whole, 3, 6, SmallDisk(space))
        assert sorted(os.listdir(whole.parent)) == before
    assert cut_out(whole, 3, 6, SmallDisk(size)).stat().st_size == size


class Interrupted(Disk):
    """Ctrl-C comes while the ``nth`` piece is written, or brought to the disk."""

    def __init__(self, nth: int) -> None:
        self.left = nth

    def _count(self) -> None:
        self.left -= 1
        if not self.left:
            raise KeyboardInterrupt

    def write(self, handle: int, data: bytes | memoryview, offset: int) -> int:
        self._count()
        return super().write(handle, data, offset)

    def sync(self, handle: int) -> None:
        self._count()
        super().sync(handle)


@pytest.mark.parametrize("nth", [1, 2, 3, 4])
def test_ctrl_c_leaves_nothing(whole: Path, nth: int) -> None:
    before = sorted(os.listdir(whole.parent))
    with pytest.raises(KeyboardInterrupt):
        cut_out(whole, 3, 6, Interrupted(nth))
    assert sorted(os.listdir(whole.parent)) == before


def test_nothing_is_written_over(whole: Path) -> None:
    part = whole.with_name("part.ledger")
    part.write_text("mine")
    with pytest.raises(LogError, match=r"part.ledger exists"):
        cut_out(whole, 3, 6)
    assert part.read_text() == "mine"


def test_a_ledger_in_memory_has_nothing_to_copy(tmp_path: Path) -> None:
    ledger = Ledger.memory()
    ledger.append([ev.Mark(name="x")])
    with pytest.raises(LogError, match="in memory"):
        cut(ledger, 1, 1, tmp_path / "x")


# --- held beside its original ----------------------------------------------------------------------------------------


def test_a_ledger_that_was_cut_out_of_none_or_of_another(whole: Path) -> None:
    part = cut_out(whole, 4, 5)
    other = whole.with_name("other.ledger")
    Ledger.open(other).close()
    with Ledger.open(whole, "r") as ledger, Ledger.open(other, "r") as alien, Ledger.open(part, "r") as found:
        with pytest.raises(OtherLedger, match="was not cut out of a ledger"):
            check_descent(ledger, found)
        with pytest.raises(OtherLedger, match=f"was cut out of {ledger.id}, but .* is {alien.id}"):
            check_descent(found, alien)


def test_an_original_that_was_cut_back_or_written_anew(whole: Path) -> None:
    part = cut_out(whole, 4, 5)
    content = whole.read_bytes()
    shorter, changed = content[: content.index(b'{"type":"mark"')], content.replace(b'"stim"', b'"mits"')
    for left, kind in ((shorter, CutBack), (changed, OtherHistory)):
        whole.write_bytes(left)
        with Ledger.open(whole, "r") as ledger, Ledger.open(part, "r") as found, pytest.raises(kind):
            check_descent(found, ledger)


def test_a_cut_that_somebody_made_anew(whole: Path) -> None:
    """Whoever can compute hashes can make a cut that is sound in itself: only the original shows that it is not its."""
    part = cut_out(whole, 4, 5)
    forged = whole.with_name("forged.ledger")
    forged.write_bytes(sealed_anew(part.read_bytes().replace(b'"five"', b'"nine"')))
    with Ledger.open(forged, "r") as found, Ledger.open(whole, "r") as original:
        assert found.verify().sound
        with pytest.raises(OtherHistory, match="has another event at seq 5"):
            check_descent(found, original)
    forged.write_bytes(sealed_anew(part.read_bytes().replace(b'"label":"stim"', b'"label":"mits"')))
    with Ledger.open(forged, "r") as found, Ledger.open(whole, "r") as original:
        assert found.verify().sound
        with pytest.raises(OtherHistory, match="begins with another state"):
            check_descent(found, original)


def sealed_anew(data: bytes) -> bytes:
    """The same lines with the hashes that they have now."""
    out = b""
    for line in data.splitlines(keepends=True):
        if line.startswith(b'{"type":"ledger.commit"'):
            line = re.sub(rb'"sha256":"[0-9a-f]{64}"', b'"sha256":"%s"' % sha256(out).hexdigest().encode(), line)
        out += line
    return out
