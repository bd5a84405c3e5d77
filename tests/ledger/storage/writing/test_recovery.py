"""Opening after a crash: a prefix of whole commits, the tail kept, damage left alone, and twice is as good as once."""

import itertools
import json
import logging
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ezmsg.ledger import Ledger
from ezmsg.ledger.errors import DamagedLedger, LogError, NotALedger
from ezmsg.ledger.events import Mark, MetadataRegistered

COMMIT = b'{"type":"ledger.commit"'


def commit_ends(data: bytes) -> list[int]:
    """The offsets behind the header line and behind each commit line."""
    ends, offset = [data.index(b"\n") + 1], 0
    for line in data.split(b"\n")[:-1]:
        offset += len(line) + 1
        if line.startswith(COMMIT):
            ends.append(offset)
    return ends


def events_of(data: bytes) -> list[str]:
    return [line.decode() for line in data.split(b"\n")[:-1] if not line.startswith(b'{"type":"ledger.')]


def fresh(folder: Path, data: bytes) -> Path:
    path = folder / "cut.ledger"
    for old in folder.iterdir():
        old.unlink()
    path.write_bytes(data)
    return path


def test_a_cut_at_every_byte(small: Path, hasty: Any, caplog: pytest.LogCaptureFixture) -> None:
    data = small.read_bytes()
    ends = commit_ends(data)
    folder = small.parent / "cuts"
    folder.mkdir()
    for cut in range(1, len(data) + 1):
        caplog.clear()
        path = fresh(folder, data[:cut])
        if cut < ends[0]:
            with pytest.raises(NotALedger):
                Ledger.open(path, disk=hasty)
            assert path.read_bytes() == data[:cut]
            continue
        whole = max(end for end in ends if end <= cut)
        with Ledger.open(path, "r", disk=hasty) as reader:
            shown = list(reader.entries())
            assert reader.tail_bytes == cut - whole
            assert reader.verify().sound == (cut == whole and cut > ends[0])
        with Ledger.open(path, disk=hasty) as ledger:
            assert list(ledger.entries()) == shown
            ledger.check()
        assert len(shown) == len(events_of(data[:whole]))
        after = path.read_bytes()
        assert after.startswith(data[:whole])
        assert events_of(after) == events_of(data[:whole])
        tails = {tail.name: tail.read_bytes() for tail in folder.glob("*.tail*")}
        assert tails == ({f"cut.ledger.tail-{whole}": data[whole:cut]} if cut > whole else {})
        assert len(caplog.records) == (cut > whole), "warned once"
        with Ledger.open(path, disk=hasty) as ledger:
            found = ledger.verify()
            assert (found.sound, found.problems) == (True, [])
        assert path.read_bytes() == after, "recovery is idempotent"


def test_it_is_noted_in_the_ledger_and_told(
    small: Path, marks: Callable[..., list[Mark]], caplog: pytest.LogCaptureFixture
) -> None:
    data = small.read_bytes()
    ends = commit_ends(data)
    small.write_bytes(data[: ends[-2] - 10])
    with caplog.at_level(logging.WARNING, "ezmsg.ledger"), Ledger.open(small, clock=lambda: 77) as ledger:
        ledger.append(marks("next"))
        assert [event.seq for event in ledger.entries()] == [1, 2, 3, 4]
    (record,) = caplog.records
    lost = ends[-2] - 10 - ends[-3]
    assert f"{lost} bytes after seq 3 were not a whole commit" in record.message
    assert f"they are kept in {small}.tail-{ends[-3]}" in record.message
    (note,) = [json.loads(line) for line in small.read_bytes().split(b"\n") if b"ledger.recovered" in line]
    assert note == {
        "type": "ledger.recovered", "at": ends[-3], "bytes": lost, "saved": f"x.ledger.tail-{ends[-3]}", "time": 77,
    }  # fmt: skip


def test_a_second_tail_at_the_same_offset_does_not_overwrite_the_first(small: Path, hasty: Any) -> None:
    data = small.read_bytes()
    end = commit_ends(data)[2]
    for garbage in (b"first", b"second", b"first", b"third"):
        small.write_bytes(data[:end] + garbage)
        Ledger.open(small, disk=hasty).close()
    tails = {path.name: path.read_bytes() for path in small.parent.glob("*.tail*")}
    name = f"x.ledger.tail-{end}"
    assert tails == {name: b"first", f"{name}.2": b"second", f"{name}.3": b"third"}


def test_a_recovery_that_dies_at_any_step(small: Path, faulty: Any) -> None:
    """Fail the n-th call of each kind, then recover with a disk that works."""
    data = small.read_bytes()
    end = commit_ends(data)[3]
    for name, nth in itertools.product(["sync", "truncate", "create", "sync_folder", "write"], range(4)):
        small.write_bytes(data[: end + 20])
        for old in small.parent.glob("*.tail*"):
            old.unlink()
        count = iter(range(100))
        broken = type(faulty)()
        real = getattr(broken, name)

        def fail_at(*arguments: Any, nth: int = nth, count: Iterator[int] = count, real: Any = real) -> Any:
            if next(count) == nth:
                raise OSError(5, "Input/output error")
            return real(*arguments)

        setattr(broken, name, fail_at)
        try:
            Ledger.open(small, disk=broken).close()
        except LogError as error:
            assert "Input/output error" in str(error)  # noqa: PT017
        with Ledger.open(small) as ledger:
            assert [event.seq for event in ledger.entries()] == [1, 2, 3]
            assert ledger.verify().sound
        tails = [tail.read_bytes() for tail in small.parent.glob("*.tail-*")]
        assert data[end : end + 20] in tails, (name, nth)
        assert small.read_bytes().count(b'{"type":"ledger.recovered"') >= 1


def test_unsynced_bytes_are_written_again_before_anything_is_acknowledged(path: Path, faulty: Any) -> None:
    """The run before may have ended with a failed sync: what the cache shows proves nothing about the disk."""
    with Ledger.open(path, durability="none") as ledger:
        ledger.append([Mark(name="a")])
    data = path.read_bytes()
    path.write_bytes(data[: commit_ends(data)[2]])  # no seal: a killed writer
    written: list[tuple[int, bytes]] = []
    synced: list[int] = []
    real_write, real_sync = faulty.write, faulty.sync

    def write(handle: int, block: bytes, offset: int) -> int:
        written.append((offset, bytes(block)))
        return int(real_write(handle, block, offset))

    def sync(handle: int) -> None:
        synced.append(len(written))
        real_sync(handle)

    faulty.write, faulty.sync = write, sync
    with Ledger.open(path, disk=faulty) as ledger:
        stated = json.loads(data[commit_ends(data)[1] :].split(b"\n")[1])["synced"]
        assert (stated, data[stated : commit_ends(data)[2]]) in written[: synced[-1]]
        assert ledger.durable_seq == 1


# --- damage is not a tail ---


COMMIT_AT = re.compile(rb'{"type":"ledger.commit","upto":\d+,"count":\d+,"at":(\d+)')


def test_damage_and_tail(small: Path, hasty: Any) -> None:
    """Flip each byte: below what a later line states to be durable it is damage and stays; else it is the tail."""
    data = small.read_bytes()
    ends = commit_ends(data)
    lines = [json.loads(line) for line in data.split(b"\n") if line.startswith(COMMIT)]
    outcomes = set()
    last = data.rindex(b'"synced":')
    for offset in [*range(ends[0], last + 9), *range(data.index(b",", last), len(data))]:
        flipped = bytearray(data)
        flipped[offset] ^= 0x01
        small.write_bytes(flipped)
        unsound = max(end for end in ends if end <= offset)
        stated = max(
            (
                line["synced"]
                for line in lines
                if not line["at"] <= offset < line["at"] + _line_length(data, line["at"])
            ),
            default=0,
        )
        try:
            Ledger.open(small, disk=hasty).close()
        except DamagedLedger as error:
            # a digit of `at` that changed looks as a line that was moved: where it cannot be told, nothing is cut
            line = COMMIT_AT.match(data, data.rindex(b"\n", 0, offset) + 1)
            assert unsound < stated or (line is not None and line.start(1) <= offset < line.end(1))
            assert error.offset in ((0, unsound) if offset < ends[1] else (unsound,))  # noqa: PT017
            assert error.seq == len(events_of(data[:unsound]))  # noqa: PT017
            assert small.read_bytes() == flipped, "nothing was cut"
            outcomes.add("damage")
        else:
            assert unsound >= stated, offset
            assert small.read_bytes().startswith(data[:unsound])
            assert Path(f"{small}.tail-{unsound}").read_bytes() == flipped[unsound:]
            outcomes.add("tail")
        for tail in small.parent.glob("*.tail*"):
            tail.unlink()
    assert outcomes == {"damage", "tail"}


def _line_length(data: bytes, at: int) -> int:
    return data.index(b"\n", at) + 1 - at


def test_a_damaged_ledger_can_be_read_up_to_the_damage(small: Path) -> None:
    data = small.read_bytes()
    where = data.index(b'"name":"two"')
    small.write_bytes(data[:where] + b'"name";"two"' + data[where + 12 :])
    with Ledger.open(small, "r") as ledger:
        batches = ledger.read()
        assert [event.seq for event in next(batches)] == [1, 2, 3]
        with pytest.raises(DamagedLedger, match="damaged after seq 3") as info:
            next(batches)
        assert info.value.seq == 3
        assert info.value.offset == commit_ends(data)[4]


@pytest.mark.parametrize(("old", "new"), [(b'"label":"DEMO"', b'"label":"DEMONSTRATION"'), (b',"label":"DEMO"', b"")])
def test_an_edit_that_moves_all_that_follows_is_damage(small: Path, old: bytes, new: bytes) -> None:
    """A text editor was at it: no later commit line stands where it says, and yet each tells of bytes on the disk."""
    edited = small.read_bytes().replace(old, new)
    small.write_bytes(edited)
    with pytest.raises(DamagedLedger) as info:
        Ledger.open(small)
    assert info.value.seq == 0
    assert small.read_bytes() == edited
    with Ledger.open(small, "r") as ledger, pytest.raises(DamagedLedger):
        list(ledger.read())


def test_a_torn_event_that_speaks_of_commits_is_no_damage(small: Path) -> None:
    """What somebody's settings hold cannot make a ledger that was torn there refuse to open."""
    claim = {"type": "ledger.commit", "upto": 9, "count": 1, "at": 9999, "synced": 9999, "sha256": "0" * 64}
    event = MetadataRegistered(session=1, metadata={"a": claim}, raw=None)
    with Ledger.open(small, durability="none") as ledger:
        before = ledger.receipt
        ledger.append([event])
        assert list(ledger.entries(after=6)) == [MetadataRegistered(seq=7, time=ledger_time(ledger), **fields(event))]
    data = small.read_bytes()
    small.write_bytes(data[: data.index(before.encode()) + len(before) + 1 + 300])
    with Ledger.open(small) as ledger:
        assert ledger.head == 6


def ledger_time(ledger: Ledger) -> int:
    return next(ledger.entries(after=ledger.head - 1)).time


def fields(event: MetadataRegistered) -> dict[str, Any]:
    return {"session": event.session, "metadata": event.metadata}


def test_the_lock_is_free_after_a_refusal(small: Path) -> None:
    data = small.read_bytes()
    small.write_bytes(data.replace(b'"name":"one"', b'"name":"ONE"'))
    for _ in range(2):
        with pytest.raises(DamagedLedger):
            Ledger.open(small)
    small.write_bytes(data)
    Ledger.open(small).close()


@settings(max_examples=40, deadline=None)
@given(
    runs=st.lists(st.lists(st.integers(1, 5), max_size=6), min_size=1, max_size=3),
    cut=st.floats(0, 1),
    garbage=st.binary(max_size=300),
)
def test_any_history_any_cut_any_garbage(
    tmp_path_factory: pytest.TempPathFactory, runs: list[list[int]], cut: float, garbage: bytes
) -> None:
    """Recovery gives a prefix of what was appended, of whole commits, whatever stands behind it."""
    path = tmp_path_factory.mktemp("any") / "x.ledger"
    model: list[Any] = []
    ends = {0}
    for sizes in runs:
        with Ledger.open(path, durability="none") as ledger:
            for size in sizes:
                model += ledger.append([Mark(name="m")] * size)
                ends.add(len(model))
    data = path.read_bytes()
    at = commit_ends(data)[1] + int((len(data) - commit_ends(data)[1]) * cut)
    path.write_bytes(data[:at] + garbage)
    with Ledger.open(path, durability="none") as ledger:
        found = list(ledger.entries())
        assert found == model[: len(found)]
        assert len(found) in ends
        assert len(found) >= len(events_of(data[: max(e for e in commit_ends(data) if e <= at)]))
        ledger.append([Mark(name="next")])
        ledger.check()
    verified = Ledger.open(path, "r").verify()
    assert (verified.sound, verified.seq) == (True, len(found) + 1)
