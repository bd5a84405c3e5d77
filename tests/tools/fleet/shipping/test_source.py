"""The pieces of a ledger: the same ones whether or not they were prepared while another one was on its way."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ezmsg.ledger import Ledger
from ezmsg.ledger.errors import DamagedLedger
from ezmsg.ledger.events import Mark
from ezmsg.ledger.storage.disk import Disk
from ezmsg.ledger.tools.fleet.message import Piece
from ezmsg.ledger.tools.fleet.shipping.source import Source

Made = Callable[..., Path]


class Counting(Disk):
    """A disk that counts the bytes that are read from it."""

    def __init__(self) -> None:
        self.read = 0

    def read_into(self, handle: int, buffer: memoryview, offset: int) -> int:
        found = super().read_into(handle, buffer, offset)
        self.read += found
        return found


def first_of(source: Source) -> Piece:
    found = source.piece(source.first, 0)
    assert found is not None
    return found


def after(source: Source, piece: Piece) -> Piece | None:
    return source.piece(piece.segment, piece.end)


def test_a_prepared_piece_is_at_hand_and_so_is_the_one_before(recorded: Made) -> None:
    disk = Counting()
    with Source(str(recorded(commits=40)), 900, disk) as source:
        first = first_of(source)
        source.prepare(first)
        before = disk.read
        second = after(source, first)
        assert second is not None
        assert second.offset == first.end
        assert source.piece(first.segment, first.offset) == first, "asked for again, as after a lost answer"
        assert disk.read == before


def test_a_ledger_is_read_once(recorded: Made) -> None:
    disk, path = Counting(), recorded(commits=300, events=10, size=200)
    size = path.stat().st_size
    with Source(str(path), 64 * 1024, disk) as source:
        before, piece = disk.read, first_of(source)
        while True:
            source.prepare(piece)
            following = after(source, piece)
            if following is None:
                break
            piece = following
        assert piece.end == size
        pieces = size // (64 * 1024) + 1
        assert disk.read - before < size + pieces * 16 * 1024, "each byte, and a few pages to find the commit lines"


def test_a_piece_that_is_not_full_is_not_prepared_but_grows(recorded: Made) -> None:
    path = recorded(commits=3)
    with Source(str(path), 100_000) as source:
        first = first_of(source)
        for names in (["a"], ["b"]):
            with Ledger.open(path, durability="none") as ledger:
                ledger.append([Mark(name=name) for name in names])
            source.prepare(first)
        following = after(source, first)
        assert following is not None
        assert (following.upto, following.end) == (11, path.stat().st_size)


def test_what_was_prepared_goes_with_its_file(recorded: Made) -> None:
    path = recorded(commits=40)
    with Source(str(path), 900) as source:
        first = first_of(source)
        source.prepare(first)
        copy = path.with_name("copy.ledger")
        shutil.copy(path, copy)
        copy.write_bytes(path.read_bytes()[: first.end])
        os.replace(copy, path)
        assert after(source, first) is None, "a copy that ends there has taken its place"


def test_what_was_prepared_may_be_too_large_by_now(recorded: Made) -> None:
    with Source(str(recorded(commits=40)), 900) as source:
        first = first_of(source)
        source.prepare(first)
        source.piece_max = 400  # another server has taken over, which takes less
        for place in ((first.segment, first.offset), (first.segment, first.end)):
            found = source.piece(*place)
            assert found is not None
            assert len(found.data) <= 400


def test_damage_ahead_is_told_when_it_is_its_turn(recorded: Made) -> None:
    path = recorded(commits=40)
    with Source(str(path), 900) as source:
        first = first_of(source)
        data = bytearray(path.read_bytes())
        data[first.end + 60] ^= 1
        path.write_bytes(data)
        for _ in range(2):
            with pytest.raises(DamagedLedger):
                source.prepare(first)
            with pytest.raises(DamagedLedger):
                after(source, first)
        assert first_of(source) == first


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    sizes=st.lists(st.sampled_from([1, 30, 400, 2500]), min_size=1, max_size=25),
    piece_max=st.sampled_from([91, 333, 700, 3000, 10_000]),
    again=st.lists(st.integers(0, 3), min_size=1, max_size=10),
)
def test_pieces_are_the_file_however_they_are_asked_for(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], piece_max: int, again: list[int]
) -> None:
    path = tmp_path_factory.mktemp("any") / "x.ledger"
    with Ledger.open(path, durability="none") as ledger:
        for size in sizes:
            ledger.append([Mark(name="x" * size)])
    data, got, number = path.read_bytes(), b"", 0
    with Source(str(path), piece_max) as prepared, Source(str(path), piece_max) as plain:
        while True:
            for _ in range(1 + again[number % len(again)]):  # lost answers
                piece = prepared.piece(1, len(got))
                if piece is not None:
                    prepared.prepare(piece)
            assert piece == plain.piece(1, len(got))
            if piece is None:
                break
            assert 0 < len(piece.data) <= piece_max
            got += piece.data
            number += 1
    assert got == data
