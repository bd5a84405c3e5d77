"""Annotations are put into a chain of tags, and all other tags are what they were, wherever they stand."""

from pathlib import Path
from struct import pack
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ezmsg.ledger.tools.recordings.formats.fif_tags import (
    ANNOTATIONS,
    BLOCK_END,
    BLOCK_START,
    DIRECTORY,
    DIRECTORY_POINTER,
    FILE_ID,
    ONSETS,
    RAW_DATA,
    NotFif,
    block,
    chain,
    put_annotations,
)

Part = tuple[int, int, bytes]
MEASUREMENT, BUFFER, COMMENT, NOP, INT, FLOAT, DOUBLE = 100, 300, 206, 108, 3, 4, 5


def number(value: int) -> bytes:
    return pack(">i", value)


def within(kind: int, *parts: Part) -> list[Part]:
    return [(BLOCK_START, INT, number(kind)), *parts, (BLOCK_END, INT, number(kind))]


def written(path: Path, parts: list[Part], directory: bool, order: list[int] | None = None) -> Path:
    """A file of these tags; ``order``: in which they stand in the file, after the first two."""
    head: list[Part] = [(FILE_ID, 31, bytes(20)), (DIRECTORY_POINTER, INT, number(-1))]
    tags = [*head, *parts, (NOP, 0, b"")]
    places, at = {0: 0, 1: 36}, 56
    for place in [2 + each for each in (order or range(len(parts)))] + [len(tags) - 1]:
        places[place] = at
        at += 16 + len(tags[place][2])
    data = bytearray(at)
    for index, (kind, form, content) in enumerate(tags):
        after = -1 if index == len(tags) - 1 else places[index + 1]
        begin = places[index]
        if after == begin + 16 + len(content):
            after = 0
        data[begin : begin + 16 + len(content)] = pack(">iiii", kind, form, len(content), after) + content
    if directory:
        entries = b"".join(pack(">iiii", *tags[n][:2], len(tags[n][2]), places[n]) for n in range(len(tags)))
        data[52:56] = number(at)
        data += pack(">iiii", DIRECTORY, 32, len(entries), -1) + entries
    path.write_bytes(data)
    return path


def read(path: Path) -> list[Part]:
    """The tags after the first two, by the links."""
    with path.open("rb") as file:
        data = file.read()
        return [(tag.kind, tag.type, data[tag.place + 16 : tag.end]) for tag in chain(file)[2:]]


def listed(path: Path) -> list[Part]:
    """The same by the directory."""
    data = path.read_bytes()
    place = int.from_bytes(data[52:56], "big")
    size = int.from_bytes(data[place + 8 : place + 12], "big")
    found = []
    for at in range(place + 16, place + 16 + size, 16):
        kind, form, length, begin = (int.from_bytes(data[at + k : at + k + 4], "big") for k in (0, 4, 8, 12))
        assert data[begin : begin + 4] == number(kind)
        found.append((kind, form, data[begin + 16 : begin + 16 + length]))
    return found[2:]


COMMENTS = st.lists(st.tuples(st.just(COMMENT), st.just(10), st.binary(max_size=30)), max_size=4)


@given(before=COMMENTS, buffers=st.lists(st.binary(max_size=50), max_size=5), old=st.none() | COMMENTS, new=COMMENTS,
       directory=st.booleans(), draw=st.data())  # fmt: skip
def test_annotations_come_before_the_samples_in_place_of_the_old_ones(
    tmp_path_factory: pytest.TempPathFactory, before: list[Part], buffers: list[bytes], old: list[Part] | None,
    new: list[Part], directory: bool, draw: Any,
) -> None:  # fmt: skip
    folder = tmp_path_factory.mktemp("fif")
    data = within(RAW_DATA[0], *((BUFFER, 4, each) for each in buffers))
    had = [] if old is None else within(ANNOTATIONS, *old)
    parts = within(MEASUREMENT, *before, *had, *data)
    order = draw.draw(st.permutations(range(len(parts))))
    path = written(folder / "x_raw.fif", parts, directory, order)
    whole = path.read_bytes()
    put_annotations(path, written(folder / "x-annot.fif", within(ANNOTATIONS, *new), directory=False))
    expected = [*within(MEASUREMENT, *before, *within(ANNOTATIONS, *new), *data), (NOP, 0, b"")]
    assert read(path) == expected
    if directory:
        assert listed(path) == expected
    kept = path.read_bytes()[: len(whole)]
    assert sum(a != b for a, b in zip(whole, kept, strict=True)) <= 8, "a link is bent, and the directory's place"
    put_annotations(path, written(folder / "y-annot.fif", within(ANNOTATIONS), directory=False))
    assert read(path) == [*within(MEASUREMENT, *before, *within(ANNOTATIONS), *data), (NOP, 0, b"")]


def test_blocks_within_blocks_are_found_whole(tmp_path: Path) -> None:
    inner = within(ANNOTATIONS, *within(ANNOTATIONS))
    path = written(tmp_path / "x_raw.fif", within(MEASUREMENT, *inner), directory=False)
    with path.open("rb") as file:
        tags = chain(file)
        assert block(file, tags, (ANNOTATIONS,)) == range(3, 7)
        assert block(file, tags, RAW_DATA) is None


@given(st.binary(max_size=200))
def test_other_bytes_are_refused(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.mktemp("fif") / "x_raw.fif"
    path.write_bytes(data)
    with path.open("rb") as file, pytest.raises(NotFif):
        chain(file)


@pytest.mark.parametrize("cut", [10, 60, 100])
def test_a_file_that_was_cut_off_is_refused_and_not_touched(tmp_path: Path, cut: int) -> None:
    notes = written(tmp_path / "x-annot.fif", within(ANNOTATIONS), directory=False)
    path = written(tmp_path / "x_raw.fif", within(MEASUREMENT, *within(RAW_DATA[0], (BUFFER, 4, bytes(90)))), False)
    path.write_bytes(path.read_bytes()[:cut])
    whole = path.read_bytes()
    with pytest.raises(NotFif):
        put_annotations(path, notes)
    assert path.read_bytes() == whole


def test_a_chain_that_bites_its_tail_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "x_raw.fif", within(MEASUREMENT), directory=False)
    data = bytearray(path.read_bytes())
    data[36 + 12 : 36 + 16] = number(36)
    path.write_bytes(data)
    with path.open("rb") as file, pytest.raises(NotFif, match="no sound tag at byte 36"):
        chain(file)


def test_numbers_are_written_as_64_bit_floats(tmp_path: Path) -> None:
    notes = within(ANNOTATIONS, (ONSETS, FLOAT, pack(">2f", 0.1, 40_000.1)), (COMMENT, 10, b"a:b"))
    written(tmp_path / "notes", within(MEASUREMENT, *notes), False)
    written(tmp_path / "raw", within(MEASUREMENT, *within(RAW_DATA[0], (BUFFER, INT, number(7)))), True)
    put_annotations(tmp_path / "raw", tmp_path / "notes", {ONSETS: [0.1, 40_000.1]})
    assert (ONSETS, DOUBLE, pack(">2d", 0.1, 40_000.1)) in read(tmp_path / "raw")
    assert (COMMENT, 10, b"a:b") in read(tmp_path / "raw")
    assert listed(tmp_path / "raw") == read(tmp_path / "raw")
