"""Reading piece by piece: the quick look, the close look, and that they agree."""

import re
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ezmsg.ledger import Ledger, codec
from ezmsg.ledger.events import Gap, Mark, UnknownEvent
from ezmsg.ledger.storage.disk import OS_DISK
from ezmsg.ledger.storage.durability import Durability
from ezmsg.ledger.storage.file_access import closing_handle
from ezmsg.ledger.storage.reading.cursor import Cursor, check_lines
from ezmsg.ledger.storage.reading.reader import SEEK_PIECE
from ezmsg.ledger.storage.reading.scan import PIECE, Place
from ezmsg.ledger.structural import encode_commit

SHAPES = {
    "one by one": [1] * 4000,
    "in tens": [10] * 700,
    "in thousands": [1000] * 8,
    "mixed": [1, 1, 1, 500, 1, 63, 64, 65, 3000, *[2] * 900, 1],
    "larger than a piece": [1, 12_000, 1, 12_000],
}


def write(path: Path, sizes: list[int]) -> list[Any]:
    stored: list[Any] = []
    with Ledger.open(path, durability="none") as ledger:
        for size in sizes:
            stored += ledger.append([Mark(name="x" * 20)] * size)
    return stored


def longer(data: bytes) -> bool:
    """Whether a number in the commit lines of ``data`` has a digit more than that in the line before."""
    return len({tuple(map(len, re.findall(rb"\d+", line[:-70]))) for line in data.splitlines()[1::2]}) > 1


def no_close_look(*arguments: object) -> Any:
    raise AssertionError("a sound piece needs no close look")


@pytest.mark.parametrize("shape", SHAPES)
def test_the_quick_look_suffices_for_a_sound_file(path: Path, shape: str, monkeypatch: pytest.MonkeyPatch) -> None:
    stored = write(path, SHAPES[shape])
    monkeypatch.setattr("ezmsg.ledger.storage.reading.cursor.check_lines", no_close_look)
    with Ledger.open(path, "r") as ledger:
        assert list(ledger.entries()) == stored
        assert ledger.head == len(stored)
        for after in (1, 500, len(stored) // 2, len(stored) - 1, len(stored)):
            assert list(ledger.entries(after)) == stored[after:]


@pytest.mark.parametrize("shape", SHAPES)
def test_the_close_look_sees_the_same(path: Path, shape: str, monkeypatch: pytest.MonkeyPatch) -> None:
    stored = write(path, SHAPES[shape])
    monkeypatch.setattr("ezmsg.ledger.storage.reading.cursor.Cursor._take", lambda self, end: None)
    with Ledger.open(path, "r") as ledger:
        assert list(ledger.entries()) == stored
        assert list(ledger.entries(after=len(stored) - 3)) == stored[-3:]


@pytest.mark.parametrize("shape", SHAPES)
def test_a_place_near_the_end_is_found_without_reading_all(path: Path, shape: str, hasty: Any) -> None:
    write(path, SHAPES[shape] * 3)
    read = 0
    real = hasty.read_into

    def counted(handle: int, view: memoryview, offset: int) -> int:
        nonlocal read
        count = int(real(handle, view, offset))
        read += count
        return count

    with Ledger.open(path, "r", disk=hasty) as ledger:
        head = ledger.head
        hasty.read_into = counted
        assert [event.seq for event in ledger.entries(after=head - 2)] == [head - 1, head]
    largest = max(SHAPES[shape]) * 90
    assert read < 3 * PIECE + 12 * largest


@pytest.mark.parametrize("shape", SHAPES)
def test_a_few_events_are_looked_up_without_decoding_a_piece(
    path: Path, shape: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = write(path, SHAPES[shape])
    decoded = 0
    real = codec.decode

    def counted(data: Any) -> Any:
        nonlocal decoded
        decoded += len(data)
        return real(data)

    monkeypatch.setattr("ezmsg.ledger.storage.reading.cursor.codec.decode", counted)
    with Ledger.open(path, "r") as ledger:
        for after in range(0, len(stored) - 3, 97):
            decoded = 0
            assert list(ledger.entries(after, after + 2)) == stored[after : after + 2]
            assert decoded <= 3 * (SEEK_PIECE + 90 * max(SHAPES[shape]))


def forge(path: Path, lines: bytes, upto: int, count: int) -> None:
    """Append a commit as some other program would, with a right hash."""
    data = path.read_bytes()
    at = len(data) + len(lines)
    path.write_bytes(data + lines + encode_commit(upto, count, at, len(data), sha256(data + lines).hexdigest()))


def test_events_of_tomorrow_keep_their_place(path: Path) -> None:
    write(path, [2, 1])
    odd = b'{"type":"of.tomorrow","seq":5,"time":9,"more":{"deep":[1]}}\n'
    forge(
        path, codec.encode([Mark(seq=4, time=9, name="x")]) + odd + codec.encode([Mark(seq=6, time=9, name="y")]), 6, 3
    )
    forge(path, b'{"type":"ledger.tomorrow","text":"?"}\n' + codec.encode([Mark(seq=7, time=9, name="z")]), 7, 1)
    with Ledger.open(path, "r") as ledger:
        events = list(ledger.entries())
        assert [event.seq for event in events] == [1, 2, 3, 4, 5, 6, 7]
        assert events[4] == UnknownEvent(seq=5, time=9, tag="of.tomorrow", raw=odd[:-1])
        assert ledger.verify().sound
        assert ledger.seq_at(9) == 7
    with Ledger.open(path) as ledger:
        assert ledger.append([Mark(name="ours")])[0].seq == 8
    assert Ledger.open(path, "r").verify().sound


@pytest.mark.parametrize(
    ("lines", "upto", "count"),
    [
        ([Mark(seq=4, name="x")], 4, 2),
        ([Mark(seq=4, name="x")], 5, 1),
        ([Mark(seq=5, name="x")], 5, 1),
        ([Mark(seq=4, name="x"), Mark(seq=6, name="y")], 6, 2),
        ([Mark(seq=3, name="x")], 3, 1),
        ([], 4, 0),
        ([], 3, 1),
        ([], 3, -1),
        ([Gap(seq=9, first=4, last=9, lost=6, late=0, reason="its seq is last + 1")], 9, 1),
        ([Gap(seq=10, first=5, last=9, lost=5, late=0, reason="not next")], 10, 1),
    ],
)
def test_a_commit_that_does_not_add_up_is_not_shown(path: Path, lines: list[Any], upto: int, count: int) -> None:
    write(path, [3])
    data = path.read_bytes()
    forge(path, codec.encode(lines), upto, count)
    with Ledger.open(path, "r") as ledger:
        assert [event.seq for event in ledger.entries()] == [1, 2, 3]
        assert (ledger.head, ledger.tail_bytes) == (3, path.stat().st_size - len(data))
        assert not ledger.verify().sound
    with Ledger.open(path) as ledger:
        assert ledger.head == 3


@settings(max_examples=60, deadline=None)
@given(sizes=st.lists(st.integers(1, 100), min_size=1, max_size=30), where=st.floats(0, 1), bit=st.integers(0, 7))
def test_one_flipped_bit_never_shows_another_order(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], where: float, bit: int
) -> None:
    """Reading does not hash, but what it shows is dense, in whole commits, and a prefix in number."""
    path = tmp_path_factory.mktemp("flip") / "x.ledger"
    write(path, sizes)
    data = bytearray(path.read_bytes())
    first = data.index(b"\n") + 1
    data[first + int((len(data) - 1 - first) * where)] ^= 1 << bit
    path.write_bytes(data)
    with Ledger.open(path, "r") as ledger:
        seqs: list[int] = []
        try:
            for batch in ledger.read():
                seqs += [event.seq for event in batch]
        except Exception as error:
            assert type(error).__name__ == "DamagedLedger"  # noqa: PT017
        assert seqs == list(range(1, len(seqs) + 1))
        assert len(seqs) in {sum(sizes[:n]) for n in range(len(sizes) + 1)}
        assert not ledger.verify().sound


def test_what_the_close_look_says(path: Path, marks: Callable[..., list[Mark]]) -> None:
    write(path, [1])
    data = path.read_bytes()
    start = data.index(b"\n") + 1
    place = Place(start, 0, b"")
    events, end, why = check_lines(data[start:], place)
    assert ([event.seq for event in events], end.offset, end.seq, why) == ([1], len(data), 1, "")
    for broken, says in [
        (data[start:].replace(b'"count":1', b'"count":2'), "the commit line counts 2 events, but 1 precede it"),
        (data[start:].replace(b'"upto":1', b'"upto":2'), "the commit line ends at seq 2, but seq 1 precedes it"),
        (data[start:].replace(b'"seq":1', b'"seq":2'), "seq 2 stands after seq 0"),
        (data[start:].replace(b'"count":1', b'"count":01'), "a malformed commit line"),
        (data[start:].replace(b'{"type":"mark"', b'{"type" "mark"'), "not a line of a ledger"),
        (data[start:] + data[:start], "a structural line of odd form or in an odd place"),
        (data[start:] + b'{"type":"mark","seq":2,"time":0,"name":"x"}\n', "1 events without a commit"),
    ]:
        assert says in check_lines(broken, place)[2]


ODD_BYTES = st.sampled_from(sorted({*range(0, 256, 5), *b'\n"\\{}'}))


@given(
    durability=st.sampled_from(["interval", "commit", "none"]),
    before=st.sampled_from([0, 0, 90, 2000]),
    number=st.integers(1, 40),
    changes=st.lists(st.tuples(st.floats(0, 1), ODD_BYTES), max_size=3),
    swapped=st.none() | st.tuples(st.integers(0, 90), st.integers(0, 90)),
)
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_commits_of_one_event_are_taken_as_line_by_line(
    tmp_path_factory: pytest.TempPathFactory,
    durability: Durability,
    before: int,
    number: int,
    changes: list[tuple[float, int]],
    swapped: tuple[int, int] | None,
) -> None:
    """What the fast look at pairs of lines takes is what the slow one takes: all, and nothing else."""
    path = tmp_path_factory.mktemp("pairs") / "x.ledger"
    with Ledger.open(path, durability=durability) as ledger:
        if before:
            ledger.append([Mark(name="before")] * before)
        start = ledger.place
        for each in range(number):
            ledger.append([Mark(name=f"mark {'ü' * (each % 3)} {each}")])
            if each == number // 2:
                ledger.sync()
        size = ledger.place.offset
    data = bytearray(path.read_bytes()[:size])
    first = start.offset
    if swapped is not None:
        lines = bytes(data[first:]).splitlines(keepends=True)
        one, other = swapped[0] % len(lines), swapped[1] % len(lines)
        lines[one], lines[other] = lines[other], lines[one]
        data[first:] = b"".join(lines)
    for where, value in changes:
        data[first + min(int(where * (size - first)), size - first - 1)] = value
    path.write_bytes(data)
    with closing_handle(OS_DISK, OS_DISK.open(str(path))) as handle:
        cursor = Cursor(OS_DISK, handle, str(path), start)
        end = cursor._fill()
        if not end:
            return
        slow, place, why = check_lines(bytes(memoryview(cursor._buffer)[1:end]), start)
        fast = cursor._take_single(end)
        if fast is None:
            assert changes or swapped or longer(bytes(data[first:])), "a sound piece is taken"
        else:
            assert (fast, cursor.place, "") == (slow, place, why)
