"""Receipts: what they state of a ledger that is written just now, and what they find out later."""

import re
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from ezmsg.ledger import Ledger
from ezmsg.ledger.audit.receipt import Receipt, check, take
from ezmsg.ledger.errors import (
    CutBack,
    DamagedLedger,
    MalformedNote,
    NotALedger,
    OtherHistory,
    OtherLedger,
    ReceiptError,
    SegmentGone,
)
from ezmsg.ledger.events import Mark
from ezmsg.ledger.structural import encode_commit

NOW = 1_795_525_400_123_456_789
Marks = Callable[..., list[Mark]]


def taken(path: Path, durable_seq: int = 0) -> Receipt:
    return take(str(path), NOW, durable_seq)


def checked(path: Path, receipt: Receipt) -> None:
    check(str(path), receipt)


def test_the_text(small: Path) -> None:
    data = small.read_bytes()
    at = data.rindex(b'{"type":"ledger.commit"')
    receipt = taken(small)
    with Ledger.open(small, "r") as ledger:
        assert receipt.text == (
            f"ezmsg-ledger/{ledger.id}\n{at}\n{sha256(data[:at]).hexdigest()}\n"
            "segment 1\nseq 6\ntime 2026-11-24T13:03:20Z\n"
        )
    assert Receipt.parse(receipt.text) == receipt
    assert Receipt.parse(receipt.text + "witness of a newer version\n") == receipt
    checked(small, receipt)


def test_only_what_is_on_the_disk_for_sure(path: Path, marks: Marks) -> None:
    """A commit line states how far its writer had synced before: the last one says nothing of itself."""
    with Ledger.open(path, durability="commit") as ledger:
        assert taken(path).seq == 0, "the header was on the disk before the ledger had its name"
        for seq in range(1, 4):
            ledger.append(marks("x"))
            assert taken(path).seq == seq - 1
            assert taken(path, ledger.durable_seq).seq == seq, "the writer itself knows more"
            assert taken(path, 10**9).seq == seq
    sealed = taken(path)
    assert sealed.seq == 3
    assert sealed.size == path.read_bytes().rindex(b'{"type":"ledger.commit"')


def test_nothing_that_was_not_synced(path: Path, marks: Marks) -> None:
    with Ledger.open(path, durability="none") as ledger:
        for _ in range(3):
            ledger.append(marks("x"))
        assert (ledger.durable_seq, taken(path, ledger.durable_seq).seq) == (0, 0)
        ledger.sync()
        assert taken(path, ledger.durable_seq).seq == 3
        ledger.append(marks("x"))
        assert taken(path).seq == 3


def test_each_of_a_ledgers_receipts_holds_for_ever(path: Path, marks: Marks) -> None:
    receipts = []
    for number in range(3):
        with Ledger.open(path, durability="none") as ledger:
            for _ in range(number + 1):
                ledger.append(marks("a", "b"))
                ledger.sync()
                receipts.append(taken(path, ledger.durable_seq))
        receipts.append(taken(path))
    assert [receipt.seq for receipt in receipts] == [2, 2, 4, 6, 6, 8, 10, 12, 12]
    for receipt in receipts:
        checked(path, receipt)


def test_every_cut_is_found(small: Path) -> None:
    """At a commit's boundary as well, where the ledger itself is sound and nothing in it tells."""
    data = small.read_bytes()
    receipt = taken(small)
    for size in range(data.index(b"\n") + 150, len(data)):
        small.write_bytes(data[:size])
        if size < receipt.size:
            with pytest.raises(CutBack, match=rf"ends at offset {size}, but at offset {receipt.size} it had had seq 6"):
                checked(small, receipt)
        else:
            checked(small, receipt)  # the seal alone was cut: all events are there, and count


def test_a_cut_that_only_takes_the_commit_line(path: Path, marks: Marks) -> None:
    """All bytes of the events are there, and yet they never happened."""
    with Ledger.open(path, durability="none") as ledger:
        ledger.append(marks("a"))
        ledger.sync()
        receipt = taken(path, 1)
    data = path.read_bytes()
    path.write_bytes(data[: receipt.size])
    with pytest.raises(CutBack, match="has lost the commit line"):
        checked(path, receipt)
    path.write_bytes(data[: receipt.size] + b'{"type":"mark","seq":2,"time":0,"name":"b"}\n')
    with pytest.raises(CutBack, match="has lost the commit line"):
        checked(path, receipt)


@pytest.mark.parametrize("bit", [1, 0x20])
def test_every_byte_before_it_counts(small: Path, bit: int) -> None:
    data = small.read_bytes()
    receipt = taken(small)
    for offset in range(0, receipt.size):
        changed = bytearray(data)
        changed[offset] ^= bit
        small.write_bytes(changed)
        with pytest.raises((OtherHistory, OtherLedger, DamagedLedger, NotALedger)):
            checked(small, receipt)


def test_a_history_that_was_written_anew_is_another_one(small: Path) -> None:
    """Sound in itself, with the id of the ledger and as long: only the receipt tells."""
    receipt = taken(small)
    small.write_bytes(forged(small.read_bytes(), b"two", b"tow"))
    with Ledger.open(small, "r") as ledger:
        assert ledger.verify().sound
    with pytest.raises(OtherHistory, match=rf"the first {receipt.size} bytes of .* have the digest [0-9a-f]{{64}}"):
        checked(small, receipt)


def forged(data: bytes, old: bytes, new: bytes) -> bytes:
    """``data`` with one thing changed in it and every hash made right again."""
    out = b""
    for line in data.replace(old, new, 1).splitlines(keepends=True):
        if line.startswith(b'{"type":"ledger.commit"'):
            line = line[: line.index(b'"sha256":"') + 10] + sha256(out).hexdigest().encode() + b'"}\n'
        out += line
    return out


def test_another_ledger(small: Path, marks: Marks) -> None:
    receipt = taken(small)
    with Ledger.open(small.with_name("y.ledger")) as other:
        other.append(marks(*"abcdef"))
    with pytest.raises(OtherLedger, match=f"is the ledger {other.id}, but the receipt is about {receipt.id}"):
        checked(small.with_name("y.ledger"), receipt)


def test_a_seq_that_was_changed_in_the_receipt(small: Path) -> None:
    receipt = Receipt.parse(taken(small).text.replace("seq 6", "seq 5"))
    with pytest.raises(OtherHistory, match=f"had seq 6 at offset {receipt.size}, but the receipt says 5"):
        checked(small, receipt)


def test_no_receipt_is_given_of_a_damaged_ledger(small: Path) -> None:
    data = small.read_bytes()
    for offset in range(data.index(b"\n") + 1, len(data)):
        changed = bytearray(data)
        changed[offset] ^= 1
        small.write_bytes(changed)
        try:
            receipt = taken(small)
        except DamagedLedger:
            continue
        assert offset >= receipt.size, "what it speaks of is as it was written"
        small.write_bytes(data)
        checked(small, receipt)


def test_a_commit_line_that_says_more_than_there_is(path: Path, marks: Marks) -> None:
    """The hash in a last commit line does not cover what it says of itself: receipts end before it, as readers do."""
    with Ledger.open(path, durability="none") as ledger:
        ledger.append(marks("a"))
    data = path.read_bytes()
    at = data.rindex(b'{"type":"ledger.commit"')
    path.write_bytes(data[:at] + encode_commit(9, 0, at, at, sha256(data[:at]).hexdigest()))
    assert taken(path).seq == 0, "at level none nothing of it is known to be on the disk"
    assert taken(path, 1).seq == 1
    with Ledger.open(path, "r") as reader:
        assert (reader.head, reader.verify().torn) == (1, True)


# --- segments --------------------------------------------------------------------------------------------------------


def write(path: Path, disk: Any, segments: int = 3) -> list[Receipt]:
    """A folder of segments; a receipt from within each, and one of the end."""
    receipts = []
    with Ledger.open(path, durability="none", disk=disk, segmented=True) as ledger:
        for number in range(1, segments + 1):
            for name in ("a", "b"):
                ledger.append([Mark(name=name)])
                ledger.sync()
            receipts.append(taken(path, ledger.durable_seq))
            if number < segments:
                ledger.rotate([b"1"])
                receipts.append(taken(path))
    return [*receipts, taken(path)]


def test_the_receipts_of_a_folder(path: Path, hasty: Any) -> None:
    receipts = write(path, hasty)
    assert [(each.segment, each.seq) for each in receipts] == [(1, 2), (2, 2), (2, 4), (3, 4), (3, 6), (3, 6)]
    for receipt in receipts:
        checked(path, receipt)
        data = (path / f"{receipt.segment:06}.ledger").read_bytes()
        assert sha256(data[: receipt.size]).hexdigest() == receipt.sha256
    with Ledger.open(path) as ledger:
        ledger.append([Mark(name="more")])
        pytest.importorskip("zstandard")
        ledger.pack()
    for receipt in receipts:
        checked(path, receipt)


def test_a_file_that_becomes_a_folder_keeps_its_receipts(small: Path) -> None:
    receipt = taken(small)
    with Ledger.open(small, segmented=True) as ledger:
        ledger.rotate()
    assert small.is_dir()
    checked(small, receipt)


def test_segments_that_were_taken_away(path: Path, hasty: Any) -> None:
    first, _, second, _, _, last = write(path, hasty)
    alone = path.with_name("alone.ledger")
    (path / "000003.ledger").rename(alone)
    with pytest.raises(CutBack, match="ends with segment 2, but segment 3 was there"):
        checked(path, last)
    checked(path, second)
    checked(alone, last)
    with pytest.raises(SegmentGone, match="is segment 3, and the receipt is about segment 1"):
        checked(alone, first)
    (path / "000001.ledger").unlink()
    with pytest.raises(SegmentGone, match="segment 1 is no longer in"):
        checked(path, first)
    checked(path, second)


# --- texts that are none ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (r"ezmsg-ledger/", ""),
        (r"ezmsg-ledger/\S+", "ezmsg-ledger/"),
        (r"\n\d+\n", "\n01\n"),
        (r"\n\d+\n", "\n-1\n"),
        (r"\n\d+\n", "\n9999999999999999999\n"),
        (r"[0-9a-f]{64}", "0" * 63),
        (r"[0-9a-f]{64}", "A" * 64),
        (r"segment 1", "segment 0"),
        (r"segment 1\n", ""),
        (r"seq 6", "seq six"),
        (r"seq 6", "seq \u0666"),
        (r"2026-11-24T", "2026-11-31T"),
        (r"time .*\n", ""),
        (r"time .*\n", "time yesterday\n"),
    ],
)
def test_texts_that_are_no_receipt(small: Path, old: str, new: str) -> None:
    text = re.sub(old, new, taken(small).text, count=1)
    with pytest.raises(MalformedNote, match="not a receipt of a ledger"):
        Receipt.parse(text)


def test_every_error_has_a_word_of_its_own() -> None:
    words = [each.why for each in ReceiptError.__subclasses__()]
    assert len(set(words)) == len(words)
    assert "error" not in words


def test_a_receipt_ends_where_a_reader_ends(path: Path, marks: Marks) -> None:
    """A last commit line that miscounts, beyond what is on the disk, is a torn end for a reader, for ``verify``, and
    for a receipt: that one called it damage."""
    ledger = Ledger.open(path, durability="commit")
    ledger.append(marks("a"))
    ledger.append(marks("b", "c"))
    data = path.read_bytes()
    ledger.close()
    path.write_bytes(data.replace(b'"upto":3,"count":2', b'"upto":3,"count":3'))
    with Ledger.open(path, "r") as reader:
        assert (reader.head, reader.damage) == (1, None)
        assert reader.verify().torn
        assert take(str(path), 0, 3).seq == 1
    path.write_bytes(data[:-150] + data[-140:] + data[-400:])
    with Ledger.open(path, "r") as reader:
        assert reader.damage is not None
        with pytest.raises(DamagedLedger):
            take(str(path), 0, 3)
