"""A ledger that begins with the graph of another one names that one, and nothing half made is left."""

from hashlib import sha256
from pathlib import Path

import pytest

from ezmsg.ledger import Ledger
from ezmsg.ledger import events as ev
from ezmsg.ledger.errors import CutBack, LogError, OtherLedger
from ezmsg.ledger.projections.copies.begin import begin
from ezmsg.ledger.projections.copies.cut import cut
from ezmsg.ledger.projections.copies.descent import check_descent
from ezmsg.ledger.projections.graph.replay import state_at
from ezmsg.ledger.projections.graph.segment_start import rotate


@pytest.fixture
def old(tmp_path: Path) -> Path:
    path = tmp_path / "old.ledger"
    with Ledger.open(path) as ledger:
        for name in ("one", "two", "three"):
            ledger.append([ev.Mark(name=name), ev.EdgeConnected(from_topic=name, to_topic="B", owner=None)])
    return path


def test_it_is_empty_and_names_where_it_is_from(old: Path) -> None:
    new = old.with_name("new.ledger")
    with Ledger.open(old, "r") as ledger:
        made = begin(ledger, 4, new)
        assert made.origin.ledger == ledger.id
    assert sha256(old.read_bytes()[: made.origin.size]).hexdigest() == made.origin.sha256
    with Ledger.open(new, "r") as ledger:
        found = ledger.verify()
        assert (found.sound, found.sealed, found.events) == (True, True, 0)
        assert (ledger.id, ledger.first, ledger.head) == (made.id, 1, 0)
        [origin] = ledger.origins
        assert (origin.made, origin.first, origin.last, origin.upto) == ("serve", 5, 4, 4)
        assert not list(state_at(ledger).ownership.edges())


def test_it_is_recorded_to_rotated_and_cut_as_any_other(old: Path) -> None:
    new, part = old.with_name("new.ledger"), old.with_name("part.ledger")
    with Ledger.open(old, "r") as ledger:
        begin(ledger, ledger.head, new)
    with Ledger.open(new) as ledger:
        assert [event.seq for event in ledger.append([ev.Mark(name="a"), ev.Mark(name="b")])] == [1, 2]
    with Ledger.open(new, segmented=True) as ledger:
        assert rotate(ledger)
        ledger.append([ev.Mark(name="c")])
        assert ledger.verify().sound
        cut(ledger, 2, 3, part)
    with Ledger.open(part, "r") as ledger, Ledger.open(new, "r") as whole:
        assert [origin.made for origin in ledger.origins] == ["serve", "cut"]
        assert check_descent(ledger, whole).events == 2


def test_the_origin_can_be_checked(old: Path, tmp_path: Path) -> None:
    new, other = tmp_path / "new.ledger", tmp_path / "other.ledger"
    with Ledger.open(old, "r") as ledger:
        begin(ledger, 4, new)
    with Ledger.open(other) as ledger:
        ledger.append([ev.Mark(name="one")])
    with Ledger.open(new, "r") as ledger:
        with Ledger.open(old, "r") as original:
            found = check_descent(ledger, original)
            assert (found.events, found.last, found.added) == (0, 4, 0)
        with Ledger.open(other, "r") as wrong, pytest.raises(OtherLedger, match="began with the graph of"):
            check_descent(ledger, wrong)
        lines = old.read_bytes().splitlines(keepends=True)
        old.write_bytes(b"".join(lines[:5]))
        with Ledger.open(old, "r") as shorter, pytest.raises(CutBack):
            check_descent(ledger, shorter)


def test_what_cannot_be(old: Path, tmp_path: Path) -> None:
    taken = tmp_path / "taken.ledger"
    taken.write_bytes(b"mine")
    with Ledger.open(old, "r") as ledger:
        for seq in (0, 7):
            with pytest.raises(ValueError, match=f"no event {seq}"):
                begin(ledger, seq, tmp_path / "new.ledger")
        with pytest.raises(LogError, match="exists"):
            begin(ledger, 1, taken)
    memory = Ledger.memory()
    memory.append([ev.Mark(name="x")])
    with pytest.raises(LogError, match="in memory"):
        begin(memory, 1, tmp_path / "new.ledger")
    assert taken.read_bytes() == b"mine"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["old.ledger", "old.ledger.lock", "taken.ledger"]
