"""Damage that shifts offsets: whatever was put in, cut out, doubled or swapped, it is told, or does not matter.

What people do to recordings: an editor or a mail program that turns line ends into CRLF, a copy that lost a block or
has one twice, a line that was put in by hand, a merge. Before, such a ledger looked like a short and healthy one.
"""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ezmsg.ledger.errors import DamagedLedger, LogError, NewerFormat, NotALedger
from ezmsg.ledger.log import Ledger
from ezmsg.ledger.projections.graph.segment_start import rotate
from ezmsg.ledger.projections.questions.timeline import Timeline
from ezmsg.ledger.reader import LedgerReader
from ezmsg.ledger.tools import exits

zstandard = pytest.importorskip("zstandard")

Run = Callable[..., Any]

COMMANDS: list[list[str]] = [
    ["show"],
    ["show", "--json"],
    ["log"],
    ["log", "--json"],
    ["log", "-n", "3"],
    ["diff", "start", "end"],
    ["sessions"],
    ["why", "SYSTEM/AMP/OUT", "SYSTEM/FILTER/IN"],
    ["history", "SYSTEM/AMP"],
    ["path", "SYSTEM/SOURCE/OUT", "SYSTEM/SINK/IN"],
    ["when", "session SYSTEM"],
    ["settings"],
    ["explain", "SYSTEM/SINK/IN"],
    ["what-if", "SYSTEM"],
    ["export"],
    ["export", "--events"],
]
"""Every command that looks, each the way that it is mostly asked."""

FORMS = ("file", "folder", "compressed")


def asked(command: list[str], path: Path) -> list[object]:
    return [command[0], path, *command[1:]]


@pytest.fixture(scope="module")
def forms(night: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The night as one file, as three segments, and as three of which two are compressed."""
    folder = tmp_path_factory.mktemp("forms")
    found = {name: folder / name for name in FORMS}
    shutil.copy(night.path, found["file"])
    for name in FORMS[1:]:
        with Ledger.open(night.path, "r") as source, Ledger.open(found[name], segmented=True) as target:
            for event in source.entries():
                target.append_late([event])  # type: ignore[list-item]
                if event.seq in (25, 45):
                    rotate(target)
            if name == "compressed":
                target.pack()
    return found


def files(path: Path) -> list[Path]:
    return sorted(path.iterdir()) if path.is_dir() else [path]


class Shift(NamedTuple):
    """A change of a file: ``kind``; where, as shares of the file; how many bytes; and bytes to put in."""

    kind: str
    place: float
    other: float
    size: int
    noise: bytes

    def applied(self, data: bytes) -> bytes:
        begin = min(int(self.place * len(data)), len(data) - 1)
        if self.kind == "insert":
            return data[:begin] + self.noise + data[begin:]
        if self.kind == "cut":
            return data[:begin] + data[begin + self.size :]
        if self.kind == "double":
            to = int(self.other * len(data))
            return data[:to] + data[begin : begin + self.size] + data[to:]
        if self.kind == "crlf":
            return data.replace(b"\n", b"\r\n")
        lines = data.splitlines(keepends=True)
        one, two = (min(int(each * len(lines)), len(lines) - 1) for each in (self.place, self.other))
        lines[one], lines[two] = lines[two], lines[one]
        return b"".join(lines)


SHARE = st.floats(0, 1, exclude_max=True)
SHIFTS = st.builds(
    Shift,
    st.sampled_from(("insert", "cut", "double", "crlf", "swap")),
    SHARE,
    SHARE,
    st.integers(1, 3000),
    st.binary(min_size=1, max_size=60) | st.sampled_from((b"\n", b"{}\n", b" ", b"\r", b'{"type":"mark","seq":3}\n')),
)


def prefix(original: Path, target: Path, head: int) -> None:
    """A copy of ``original`` up to the commit that ends with seq ``head``."""
    if original.is_dir():
        shutil.copytree(original, target)
        whole, last = original, max(original.iterdir())
        with Ledger.open(whole, "r") as ledger:
            if ledger.head == head:
                return
        cut = target / last.name
        _cut(cut, head)
    else:
        shutil.copy(original, target)
        _cut(target, head)


def _cut(path: Path, head: int) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    ends = [place for place, line in enumerate(lines) if line.startswith(b'{"type":"ledger.commit","upto":%d,' % head)]
    path.write_bytes(b"".join(lines[: ends[0] + 1]))


def calls(ledger: LedgerReader) -> tuple[list[Any], bool]:
    """All that a reader can be asked; the events that it showed, and whether it told of damage."""
    shown: list[Any] = []
    told = ledger.damage is not None
    try:
        for batch in ledger.read():
            shown += batch
    except DamagedLedger:
        told = True
    for question in (
        lambda: ledger.seq_at(2**62),
        lambda: ledger.start(),
        lambda: ledger.start(30),
        lambda: list(ledger.entries(20)),
        lambda: list(ledger.read(10, 12)),
        lambda: list(ledger.tail(0, stop=lambda: True)),
        lambda: Timeline(ledger, index=False).at("end").check(),
        lambda: Timeline(ledger, index=False).landmarks,
    ):
        try:
            question()
        except DamagedLedger:
            told = True
    assert ledger.holds(ledger.place)
    assert ledger.bytes_on_disk >= 0
    assert ledger.head <= (shown[-1].seq if shown else 0) or told
    return shown, told


@pytest.mark.parametrize("form", FORMS)
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(shift=SHIFTS, which=st.integers(0, 2))
def test_a_shift_is_told_or_does_not_matter(
    run: Run, forms: dict[str, Path], tmp_path: Path, night: Any, form: str, shift: Shift, which: int
) -> None:
    """Each command and each call of a reader tells of damage, or shows exactly what the history was at some seq."""
    path = tmp_path / "x.ledger"
    _clear(path)
    shutil.copytree(forms[form], path) if form != "file" else shutil.copy(forms[form], path)
    changed = files(path)[which if form != "file" else 0]
    before = changed.read_bytes()
    after = shift.applied(before)
    changed.write_bytes(after)
    try:
        with Ledger.open(path, "r") as ledger:
            head = ledger.head
            shown, told = calls(ledger)
    except (NotALedger, NewerFormat, DamagedLedger) as error:
        refused: LogError = error
    else:
        refused = LogError("")
    if str(refused):
        for command in COMMANDS:
            answer = run(*asked(command, path))
            assert (answer.code, answer.out) == (exits.code_of(refused), ""), answer
        assert isinstance(refused, DamagedLedger) or before[:200] != after[:200], "its first lines are as they were"
        return
    with Ledger.open(night.path, "r") as ledger:
        history = list(ledger.entries())
    assert shown == history[: len(shown)], "what is shown was recorded"
    answers = [run(*asked(command, path)) for command in COMMANDS]
    assert {answer.code for answer in answers} <= ({exits.OK, exits.DAMAGED} if told else {exits.OK}), answers
    verified = run("verify", path).code
    assert verified != exits.OK or before.startswith(after)
    assert not told or verified == exits.DAMAGED
    _clear(path)
    for command, answer in zip(COMMANDS, answers, strict=True):
        assert "Traceback" not in answer.err
        if answer.code == exits.OK:
            if not path.exists():
                prefix(forms[form], path, head)
            assert answer.out == run(*asked(command, path)).out, command
        else:
            assert "damaged" in answer.err, answer


def _clear(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def test_every_command_tells_of_lines_with_crlf(run: Run, night: Any, tmp_path: Path) -> None:
    """``sed 's/$/\\r/'``: ``show`` said "a ledger without events", and all ended with 0."""
    path = tmp_path / "x.ledger"
    path.write_bytes(night.path.read_bytes().replace(b"\n", b"\r\n"))
    for command in [*COMMANDS, ["receipt"], ["verify"]]:
        answer = run(*asked(command, path))
        assert answer.code == exits.DAMAGED, (command, answer)


def test_every_command_tells_of_bytes_cut_out(run: Run, night: Any, tmp_path: Path) -> None:
    """``(head -c 4000 a.ledger; tail -c +4011 a.ledger) > m.ledger``: a short, healthy ledger, it seemed.

    The bytes are cut out of a text, so that each line can still be read.
    """
    path = tmp_path / "x.ledger"
    data = night.path.read_bytes()
    at = data.index(b'"topic":"SYSTEM', 4000) + len(b'"topic":"')
    path.write_bytes(data[:at] + data[at + 3 :])
    for command in [*COMMANDS, ["receipt"], ["verify"]]:
        answer = run(*asked(command, path))
        assert answer.code == exits.DAMAGED, (command, answer)
        assert "breaks off here" not in answer.out + answer.err
    with Ledger.open(path, "r") as ledger:
        assert ledger.damage is not None
        assert ledger.damage.seq == ledger.head == Timeline(ledger).damage.seq  # type: ignore[union-attr]
        with pytest.raises(DamagedLedger):
            list(ledger.read())
        with pytest.raises(DamagedLedger):
            list(ledger.tail(stop=lambda: False))
    found = run("verify", path)
    assert "puts them aside" not in found.out, "opening for append would refuse it"
    assert "`ezmsg-ledger repair` copies what is sound" in found.out
    assert "a commit line that states offset" in found.out
    with pytest.raises(DamagedLedger):
        Ledger.open(path)


@pytest.mark.parametrize("form", ["folder", "compressed"])
def test_a_folder_tells_of_an_earlier_segment(
    run: Run, forms: dict[str, Path], tmp_path: Path, form: str
) -> None:
    """``show --json`` and ``export`` ended with 0, and named the wrong run."""
    path = tmp_path / "x.ledger"
    shutil.copytree(forms[form], path)
    file = files(path)[1]
    data = file.read_bytes()
    file.write_bytes(data[: len(data) // 2] + data[len(data) // 2 + 9 :])
    for command in [*COMMANDS, ["receipt"], ["verify"]]:
        answer = run(*asked(command, path))
        assert answer.code == exits.DAMAGED, (command, answer)
    (tmp_path / "elsewhere").mkdir()
    for each in files(path)[:2]:
        shutil.move(each, tmp_path / "elsewhere")
    assert run("show", path).code == exits.OK, "what the hint says"


def test_sizes_that_a_compressed_segment_states_are_bounded(run: Run, forms: dict[str, Path], tmp_path: Path) -> None:
    """A flipped bit in a frame's header was a MemoryError: it is told before memory is asked for."""
    codes = set()
    for bit in range(8 * 14):
        path = tmp_path / f"{bit}.ledger"
        shutil.copytree(forms["compressed"], path)
        file = files(path)[0]
        data = bytearray(file.read_bytes())
        data[bit // 8] ^= 1 << bit % 8
        file.write_bytes(data)
        for command in (["verify"], ["log"]):
            answer = run(*asked(command, path))
            codes.add(answer.code)
            assert "Traceback" not in answer.err, answer
        shutil.rmtree(path)
    assert codes <= {exits.OK, exits.DAMAGED}, "a bit of no consequence, or damage"
    assert exits.DAMAGED in codes


def test_no_look_reads_the_whole_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What opening, ``damage`` and ``head`` of a sound ledger read does not grow with it."""
    from ezmsg.ledger.events import Mark
    from ezmsg.ledger.storage.disk import Disk

    path = tmp_path / "x.ledger"
    with Ledger.open(path, durability="none") as ledger:
        for number in range(200):
            ledger.append([Mark(name=f"{number}", note="x" * 10_000)])

    class Counting(Disk):
        read = 0

        def read_into(self, handle: int, view: memoryview, offset: int) -> int:
            count = super().read_into(handle, view, offset)
            self.read += count
            return count

    disk = Counting()
    with Ledger.open(path, "r", disk=disk) as ledger:
        assert ledger.damage is None
        assert ledger.head == 200
    assert disk.read < 64 * 1024 < os.path.getsize(path) // 8

