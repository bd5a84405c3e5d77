"""``cut``, as a person and as a program sees it, and every command on what it makes."""

import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ezmsg.ledger import Ledger
from ezmsg.ledger import events as ev
from ezmsg.ledger.runtime.live import LiveGraph
from ezmsg.ledger.tools import exits
from tests.fake_clock import wall

Run = Callable[..., Any]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A run with a session, an edge, and four marks: seqs 4 to 7 of 8."""
    path = tmp_path / "run.ledger"
    with Ledger.open(path, clock=wall) as ledger:
        live = LiveGraph(ledger, name="rig")
        session = live.open_session(label="stim")
        live.connect("A", "B", session)
        for name in ("one", "two", "three", "four"):
            live.note(ev.Mark(name=name))
        live.close()
    return path


def test_what_is_said(run: Run, path: Path) -> None:
    before = path.read_bytes()
    answer = run("cut", path, "mark:one", "mark:three", "-o", path.with_name("part.ledger"))
    assert (answer.code, answer.err) == (exits.OK, "")
    with Ledger.open(path.with_name("part.ledger"), "r") as part, Ledger.open(path, "r") as whole:
        assert re.fullmatch(
            f"cut: {path.parent}/part.ledger, verified\n"
            r"  seqs 4 to 6, 3 events of \S+ m?s, \S+ kB\n"
            f"  it begins with the state of the graph after seq 3; its own id is {part.id}\n"
            f"  cut out of {whole.id}: verify --origin {path} shows that both hold the same\n",
            answer.out,
        )
    assert path.read_bytes() == before
    assert sorted(os.listdir(path.parent)) == ["part.ledger", "run.ledger", "run.ledger.lock"]


@pytest.mark.parametrize(
    ("begin", "end", "seqs"),
    [
        ("start", "end", (1, 9)), ("5", "5", (5, 5)), ("session:stim", "mark:one", (2, 4)), ("-1d", "end", None),
        ("run:1", "run:last", (1, 9)), ("0", "3", (1, 3)),
    ],
)  # fmt: skip
def test_any_moments_of_the_command_line(
    run: Run, path: Path, begin: str, end: str, seqs: tuple[int, int] | None
) -> None:
    answer = run("cut", path, begin, end, "-o", path.with_name("x"), "--json")
    if seqs is None:
        assert (answer.code, "is before the first event" in answer.err) == (exits.USAGE, True)
        return
    document = json.loads(answer.out)
    assert (document["first"], document["last"], document["events"]) == (*seqs, seqs[1] - seqs[0] + 1)


def test_the_document(run: Run, path: Path) -> None:
    part = path.with_name("part.ledger")
    document = json.loads(run("cut", path, "4", "6", "-o", part, "--json").out)
    with Ledger.open(part, "r") as made, Ledger.open(path, "r") as whole:
        origin = document.pop("origin")
        assert document == {
            "path": str(part),
            "id": made.id,
            "first": 4,
            "last": 6,
            "events": 3,
            "source": str(path),
            "bytes": part.stat().st_size,
        }
        assert (origin["made"], origin["ledger"], origin["upto"], origin["salt"]) == ("cut", whole.id, 6, "")
        assert [origin[name] for name in ("first", "last", "segment", "redacted")] == [4, 6, 1, []]
    head = path.read_bytes()[: origin["size"]]
    assert hashlib.sha256(head).hexdigest() == origin["sha256"]


def test_a_hash_that_anybody_can_check(run: Run, path: Path) -> None:
    """The digest of the origin is that of `head -c SIZE`, as everywhere."""
    document = json.loads(run("cut", path, "4", "6", "-o", path.with_name("x"), "--json").out)["origin"]
    head = subprocess.run(["head", "-c", str(document["size"]), str(path)], capture_output=True, check=True).stdout
    summed = subprocess.run(["sha256sum"], input=head, capture_output=True, check=True).stdout
    assert summed.split()[0].decode() == document["sha256"]


@pytest.fixture
def part(run: Run, path: Path) -> Path:
    part = path.with_name("part.ledger")
    assert run("cut", path, "4", "6", "-o", part).code == exits.OK
    return part


LOOKS = (
    ["log"], ["show"], ["sessions"], ["clocks"], ["settings"], ["diff", "4", "6"], ["why", "A", "B"],
    ["history", "A -> B"], ["path", "A", "B"], ["when", "edge A -> B"], ["explain", "B"], ["export"],
    ["export", "--events"], ["verify"], ["verify", "--deep"], ["receipt"], ["repair"], ["show", "--at", "mark:two"],
    ["log", "--since", "5"],
)  # fmt: skip


@pytest.mark.parametrize("words", LOOKS, ids=" ".join)
def test_every_command_works_on_it(run: Run, part: Path, words: list[str]) -> None:
    answer = run(words[0], part, *words[1:])
    assert answer.code == exits.OK, answer
    assert answer.out


def test_a_question_about_what_came_before(run: Run, part: Path) -> None:
    answer = run("what-if", part, "stim")
    assert (answer.code, answer.out) == (exits.DISK, "")
    assert "or ask the ledger that this one was cut out of" in answer.err


def test_what_the_commands_say_of_it(run: Run, path: Path, part: Path) -> None:
    with Ledger.open(path, "r") as whole:
        told = f"ezmsg-ledger: {part} begins with seq 4: it was cut out of ledger {whole.id}\n"
    log = run("log", part)
    assert log.err == f"{told}ezmsg-ledger: the span that was cut out ends here, and run 1 goes on after it\n"
    assert 'mark "three"' in log.out
    shown = run("show", part)
    assert "the span that was cut out ends here, and run 1 goes on after it" in shown.out
    assert "A -> B" in shown.out
    asked = run("show", part, "--at", "2")
    assert (asked.code, f"seq 2 is no longer in {part}" in asked.err) == (exits.USAGE, True)


def test_verify_tells_what_it_is_and_compares(run: Run, path: Path, part: Path) -> None:
    with Ledger.open(path, "r") as whole:
        id_ = whole.id
    told = run("verify", part)
    assert f"\n  seqs 4 to 6 were cut out of ledger {id_}, when the first " in told.out
    assert "\n  (that is what it says of itself: verify --origin ORIGINAL proves it)\n" in told.out
    assert "no longer there" not in told.out
    answer = run("verify", part, "--origin", path)
    assert answer.code == exits.OK
    assert answer.out.endswith(
        f"it holds what its origin holds: seqs 4 to 6 stand in {path}, byte for byte\n"
        f"  the state that it begins with is that of {path} after seq 3\n"
    )
    document = json.loads(run("verify", part, "--origin", path, "--json").out)
    assert document["origin"] == {
        "holds": True, "why": None, "says": None, "ledger": str(path), "events": 3, "first": 4, "last": 6,
        "state": True, "added": 0,
    }  # fmt: skip
    assert [each["ledger"] for each in document["origins"]] == [id_]


def test_verify_says_when_both_do_not_hold_the_same(run: Run, path: Path, part: Path) -> None:
    assert run("verify", path, "--origin", part).code == exits.NO, "it was cut out of none"
    other = path.with_name("other.ledger")
    Ledger.open(other).close()
    answer = run("verify", part, "--origin", other)
    assert answer.code == exits.NO
    assert "it does not hold what its origin holds: " in answer.out
    path.write_bytes(path.read_bytes().replace(b'"stim"', b'"mits"'))
    answer = run("verify", part, "--origin", path, "--json")
    assert answer.code == exits.DAMAGED
    assert json.loads(answer.out)["origin"]["why"] == "other_history"
    assert run("verify", part, "--origin", path.with_name("nothing")).code == exits.USAGE


def test_a_receipt_of_it_holds_while_it_grows(run: Run, part: Path) -> None:
    receipt = part.with_name("receipt")
    receipt.write_text(run("receipt", part).out)
    assert run("verify", part, "--receipt", receipt).code == exits.OK
    assert run("rotate", part).code == exits.OK
    with Ledger.open(part) as ledger:
        LiveGraph(ledger, name="again").close()
    answer = run("verify", part, "--receipt", receipt)
    assert (answer.code, "the receipt holds: seqs 4 to 6" in answer.out) == (exits.OK, True)
    assert "was lost" in run("log", part).out, "the run that goes on elsewhere has ended here"


@pytest.mark.parametrize(
    ("begin", "end", "says", "hint"),
    [
        ("6", "4", "there is no event from 6 to 4: 6 is seq 6, 4 is seq 4", "FROM comes first: 4 6, say."),
        ("mark:never", "end", "there is no mark 'never'", ""),
        ("4", "99", "there is no seq 99", "The ledger holds seq 1 "),
        ("2020-01-01", "end", "is before the first event", ""),
        ("soon", "end", "'soon' is not a moment", ""),
    ],
)
def test_moments_that_give_no_span(run: Run, path: Path, begin: str, end: str, says: str, hint: str) -> None:
    answer = run("cut", path, begin, end, "-o", path.with_name("x"))
    assert (answer.code, answer.out) == (exits.USAGE, "")
    assert says in answer.err
    assert hint in answer.err
    assert answer.err.count("ezmsg-ledger: ") == 1
    assert not path.with_name("x").exists()


def test_times_between_which_nothing_happened(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "x.ledger"
    times = iter([10**18, 10**18, 10**18 + 60 * 10**9])
    with Ledger.open(path, clock=lambda: next(times)) as ledger:
        ledger.append([ev.Mark(name="one")])
        ledger.append([ev.Mark(name="two")])
    answer = run("cut", path, "2001-09-09T01:46:50Z", "2001-09-09T01:47:00Z", "-o", tmp_path / "part")
    assert answer.code == exits.USAGE
    assert "there is no event from 2001-09-09T01:46:50Z to 2001-09-09T01:47:00Z" in answer.err
    assert "hint: The last event before is seq 1." in answer.err


def test_places_that_cannot_be_written_to(run: Run, path: Path) -> None:
    before = path.read_bytes()
    for taken in (path, path.parent):
        answer = run("cut", path, "4", "6", "-o", taken)
        assert (answer.code, f"{taken} exists" in answer.err) == (exits.USAGE, True)
    assert run("cut", path, "4", "6", "-o", path.with_name("x.zst")).code == exits.USAGE
    answer = run("cut", path, "4", "6", "-o", path.with_name("no") / "folder" / "x")
    assert (answer.code, "cannot be written: No such file" in answer.err) == (exits.DISK, True)
    assert run("cut", path, "4", "6").code == exits.USAGE
    assert path.read_bytes() == before


def test_a_place_among_the_segments(run: Run, path: Path) -> None:
    assert run("rotate", path).code == exits.OK
    answer = run("cut", path, "4", "6", "-o", path / "000009.ledger")
    assert (answer.code, "would be among the segments" in answer.err) == (exits.USAGE, True)
    assert run("cut", path, "4", "6", "-o", path.with_name("part")).code == exits.OK
    assert run("verify", path.with_name("part"), "--origin", path).code == exits.OK


@pytest.mark.parametrize("spoil", [lambda data: data.replace(b'"two"', b'"tow"'), lambda data: data[:900] + data[910:]])
def test_a_damaged_ledger(run: Run, path: Path, spoil: Callable[[bytes], bytes]) -> None:
    path.write_bytes(spoil(path.read_bytes()))
    before = sorted(os.listdir(path.parent))
    answer = run("cut", path, "4", "6", "-o", path.with_name("part.ledger"))
    assert (answer.code, answer.out) == (exits.DAMAGED, "")
    assert answer.err.count("ezmsg-ledger: ") == 1
    assert sorted(os.listdir(path.parent)) == before


def test_what_is_being_written_can_be_cut(run: Run, path: Path) -> None:
    with Ledger.open(path) as ledger:
        ledger.append([ev.Mark(name="now")])
        answer = run("cut", path, "4", "mark:now", "-o", path.with_name("part.ledger"))
        assert (answer.code, answer.err) == (exits.OK, "")
        ledger.append([ev.Mark(name="later")])
    assert run("verify", path.with_name("part.ledger"), "--origin", path).code == exits.OK


def test_what_is_no_ledger(run: Run, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("hello")
    assert run("cut", tmp_path / "text", "1", "2", "-o", tmp_path / "x").code == exits.NOT_A_LEDGER
    assert run("cut", tmp_path / "nothing", "1", "2", "-o", tmp_path / "x").code == exits.USAGE


@pytest.mark.skipif(sys.platform == "win32", reason="no limits of file sizes there")
def test_a_real_disk_that_takes_no_more(path: Path) -> None:
    """The system refuses the write, as it does on a full disk: one message, and nothing is left.

    ``-B``: where a file can only become so large, Python keeps half a module, and later processes break on it.
    """
    part = path.with_name("part.ledger")
    before = sorted(os.listdir(path.parent))
    code = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (700, 700));"
        "from ezmsg.ledger.tools.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    words = [sys.executable, "-B", "-c", code, "cut", str(path), "4", "6", "-o", str(part)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == exits.DISK, done
    assert f"{part} cannot be written: File too large" in done.stderr
    assert sorted(os.listdir(path.parent)) == before
