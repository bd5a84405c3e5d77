"""Commits of one event each, checked together: whatever is not exactly as a writer writes it is not taken."""

from pathlib import Path

import pytest

from ezmsg.ledger import Ledger
from ezmsg.ledger.events import Mark
from ezmsg.ledger.storage.durability import Durability
from ezmsg.ledger.storage.reading.cursor import check_lines
from ezmsg.ledger.storage.reading.scan import Place
from ezmsg.ledger.storage.reading.single_commits import lines_of_events

COMMITS = 7


def written(path: Path, durability: Durability) -> tuple[bytes, Place]:
    """Some commits of one event each, and the place before them; at level ``commit`` each states another ``synced``."""
    with Ledger.open(path, durability=durability) as ledger:
        ledger.append([Mark(name="so that all numbers have as many digits")] * 2000)
        place = ledger.place
        for number in range(COMMITS):
            ledger.append([Mark(name=f"mark {'ü' * number}")])
        return path.read_bytes()[place.offset : ledger.place.offset], place


@pytest.mark.parametrize("durability", ["interval", "commit", "none"])
def test_sound_commits_give_the_lines_of_their_events(tmp_path: Path, durability: Durability) -> None:
    data, place = written(tmp_path / "x.ledger", durability)
    assert lines_of_events(data, place) == data.splitlines()[::2]


@pytest.mark.parametrize("durability", ["commit", "none"])
def test_each_byte_of_a_commit_line_counts(tmp_path: Path, durability: Durability) -> None:
    """Any change that a look at each line refuses is refused; what is taken, it takes as well."""
    data, place = written(tmp_path / "x.ledger", durability)
    lines = data.splitlines(keepends=True)
    middle = COMMITS // 2
    for chosen in (0, middle, COMMITS - 1):
        begin = sum(map(len, lines[: 2 * chosen + 1]))
        for offset in range(begin, begin + len(lines[2 * chosen + 1])):
            for value in b'09fgF"\\\n ,:}\xff\x00':
                if data[offset] == value:
                    continue
                changed = data[:offset] + bytes([value]) + data[offset + 1 :]
                if lines_of_events(changed, place) is not None:
                    _, end, why = check_lines(changed, place)
                    assert (end.offset, why) == (place.offset + len(data), ""), (offset - begin, bytes([value]))


@pytest.mark.parametrize("shape", ["", "\n", "one line\n", "three\nlines\nhere\n", "an end\nwithout a newline"])
def test_what_is_not_pairs_of_lines_is_not_taken(shape: str) -> None:
    assert lines_of_events(shape.encode(), Place(100, 0, b"")) is None


def test_commits_that_stand_elsewhere_are_not_taken(tmp_path: Path) -> None:
    data, place = written(tmp_path / "x.ledger", "none")
    for other in (place._replace(offset=place.offset + 1), place._replace(seq=place.seq + 1)):
        assert lines_of_events(data, other) is None
    lines = data.splitlines(keepends=True)
    swapped = b"".join([*lines[2:4], *lines[:2], *lines[4:]])
    assert lines_of_events(swapped, place) is None
    assert lines_of_events(data + b"".join(lines[:2]), place) is None
    assert lines_of_events(b"".join(lines[2:]), place) is None
