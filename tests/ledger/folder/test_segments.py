"""Reading a folder of segments: one ledger, whatever is compressed, dropped, damaged or misplaced in it."""

import json
import random
import sys
from collections.abc import Callable, Iterator
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from ezmsg.ledger import Ledger
from ezmsg.ledger.errors import DamagedLedger, HistoryChanged, HistoryDropped, LogError, NewerFormat, NotALedger
from ezmsg.ledger.events import Mark
from ezmsg.ledger.extras import install_command
from ezmsg.ledger.storage import compression as packed_module
from ezmsg.ledger.storage.disk import OS_DISK, Disk

zstandard = pytest.importorskip("zstandard")


def write(path: Path, disk: Any, segments: int = 3, events: int = 4, size: int = 0) -> Path:
    """A folder of ``segments`` segments with ``events`` events each, the last one too; closed in good order."""
    noise = random.Random(5)
    with Ledger.open(path, durability="none", disk=disk, segmented=True, clock=iter(range(1000, 9999)).__next__) as it:
        for number in range(segments):
            for _ in range(events):
                it.append([Mark(name="n", note=noise.randbytes(size).hex() or None)])
            if number < segments - 1:
                it.rotate([b'{"head":%d}' % it.head])
    return path


@pytest.fixture
def three(path: Path, hasty: Any) -> Path:
    """Three segments: seqs 1 to 4, 5 to 8, 9 to 12."""
    return write(path, hasty)


def pack(path: Path) -> None:
    with Ledger.open(path) as ledger:
        ledger.pack()


def seqs(ledger: Ledger, after: int = 0, until: int | None = None) -> list[int]:
    return [event.seq for event in ledger.entries(after, until)]


FORMS = pytest.mark.parametrize("packed", [False, True], ids=["plain", "compressed"])


@FORMS
def test_it_is_read_from_and_to_any_seq(three: Path, packed: bool) -> None:
    if packed:
        pack(three)
    with Ledger.open(three, "r") as ledger:
        assert (ledger.first, ledger.head) == (1, 12)
        for after in range(14):
            for until in (None, *range(14)):
                assert seqs(ledger, after, until) == [
                    seq for seq in range(after + 1, 13) if until is None or seq <= until
                ], (after, until)
        starts = [ledger.start(seq) for seq in range(13)]
        assert [start and start.seq for start in starts] == [None] * 4 + [4] * 4 + [8] * 5
        assert ledger.start() == (8, [b'{"head":8}'])
        assert ledger.seq_at(2**62) == 12


@FORMS
def test_many_batches_and_a_long_segment(path: Path, hasty: Any, packed: bool) -> None:
    """More than a piece of reading and a frame of compressing in each."""
    write(path, hasty, segments=3, events=30, size=40_000)
    before = [file.read_bytes() for file in sorted(path.glob("*.ledger"))]
    assert min(map(len, before)) > 2 * 2**20
    if packed:
        pack(path)
        unpacked = [
            zstandard.ZstdDecompressor().decompressobj(read_across_frames=True).decompress(file.read_bytes())
            for file in sorted(path.glob("*.zst"))
        ]
        assert unpacked == before[:2], "any decompressor gives back the segment"
    with Ledger.open(path, "r") as ledger:
        batches = list(ledger.read())
        assert len(batches) > 8
        assert [event.seq for batch in batches for event in batch] == list(range(1, 91))
        assert seqs(ledger, 17, 44) == list(range(18, 45))
        found = ledger.verify()
        assert (found.sound, found.problems, found.bytes) == (True, [], sum(map(len, before)))


def test_the_last_commit_line_is_a_receipt_for_all(three: Path) -> None:
    files = sorted(three.glob("*.ledger"))
    with Ledger.open(three, "r") as ledger:
        commit = json.loads(ledger.receipt)
    for before, file in pairwise(files):
        second = json.loads(file.read_bytes().split(b"\n")[1])
        assert second["previous"] == sha256(before.read_bytes()).hexdigest()
    assert commit["sha256"] == sha256(files[-1].read_bytes()[: commit["at"]]).hexdigest()


# --- what is gone ----------------------------------------------------------------------------------------------------


@FORMS
def test_what_remains_when_the_first_ones_are_gone(three: Path, packed: bool) -> None:
    if packed:
        pack(three)
    for file in three.glob("000001.*"):
        file.rename(three.parent / "archived")
    with Ledger.open(three, "r") as ledger:
        assert (ledger.first, ledger.head) == (5, 12)
        assert seqs(ledger) == list(range(5, 13))
        assert seqs(ledger, 4, 6) == [5, 6]
        assert ledger.start(4) == (4, [b'{"head":4}'])
        for asked in (lambda: seqs(ledger, 3), lambda: ledger.start(3), lambda: next(ledger.tail(1))):
            with pytest.raises(HistoryDropped, match=r"begins with seq 5; seq . is no longer there"):
                asked()
        assert ledger.seq_at(2**62) == 12
        found = ledger.verify()
        assert (found.sound, found.first, found.seq, found.events, found.segments) == (True, 5, 12, 8, 2)
    with Ledger.open(three) as ledger:
        assert ledger.append([Mark(name="next")])[0].seq == 13
        assert ledger.verify().sound
        ledger.check()


def test_a_hole(three: Path) -> None:
    (three / "000002.ledger").rename(three.parent / "archived")
    with Ledger.open(three, "r") as ledger:
        assert (ledger.first, seqs(ledger)) == (9, [9, 10, 11, 12])
        found = ledger.verify()
        assert found.problems == ["segment 2 is missing after segment 1: none before it is read"]
        assert not found.sound
        assert (found.first, found.seq, found.segment) == (9, 12, 3)
    (three.parent / "archived").rename(three / "000002.ledger")
    with Ledger.open(three, "r") as ledger:
        assert ledger.verify().sound


def test_a_segment_alone_is_a_ledger(three: Path) -> None:
    pack(three)
    for name, first in (("000002.ledger.zst", 5), ("000003.ledger", 9)):
        apart = three.parent / name
        apart.write_bytes((three / name).read_bytes())
        with Ledger.open(apart, "r") as ledger:
            assert (ledger.first, seqs(ledger)) == (first, list(range(first, first + 4)))
            assert ledger.start() == (first - 1, [b'{"head":%d}' % (first - 1)])
            assert ledger.verify().sound
            assert ledger.tip == str(apart)


def test_dropping_keeps_what_is_young_and_the_last(path: Path, hasty: Any) -> None:
    clock = iter(range(0, 10**6, 100))
    with Ledger.open(path, durability="none", disk=hasty, segmented=True, clock=clock.__next__) as ledger:
        sealed = []
        for _ in range(4):
            ledger.append([Mark(name="x")])
            ledger.rotate([b"1"])
            sealed.append(ledger.began)
        assert ledger.drop(sealed[0]) == []
        assert ledger.drop(sealed[0] + 1) == ["000001.ledger"]
        ledger.pack()
        assert ledger.drop(sealed[2] + 1) == ["000002.ledger.zst", "000003.ledger.zst"]
        ledger.append([Mark(name="x")])
        ledger.rotate()
        assert ledger.drop(2**62) == ["000004.ledger.zst"], "the last one has no checkpoint: what leads to it stays"
        assert (ledger.first, seqs(ledger)) == (5, [5])


# --- damage ----------------------------------------------------------------------------------------------------------


@FORMS
def test_every_byte_counts(path: Path, hasty: Any, packed: bool) -> None:
    """A flipped bit in a sealed segment is found, and never shown as something else."""
    write(path, hasty, segments=2, events=2)
    with Ledger.open(path, "r", disk=hasty) as ledger:
        expected = list(ledger.entries())
    if packed:
        pack(path)
    file = next(path.glob("000001.*"))
    data = file.read_bytes()
    for offset in range(0, len(data), 1 if packed else 3):
        flipped = bytearray(data)
        flipped[offset] ^= 0x10
        file.write_bytes(flipped)
        shown: list[Any] = []
        try:
            with Ledger.open(path, "r", disk=hasty) as ledger:
                found = ledger.verify()
                try:
                    shown.extend(ledger.entries())
                except (DamagedLedger, NotALedger, NewerFormat, LogError):
                    pass
        except (DamagedLedger, NotALedger, NewerFormat, LogError):
            continue
        if packed and found.sound:  # in the table, or in a header's spare bits: what it unpacks to is the same
            assert shown == expected, offset
        else:
            assert not found.sound, offset
            assert [event.seq for event in shown] == [event.seq for event in expected[: len(shown)]], offset


def test_damage_in_a_sealed_segment_is_no_tail(three: Path) -> None:
    """Were it the last one, a writer could cut it; but it has a successor, so all of it had been on the disk."""
    file = three / "000002.ledger"
    data = file.read_bytes()
    file.write_bytes(data[:-30])
    with Ledger.open(three, "r") as ledger:
        with pytest.raises(DamagedLedger, match="has a successor, but does not end in a seal") as caught:
            seqs(ledger)
        assert caught.value.seq == ledger.head == 8
        assert "move all up to segment 2 elsewhere" in caught.value.hint
        assert str(ledger.damage) == str(caught.value)
        with pytest.raises(DamagedLedger):
            seqs(ledger, 8)
        found = ledger.verify()
        assert not found.sound
        assert "segment 2: offset" in found.problems[0]
        assert found.seq == 8
    with pytest.raises(DamagedLedger, match="segment 3 follows one with another digest"):
        Ledger.open(three)
    assert file.read_bytes() == data[:-30], "nothing was cut"


def test_a_segment_that_cannot_be_unpacked_ends_the_sound_part_before_it(three: Path) -> None:
    pack(three)
    file = three / "000002.ledger.zst"
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    with Ledger.open(three, "r") as ledger:
        found = ledger.verify()
        assert (found.segment, found.seq, found.events) == (1, 4, 4)
        assert "segment 2: " in found.problems[0]


def test_a_whole_commit_that_is_gone(three: Path) -> None:
    file = three / "000002.ledger"
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join(lines[:-3]))
    with Ledger.open(three, "r") as ledger:
        with pytest.raises(DamagedLedger, match=r"after seq 7 .* does not end in a seal"):
            seqs(ledger)
        assert any("is not sealed" in problem for problem in ledger.verify().problems)


def test_a_segment_that_was_replaced_by_a_sound_one(three: Path, hasty: Any) -> None:
    """Sound in itself, with the right seqs: only the chain tells."""
    other = write(three.parent / "other.ledger", hasty)
    theirs = (other / "000002.ledger").read_bytes()
    ours = json.loads((three / "000002.ledger").read_bytes().split(b"\n")[0])["id"].encode()
    id_ = json.loads(theirs.split(b"\n")[0])["id"].encode()
    (three / "000002.ledger").write_bytes(theirs)
    with Ledger.open(three, "r") as ledger, pytest.raises(LogError, match="is a segment of another ledger"):
        seqs(ledger)
    assert len(id_) == len(ours)
    forged = _resealed(theirs.replace(id_, ours, 1).replace(b'"name":"n"', b'"name":"N"', 1))
    (three / "000002.ledger").write_bytes(forged)
    with Ledger.open(three, "r") as ledger:
        problems = ledger.verify().problems
        assert [problem.split(" ", 3)[:3] for problem in problems] == [["segment", "2:", "it"], ["segment", "3:", "it"]]
        assert all("follows a segment with the digest" in problem for problem in problems)
        found = ledger.verify()
        assert (found.segment, found.seq, found.events) == (1, 4, 4), "what is not joined to it is no part of it"
        assert found.offset < found.bytes


def _resealed(data: bytes) -> bytes:
    """The same lines with the hashes that they should have."""
    out = b""
    for line in data.splitlines(keepends=True):
        if line.startswith(b'{"type":"ledger.commit"'):
            line = line[: line.index(b'"sha256":"') + 10] + sha256(out).hexdigest().encode() + b'"}\n'
        out += line
    return out


@pytest.mark.parametrize("part", ["segment", "checkpoint"])
def test_a_checkpoint_that_has_changed_is_not_handed_out(three: Path, part: str) -> None:
    file = three / "000003.ledger"
    file.write_bytes(file.read_bytes().replace(b'"head":8', b'"head":9'))
    with Ledger.open(three, "r") as ledger:
        with pytest.raises(DamagedLedger, match="its checkpoint is not the one that was written"):
            ledger.start()
        assert ledger.start(7) == (4, [b'{"head":4}'])
        assert seqs(ledger) == list(range(1, 13)), "the events do not rest on it"
        assert not ledger.verify().sound
    with pytest.raises(DamagedLedger, match="damaged at offset 0"):
        Ledger.open(three)


@pytest.mark.parametrize("size", [10**6, 10**14, 2**63 - 1])
def test_a_checkpoint_that_should_end_behind_the_file(three: Path, size: int) -> None:
    """Neither the memory nor the patience of whoever reads it is spent."""
    file = three / "000002.ledger"
    data = file.read_bytes()
    stated = json.loads(data.split(b"\n")[1])["checkpoint"]
    file.write_bytes(data.replace(b'"checkpoint":%d' % stated, b'"checkpoint":%d' % size, 1))
    with Ledger.open(three, "r") as ledger:
        with pytest.raises(DamagedLedger, match=f"the file ends at {len(file.read_bytes())}"):
            ledger.start(5)
        found = ledger.verify()
        assert (found.segment, found.seq) == (1, 4)
        assert "its checkpoint should end at offset" in found.problems[0]


def test_a_checkpoint_with_odd_white_space(path: Path, hasty: Any) -> None:
    """JSON allows a carriage return between two values: it ends no line."""
    with Ledger.open(path, disk=hasty, segmented=True) as ledger:
        ledger.append([Mark(name="a")])
        assert ledger.rotate([b'{"a":\r1}'])
        assert ledger.start() == (1, [b'{"a":\r1}'])


def test_a_checkpoint_that_is_none_though_its_hash_is_right(three: Path) -> None:
    file = three / "000002.ledger"
    file.write_bytes(_resealed(file.read_bytes().replace(b'"ledger.checkpoint"', b'"ledger.cheekpoint"', 1)))
    with Ledger.open(three, "r") as ledger, pytest.raises(DamagedLedger, match="damaged before offset"):
        ledger.start(5)


def test_a_segment_that_is_dropped_while_the_ledger_is_verified(path: Path) -> None:
    """What remains is a sound ledger."""

    class DroppingDisk(Disk):
        """The first segment goes just before it would be opened."""

        def open(self, path: str, *, write: bool = False) -> int:
            if path.endswith("000001.ledger"):
                Path(path).unlink(missing_ok=True)
            return super().open(path, write=write)

    write(path, OS_DISK)
    with Ledger.open(path, "r", disk=DroppingDisk()) as ledger:
        found = ledger.verify()
        assert (found.problems, found.first, found.segments) == ([], 5, 2)


def test_segments_in_each_others_place(three: Path) -> None:
    (three / "000002.ledger").rename(three / "x")
    (three / "000003.ledger").rename(three / "000002.ledger")
    (three / "x").rename(three / "000003.ledger")
    with pytest.raises(LogError, match=r"000003\.ledger is segment 2 of its ledger") as caught:
        Ledger.open(three, "r")
    assert caught.value.hint == "Name it 000002.ledger, or take it away."


# --- compressed ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("frames", [1, 3])
def test_a_segment_that_was_compressed_by_hand(path: Path, hasty: Any, frames: int) -> None:
    """As the command zstd does it, or several of its files one behind the other: there is no table to seek by."""
    write(path, hasty, segments=2, events=30, size=40_000)
    data = (path / "000001.ledger").read_bytes()
    pieces = [data[begin : begin + len(data) // frames + 1] for begin in range(0, len(data), len(data) // frames + 1)]
    compressed = b"".join(zstandard.ZstdCompressor(write_content_size=False).compress(piece) for piece in pieces)
    (path / "000001.ledger").unlink()
    (path / "000001.ledger.zst").write_bytes(compressed)
    with Ledger.open(path, "r") as ledger:
        assert seqs(ledger) == list(range(1, 61))
        assert seqs(ledger, 20, 22) == [21, 22]
        assert ledger.verify().sound
    (path / "000001.ledger.zst").write_bytes(compressed[: len(compressed) // 2])
    with Ledger.open(path, "r") as ledger:
        assert not ledger.verify().sound
    (path / "000001.ledger.zst").write_bytes(b"not zstandard at all")
    with Ledger.open(path, "r") as ledger, pytest.raises(DamagedLedger, match="cannot be unpacked"):
        seqs(ledger)


def test_both_forms_are_there(three: Path) -> None:
    """As after a crash between the two: the plain one counts, and the next compression puts it in order."""
    data = (three / "000001.ledger").read_bytes()
    pack(three)
    (three / "000001.ledger").write_bytes(data)
    (three / "000001.ledger.zst").write_bytes(b"half")
    with Ledger.open(three, "r") as ledger:
        assert seqs(ledger) == list(range(1, 13))
    pack(three)
    assert sorted(file.name for file in three.iterdir()) == ["000001.ledger.zst", "000002.ledger.zst", "000003.ledger"]
    with Ledger.open(three, "r") as ledger:
        assert seqs(ledger) == list(range(1, 13))


def test_what_does_not_give_back_the_segment_does_not_take_its_place(
    three: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Forgetful:
        ZstdDecompressor, ZstdError = zstandard.ZstdDecompressor, zstandard.ZstdError
        get_frame_parameters, CONTENTSIZE_UNKNOWN = zstandard.get_frame_parameters, zstandard.CONTENTSIZE_UNKNOWN

        class ZstdCompressor:
            def __init__(self, **options: Any) -> None: ...

            def compress(self, data: bytes) -> bytes:
                return bytes(zstandard.ZstdCompressor().compress(bytes(len(data))))

    monkeypatch.setattr(packed_module, "library", lambda: Forgetful)
    with pytest.raises(LogError, match="does not give back"):
        pack(three)
    assert sorted(file.name for file in three.iterdir()) == ["000001.ledger", "000002.ledger", "000003.ledger"]


def test_without_the_library(three: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pack(three)
    monkeypatch.setitem(sys.modules, "zstandard", None)
    with Ledger.open(three, "r") as ledger:
        with pytest.raises(LogError, match="needs zstandard, which is not installed") as caught:
            seqs(ledger)
        command = install_command("ezmsg-ledger[zstd]")
        assert caught.value.hint == f"Install it: {command}. Or unpack the segment: zstd -d FILE."
        assert seqs(ledger, 8) == [9, 10, 11, 12], "what is not compressed is read"
    with Ledger.open(three) as ledger:
        ledger.append([Mark(name="x")])
        ledger.rotate([b"1"])
        with pytest.raises(LogError, match="zstandard"):
            ledger.pack()
        ledger.append([Mark(name="y")])
        assert seqs(ledger, 13) == [14]
        assert ledger.start() == (13, [b"1"]), "what a recorder needs to start"


def test_the_last_one_is_compressed(three: Path) -> None:
    """As in an archive, or when the segment behind it was removed: it is read as ever, and another one goes on."""
    data = (three / "000003.ledger").read_bytes()
    (three / "000003.ledger").unlink()
    (three / "000003.ledger.zst").write_bytes(zstandard.ZstdCompressor().compress(data))
    with Ledger.open(three, "r") as ledger:
        assert seqs(ledger) == list(range(1, 13))
        assert ledger.head == 12
        assert ledger.verify().sound
    with Ledger.open(three) as ledger:
        assert ledger.append([Mark(name="on")])[0].seq == 13
    assert (three / "000004.ledger").exists()
    with Ledger.open(three, "r") as ledger:
        assert seqs(ledger) == list(range(1, 14))
        assert ledger.verify().sound
    (three / "000004.ledger").unlink()
    torn = data + b"torn"
    (three / "000003.ledger.zst").write_bytes(zstandard.ZstdCompressor().compress(torn))
    with pytest.raises(LogError, match="is compressed, so nothing can be added to it"):
        Ledger.open(three)


# --- following -------------------------------------------------------------------------------------------------------


def test_a_segment_that_is_replaced_while_it_is_followed(three: Path, hasty: Any) -> None:
    other = write(three.parent / "other.ledger", hasty)
    with Ledger.open(three, "r") as ledger:
        tail = ledger.tail(poll=0.001)
        assert sum(len(next(tail)) for _ in range(3)) == 12
        (other / "000003.ledger").rename(three / "000003.ledger")
        with pytest.raises(HistoryChanged, match="removed or replaced"):
            next(tail)


def test_a_follower_that_is_too_slow(three: Path) -> None:
    """What it has not read yet is dropped: it is told, instead of being shown the next."""
    with Ledger.open(three, "r") as ledger:
        tail = ledger.tail(poll=0.001)
        assert [event.seq for event in next(tail)] == [1, 2, 3, 4]
        for number in (1, 2):
            (three / f"00000{number}.ledger").unlink()
        with pytest.raises(HistoryDropped, match="segment 2 is no longer in"):
            next(tail)


def test_times_are_looked_up_anew_when_their_segment_is_gone(path: Path, hasty: Any) -> None:
    clock: Iterator[int] = iter(range(0, 10**6, 100))
    with (
        Ledger.open(path, durability="none", disk=hasty, segmented=True, clock=clock.__next__) as ledger,
        Ledger.open(path, "r", disk=hasty) as reader,
    ):
        for _ in range(3):
            time = ledger.append([Mark(name="x")])[0].time
            ledger.rotate([b"1"])
            ledger.append([Mark(name="y")])
            assert reader.seq_at(time) == reader.head - 1
            ledger.rotate([b"1"])
            ledger.drop(2**62)
            assert reader.seq_at(time) == 0
            assert reader.seq_at(2**62) == 0
            ledger.append([Mark(name="z")])
            assert reader.seq_at(2**62) == reader.head


def test_a_folder_that_is_being_made_of_a_file(path: Path, hasty: Any, marks: Callable[..., list[Mark]]) -> None:
    """The one moment in which the ledger has another name."""
    with Ledger.open(path, durability="none", disk=hasty) as ledger:
        ledger.append(marks("a"))
    moving = path.with_name("x.ledger.folder")
    moving.mkdir()
    path.rename(moving / "000001.ledger")
    with Ledger.open(path, "r") as ledger:
        assert seqs(ledger) == [1]
    with Ledger.open(path) as ledger:
        assert ledger.append(marks("b"))[0].seq == 2
    assert not moving.exists()
    assert (path / "000001.ledger").is_file()
