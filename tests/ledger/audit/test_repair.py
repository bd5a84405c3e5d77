"""Surveying a damaged ledger and copying what is sound: to the byte, whole or not at all."""

import errno
import os
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from ezmsg.ledger import Ledger
from ezmsg.ledger.audit import repair
from ezmsg.ledger.audit.repair import SoundCopy, Survey, survey
from ezmsg.ledger.errors import DamagedLedger, InvalidEvent, LogError, NotALedger
from ezmsg.ledger.events import Gap, Mark
from ezmsg.ledger.storage.disk import OS_DISK
from ezmsg.ledger.structural import encode_commit

Marks = Callable[..., list[Mark]]


def look(path: Path) -> Survey:
    return survey(OS_DISK, str(path))


def repaired(path: Path, disk: Any = OS_DISK) -> Path:
    """A new ledger of what is sound, with one mark behind it."""
    found = survey(disk, str(path))
    target = path.with_name("new.ledger")
    with SoundCopy(disk, found, str(target)) as copy:
        copy.append([Mark(seq=found.seq + 1, time=7, name="repaired")])
        copy.keep()
    return target


def contents(path: Path) -> dict[str, bytes]:
    """All that is there, by name."""
    files = [path] if path.is_file() else sorted(path.iterdir())
    return {file.name: file.read_bytes() for file in files}


def test_a_sound_ledger(small: Path) -> None:
    data = small.read_bytes()
    found = look(small)
    assert (found.damage, found.why, found.left_bytes, found.left_last) == (None, "", 0, 6)
    assert (found.seq, found.offset, found.segment, found.sha256) == (6, len(data), 1, sha256(data).hexdigest())


@pytest.mark.parametrize("bit", [1, 0x20])
def test_any_flipped_bit(small: Path, bit: int, hasty: Any) -> None:
    """What is copied is a prefix of the original, to the byte, that ends before the flip; and it is a ledger."""
    data = small.read_bytes()
    first = data.index(b"\n", data.index(b"\n") + 1) + 1  # behind the line that proves the header
    for offset in range(0, len(data), 7):
        changed = bytearray(data)
        changed[offset] ^= bit
        small.write_bytes(changed)
        if offset < first:
            with pytest.raises((DamagedLedger, NotALedger)):
                look(small)
            continue
        found = look(small)
        assert found.damage is not None
        assert first <= found.offset <= offset
        new = repaired(small, hasty)
        assert small.read_bytes() == changed
        assert new.read_bytes()[: found.offset] == data[: found.offset]
        assert sha256(data[: found.offset]).hexdigest() == found.sha256
        with Ledger.open(new, "r") as ledger:
            assert ledger.verify().sealed
            assert ledger.head == found.seq + 1
        new.unlink()


def test_any_cut_is_a_torn_end(small: Path) -> None:
    data = small.read_bytes()
    first = data.index(b"\n", data.index(b"\n") + 1) + 1
    for size in range(first, len(data), 11):
        small.write_bytes(data[:size])
        found = look(small)
        assert found.damage == (None if found.offset == size else "torn")
        assert found.left_bytes == size - found.offset


def test_what_can_be_read_behind_the_damage(path: Path, marks: Marks) -> None:
    with Ledger.open(path, durability="none") as ledger:
        for _ in range(4):
            ledger.append(marks("x", "y"))
            ledger.sync()
    data = path.read_bytes()
    path.write_bytes(data.replace(b'"seq":4,', b'"seq":4"', 1))
    found = look(path)
    assert (found.damage, found.seq, found.left_events, found.left_first, found.left_last) == ("damaged", 2, 5, 3, 8)
    assert found.left_bytes == len(data) - found.offset
    path.write_bytes(data.replace(b'"seq":8,', b'"seq":8888888888,', 1))
    found = look(path)
    assert (found.seq, found.left_events, found.left_last) == (6, 2, 7), "one line alone may have slipped"
    path.write_bytes(data.replace(b'"upto":8,"count":2', b'"upto":9,"count":2', 1))
    assert (look(path).seq, look(path).left_last) == (6, 8)
    path.write_bytes(data.replace(b'"upto":4,"count":2', b'"upto":4000,"count":2', 1))
    assert (look(path).seq, look(path).left_last) == (2, 8)


def test_a_legal_jump_behind_the_damage(path: Path, marks: Marks) -> None:
    """No seq that was given out is to be given out again, though there are fewer lines than seqs."""
    with Ledger.open(path, durability="none") as ledger:
        for _ in range(2):
            ledger.append(marks("x", "y"))
            ledger.sync()
        ledger.append([Gap(first=5, last=900, lost=896, late=0, reason="full")])
    data = path.read_bytes()
    path.write_bytes(data.replace(b'"seq":3,', b'"seq":3"', 1))
    assert (look(path).seq, look(path).left_last) == (2, 901)


def test_no_line_at_all_behind_the_damage(path: Path, marks: Marks, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hole of zeros, longer than any line; the commit lines behind it stand elsewhere than they say."""
    monkeypatch.setattr(repair, "LINE_MAX", 300_000)
    with Ledger.open(path, durability="none") as ledger:
        ledger.append(marks("x"))
    data = path.read_bytes()
    path.write_bytes(data + bytes(2**20) + b"\n" + data)
    found = look(path)
    assert (found.damage, found.seq, found.left_events, found.left_last) == ("damaged", 1, 0, 1)


def test_lines_that_nobody_knows_are_copied_as_they_are(path: Path, marks: Marks) -> None:
    with Ledger.open(path, durability="none") as ledger:
        ledger.append(marks("x"))
    data = path.read_bytes().splitlines(keepends=True)[:2]
    data.append(b'{"type":"ledger.novelty","of":  "a newer version"}\n{"type":"novelty","seq":1,"time":5, "x":[1]}\n')
    at = sum(map(len, data))
    data.append(encode_commit(1, 1, at, 0, sha256(b"".join(data)).hexdigest()))
    path.write_bytes(b"".join(data) + b"torn")
    assert repaired(path).read_bytes().startswith(b"".join(data))


# --- folders ---------------------------------------------------------------------------------------------------------


@pytest.fixture(params=[False, True], ids=["plain", "compressed"])
def three(path: Path, hasty: Any, request: pytest.FixtureRequest) -> Path:
    """Three segments: seqs 1 to 2, 3 to 4, 5 to 6; the first two compressed, or not."""
    if request.param:
        pytest.importorskip("zstandard")
    with Ledger.open(path, durability="none", disk=hasty, segmented=True) as ledger:
        for number in range(3):
            for name in "ab":
                ledger.append([Mark(name=name * 30)])
            if number < 2:
                ledger.rotate([b"1"])
        if request.param:
            ledger.pack()
    return path


def test_damage_in_a_segment(three: Path) -> None:
    before = contents(three)
    with Ledger.open(three, "r") as ledger:
        events = list(ledger.entries())
    for name, data in before.items():
        number = int(name[:6])
        for offset in range(1, len(data), 97):
            changed = bytearray(data)
            changed[offset] ^= 1
            (three / name).write_bytes(changed)
            try:
                found = look(three)
            except DamagedLedger:
                assert number == 1
                continue
            if found.damage is None:
                assert name.endswith(".zst"), "in its table: what it unpacks to is the same"
                continue
            assert found.segment in (number, number - 1)
            assert found.left_segments == (3 - found.segment)
            new = repaired(three)
            with Ledger.open(new, "r") as ledger:
                assert ledger.verify().sound
                assert list(ledger.entries())[:-1] == events[: found.seq]
            for kept in found.whole[:-1]:
                assert (new / Path(kept).name).read_bytes() == before[Path(kept).name]
            with Ledger.open(new) as ledger:
                assert ledger.append([Mark(name="on")])[0].seq == found.seq + 2
            for file in new.iterdir():
                file.unlink()
            new.rmdir()
        (three / name).write_bytes(data)


def test_a_segment_that_does_not_follow(three: Path, hasty: Any) -> None:
    """Sound in itself, but not what was there: it is no part of this history."""
    last = three / "000003.ledger"
    data = last.read_bytes()
    digest = data.split(b'"previous":"')[1][:64]
    begin = data[: data.index(b'{"type":"ledger.commit"')].replace(digest, b"0" * 64)
    last.write_bytes(begin + encode_commit(4, 0, len(begin), 0, sha256(begin).hexdigest()))
    found = look(three)
    assert (found.damage, found.segment, found.seq, found.left_segments) == ("damaged", 2, 4, 1)
    assert "it follows a segment with the digest 0000" in found.why
    with Ledger.open(repaired(three), "r") as ledger:
        assert ledger.verify().sound


def test_a_torn_end_of_a_folder(three: Path) -> None:
    last = three / "000003.ledger"
    last.write_bytes(last.read_bytes()[:-200])
    found = look(three)
    assert (found.damage, found.segment, found.left_segments) == ("torn", 3, 0)
    with Ledger.open(repaired(three), "r") as ledger:
        assert ledger.verify().sound


def test_a_hole(three: Path) -> None:
    next(three.glob("000002.*")).unlink()
    with pytest.raises(LogError, match="segment 2 is missing after segment 1") as caught:
        look(three)
    assert "Put back what is missing" in caught.value.hint


# --- nothing half made -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["new.ledger", "new.ledger.new"])
def test_nothing_is_written_over(small: Path, name: str) -> None:
    small.write_bytes(small.read_bytes()[:-10])
    small.with_name(name).write_bytes(b"precious")
    with pytest.raises(LogError, match=f"{name} exists"):
        repaired(small)
    assert small.with_name(name).read_bytes() == b"precious"


def test_one_that_comes_into_being_meanwhile(small: Path) -> None:
    small.write_bytes(small.read_bytes()[:-10])
    target = small.with_name("new.ledger")
    with SoundCopy(OS_DISK, look(small), str(target)) as copy:
        copy.append([Mark(seq=7, time=0, name="x")])
        target.write_bytes(b"precious")
        with pytest.raises(LogError, match="cannot be written: File exists"):
            copy.keep()
    assert target.read_bytes() == b"precious"
    assert not Path(copy.path).exists()


@pytest.mark.parametrize("segmented", [False, True])
def test_a_disk_that_is_full_at_any_byte(small: Path, faulty: Any, segmented: bool) -> None:
    if segmented:
        with Ledger.open(small, segmented=True) as ledger:
            ledger.rotate([b"1"])
            ledger.append([Mark(name="x")])
        last = small / "000002.ledger"
        last.write_bytes(last.read_bytes()[:-10])
    else:
        small.write_bytes(small.read_bytes()[:-10])
    names = sorted(os.listdir(small.parent))
    before = contents(small)
    size = sum(map(len, before.values()))
    for space in range(0, size - 400, 101):
        faulty.space = space
        with pytest.raises(LogError, match=os.strerror(errno.ENOSPC)):
            repaired(small, faulty)
        assert sorted(os.listdir(small.parent)) == names
        assert contents(small) == before
    faulty.space = size + 300
    with Ledger.open(repaired(small, faulty), "r") as ledger:
        assert ledger.verify().sound


@pytest.mark.parametrize("step", ["sync", "create", "write", "sync_folder"])
def test_a_step_that_fails(small: Path, faulty: Any, step: str) -> None:
    small.write_bytes(small.read_bytes()[:-10])
    target = small.with_name("new.ledger")
    faulty.fail[step] = 1
    with pytest.raises(LogError, match="cannot be written"):
        repaired(small, faulty)
    assert target.exists() == (step == "sync_folder"), "it has its name, and is whole, if that reached the disk"
    assert not target.with_name("new.ledger.new").exists()


def test_events_that_do_not_follow(small: Path) -> None:
    small.write_bytes(small.read_bytes()[:-10])
    with (
        SoundCopy(OS_DISK, look(small), str(small.with_name("new.ledger"))) as copy,
        pytest.raises(InvalidEvent),
    ):
        copy.append([Mark(seq=9, time=0, name="x")])
    assert sorted(os.listdir(small.parent)) == ["x.ledger", "x.ledger.lock"]


def test_what_is_no_ledger(path: Path) -> None:
    path.write_bytes(b"Dear diary")
    with pytest.raises(NotALedger):
        look(path)
