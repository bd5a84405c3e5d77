"""verify: hashes all, misses nothing, and says where."""

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from ezmsg.ledger import Ledger, codec
from ezmsg.ledger.errors import DamagedLedger, LogError
from ezmsg.ledger.events import Mark
from ezmsg.ledger.structural import encode_commit


def test_a_sound_ledger(small: Path) -> None:
    found = Ledger.open(small, "r").verify()
    data = small.read_bytes()
    assert found.sound
    assert found.sealed
    assert (found.seq, found.events, found.commits, found.tail_bytes, found.problems) == (6, 6, 6, 0, [])
    assert (found.offset, found.bytes, found.sha256) == (len(data), len(data), sha256(data).hexdigest())


@pytest.mark.parametrize("bit", [0x01, 0x20, 0x80])
def test_every_byte_counts(small: Path, bit: int) -> None:
    data = small.read_bytes()
    for offset in range(len(data)):
        flipped = bytearray(data)
        flipped[offset] ^= bit
        small.write_bytes(flipped)
        try:
            ledger = Ledger.open(small, "r")
        except LogError:
            assert offset < data.index(b"\n") + 1  # in the header line
            continue
        with ledger:
            found = ledger.verify()
            assert not found.sound, (offset, chr(data[offset]), chr(flipped[offset]))
            assert found.offset <= offset
            assert found.sha256 == sha256(flipped[: found.offset]).hexdigest()
            assert "offset" in found.problems[0]
            assert "seq" in found.problems[0]


def test_it_names_the_events_whose_bytes_changed(small: Path) -> None:
    data = small.read_bytes()
    small.write_bytes(data.replace(b'"to_topic":"B"', b'"to_topic":"C"'))
    found = Ledger.open(small, "r").verify()
    (problem,) = found.problems
    assert "(seqs 1 to 2): not the bytes whose hash the commit line states" in problem
    assert (found.seq, found.events, found.commits) == (0, 0, 1)


def test_it_lists_what_is_wrong_in_several_places(small: Path) -> None:
    data = small.read_bytes()
    small.write_bytes(data.replace(b'"name":"one"', b'"name";"one"').replace(b'"name":"four"', b'"name":four"'))
    found = Ledger.open(small, "r").verify()
    assert [problem.partition(", offset")[0] for problem in found.problems[:2]] == ["after seq 2", "after seq 3"]
    assert "not a line of a ledger" in found.problems[0]


def test_a_tail_is_not_sound_but_said_to_be_harmless(small: Path) -> None:
    data = small.read_bytes()
    small.write_bytes(data + b'{"type":"mark","se')
    found = Ledger.open(small, "r").verify()
    assert (found.sound, found.tail_bytes, found.offset, found.seq) == (False, 18, len(data), 6)
    assert found.problems == [
        f"offset {len(data)}: 18 bytes after seq 6 are not a whole commit; "
        "opening the ledger for append puts them aside"
    ]


@pytest.mark.parametrize("sealed", [True, False])
def test_torn_is_what_opening_for_append_would_put_aside(small: Path, hasty: Any, sealed: bool) -> None:
    """Whatever byte has changed, and wherever the file ends: ``verify`` and recovery call the same thing damage."""
    data = small.read_bytes()
    data = data if sealed else data[: data.rindex(b"\n", 0, -1) + 1]  # as a killed writer leaves it
    begin = data.index(b"\n", data.index(b"\n") + 1) + 1  # header and first commit line are there before its name is
    flipped = [data[:offset] + bytes([data[offset] ^ 1]) + data[offset + 1 :] for offset in range(begin, len(data), 7)]
    found_torn = set()
    for content in (*flipped, *(data[:end] for end in range(begin, len(data), 7))):
        small.write_bytes(content)
        with Ledger.open(small, "r") as reader:
            found = reader.verify()
        try:
            Ledger.open(small, disk=hasty).close()
        except DamagedLedger:
            assert not found.torn, found
            continue
        assert found.sound != found.torn, found
        found_torn.add(found.torn)
    assert True in found_torn


def test_a_commit_that_a_faulty_program_wrote(path: Path, marks: Callable[..., list[Mark]]) -> None:
    """Every hash is right, and yet: seqs out of order within a commit, which a glance at its ends does not show."""
    with Ledger.open(path, durability="none") as ledger:
        ledger.append(marks("a"))
    data = path.read_bytes()
    events = codec.encode([Mark(seq=seq, time=1, name="x") for seq in (2, 4, 3, 5)])
    at = len(data) + len(events)
    digest = sha256(data + events).hexdigest()
    path.write_bytes(data + events + encode_commit(5, 4, at, len(data), digest))
    found = Ledger.open(path, "r").verify()
    assert (found.sound, found.seq) == (False, 1)
    assert "seq 4 stands after seq 2" in found.problems[0]


def test_a_writer_verifies_while_it_writes(path: Path, marks: Callable[..., list[Mark]]) -> None:
    with Ledger.open(path) as ledger:
        for n in range(1, 30):
            ledger.append(marks("x"))
            found = ledger.verify()
            assert (found.sound, found.sealed, found.events) == (True, False, n)


def test_verify_after_a_large_commit_and_many_small_ones(path: Path) -> None:
    with Ledger.open(path, durability="none") as ledger:
        for size in (1, 20_000, *[1] * 3000, 100, 100, *[3] * 1000):
            ledger.append([Mark(name="x" * 20)] * size)
        assert ledger.verify().sound
        ledger.check()
    data = path.read_bytes()
    for where in (len(data) // 10, len(data) // 2, len(data) * 9 // 10):
        flipped = bytearray(data)
        flipped[where] ^= 1
        path.write_bytes(flipped)
        with Ledger.open(path, "r") as reader:
            found = reader.verify()
            assert not found.sound
            assert found.offset <= where
        with pytest.raises(DamagedLedger) as info:
            Ledger.open(path)
        assert info.value.offset == found.offset
        assert info.value.seq == found.seq
