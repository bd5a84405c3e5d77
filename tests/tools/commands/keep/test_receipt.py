"""``receipt``, and ``verify --receipt``, as a person and as a program see them."""

import json
import os
import re
import stat
import subprocess
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from ezmsg.ledger import events as ev
from ezmsg.ledger.errors import ReceiptError
from ezmsg.ledger.log import Ledger
from ezmsg.ledger.runtime.live import LiveGraph
from ezmsg.ledger.tools import exits
from ezmsg.ledger.tools.commands.keep.receipt import UNREADABLE
from ezmsg.ledger.tools.commands.keep.receipt import receipt as receipt_command

pytest.importorskip("cryptography")

Run = Callable[..., Any]
DOCS = (Path(__file__).parents[4] / "docs" / "RECEIPTS.md").read_text(encoding="utf-8")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "run.ledger"
    add(path, "one", "two")
    return path


def add(path: Path, *names: str) -> None:
    with Ledger.open(path) as ledger:
        ledger.append([ev.Mark(name=name) for name in names])


@pytest.fixture
def receipt(run: Run, path: Path) -> Path:
    answer = run("receipt", path)
    assert (answer.code, answer.err) == (exits.OK, "")
    file = path.with_name("run.receipt")
    file.write_text(answer.out)
    return file


@pytest.fixture
def key(run: Run, tmp_path: Path) -> tuple[Path, str]:
    """A key's file, and the line that checks its signatures."""
    file = tmp_path / "lab.key"
    answer = run("receipt", "--new-key", file, "--name", "lab-3")
    assert (answer.code, answer.err) == (exits.OK, "")
    return file, answer.out.strip()


# --- one that holds --------------------------------------------------------------------------------------------------


def test_a_receipt_holds_while_the_ledger_goes_on(run: Run, path: Path, receipt: Path) -> None:
    assert receipt.read_text().startswith("ezmsg-ledger/")
    for _ in range(2):
        answer = run("verify", path, "--receipt", receipt)
        assert answer.code == exits.OK
        assert re.search(r"^the receipt holds: seqs 1 to 2 are as they were on 20\d\d-.*\+00:00$", answer.out, re.M)
        assert "  it is not signed: it is worth as much as the place where it was kept\n" in answer.out
        add(path, "more")


def test_the_document(run: Run, path: Path, key: tuple[Path, str]) -> None:
    document = json.loads(run("receipt", path, "--key", key[0], "--json").out)
    file = path.with_name("signed")
    file.write_text(document["note"], encoding="utf-8")
    assert list(document) == ["ledger", "id", "size", "sha256", "segment", "seq", "time", "key", "note"]
    assert (document["ledger"], document["seq"], document["key"]) == (str(path), 2, key[1])
    found = json.loads(run("verify", path, "--receipt", file, "--key", key[1], "--json").out)["receipt"]
    about = {name: document[name] for name in ("id", "size", "sha256", "segment", "seq", "time")}
    assert found == {"holds": True, "why": None, "says": None, "signed_by": "lab-3", **about}
    assert json.loads(run("receipt", path, "--json").out)["key"] is None


# --- one that does not -----------------------------------------------------------------------------------------------


def told(run: Run, path: Path, receipt: Path, *options: object) -> tuple[int, str, str]:
    """The exit code, and why the receipt does not hold, in a word and in a sentence."""
    document = json.loads(run("verify", path, "--receipt", receipt, *options, "--json").out)["receipt"]
    answer = run("verify", path, "--receipt", receipt, *options)
    assert document["holds"] is False
    assert f"the receipt does not hold: {document['says']}\n" in answer.out
    return answer.code, document["why"], document["says"]


def test_a_ledger_that_was_cut_back_at_a_commit(run: Run, path: Path) -> None:
    add(path, "three")
    content = path.read_bytes()
    add(path, "four")
    receipt = path.with_name("run.receipt")
    receipt.write_text(run("receipt", path).out)
    path.write_bytes(content)
    assert run("verify", path).code == exits.OK, "the ledger alone does not tell"
    code, why, says = told(run, path, receipt)
    assert (code, why) == (exits.DAMAGED, "cut_back")
    assert f"ends at offset {len(content)}" in says


def test_a_history_that_was_changed(run: Run, path: Path, receipt: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b'"two"', b'"tow"'))
    assert told(run, path, receipt)[:2] == (exits.DAMAGED, "other_history")


def test_another_ledger(run: Run, path: Path, receipt: Path) -> None:
    other = path.with_name("other.ledger")
    add(other, "one")
    assert told(run, other, receipt)[:2] == (exits.NO, "other_ledger")


def test_damage_behind_the_receipt_leaves_it_as_good(run: Run, path: Path, receipt: Path) -> None:
    add(path, "three", "four")
    add(path, "five")
    path.write_bytes(path.read_bytes().replace(b'"three"', b'"eerht"'))
    answer = run("verify", path, "--receipt", receipt)
    assert answer.code == exits.DAMAGED
    assert "UNSOUND" in answer.out
    assert "the receipt holds: seqs 1 to 2 are as they were" in answer.out


def test_damage_in_a_segment_before_the_receipts(run: Run, path: Path) -> None:
    """The file that the receipt speaks of is as it was; but through it, it spoke of all before."""
    run("rotate", path)
    add(path, "three")
    receipt = path.with_name("run.receipt")
    receipt.write_text(run("receipt", path).out)
    assert "segment 2\nseq 3\n" in receipt.read_text()
    assert run("verify", path, "--receipt", receipt).code == exits.OK
    first = path / "000001.ledger"
    first.write_bytes(first.read_bytes().replace(b'"two"', b'"tow"'))
    code, why, says = told(run, path, receipt)
    assert (code, why, says) == (exits.DAMAGED, "other_history", "the ledger is damaged after seq 0, before seq 3")


@pytest.mark.parametrize("later", [True, False], ids=["later", "at its beginning"])
def test_a_segment_before_the_receipts_that_was_written_anew(run: Run, path: Path, later: bool) -> None:
    """It is sound in itself: only the next one tells, by the hash that it states."""
    run("rotate", path)
    if later:
        add(path, "three")
    receipt = path.with_name("run.receipt")
    receipt.write_text(run("receipt", path).out)
    first = path / "000001.ledger"
    out = b""
    for line in first.read_bytes().replace(b'"two"', b'"tow"').splitlines(keepends=True):
        head, stated, _ = line.partition(b'"sha256":"')
        out += head + stated + sha256(out).hexdigest().encode() + b'"}\n' if stated else line
    first.write_bytes(out)
    assert json.loads(run("verify", first, "--json").out)["sound"]
    answer = run("verify", path, "--receipt", receipt)
    assert answer.code == exits.DAMAGED
    assert answer.out.startswith("UNSOUND: ")
    assert "  2 segments; the sound part ends in segment 1\n" in answer.out
    assert "the receipt does not hold" in answer.out
    assert told(run, path, receipt)[:2] == (exits.DAMAGED, "other_history")


def test_a_segment_that_is_gone(run: Run, path: Path, receipt: Path) -> None:
    run("rotate", path)
    add(path, "three")
    assert run("verify", path, "--receipt", receipt).code == exits.OK
    (path / "000001.ledger").unlink()
    assert told(run, path, receipt)[:2] == (exits.NO, "segment_gone")


def test_a_compressed_segment_that_cannot_be_unpacked(run: Run, path: Path, receipt: Path) -> None:
    pytest.importorskip("zstandard")
    run("rotate", path, "--compress")
    assert run("verify", path, "--receipt", receipt).code == exits.OK
    first = path / "000001.ledger.zst"
    content = bytearray(first.read_bytes())
    content[40] ^= 1
    first.write_bytes(content)
    assert told(run, path, receipt)[:2] == (exits.DAMAGED, "unreadable")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("Dear diary,\n", "not a receipt of a ledger: it begins with 'Dear diary,'"),
        ("", "empty"),
        ("a\r\n", "character 1 is a control character"),
    ],
)
def test_what_is_no_receipt(run: Run, path: Path, content: str, says: str) -> None:
    file = path.with_name("odd")
    file.write_text(content, newline="")
    answer = run("verify", path, "--receipt", file)
    assert answer.code == exits.USAGE
    assert f"{file}: {says}" in answer.err
    assert "hint: Take the receipt as it was given" in answer.err
    assert answer.out == ""
    assert run("verify", path, "--receipt", path.with_name("none")).code == exits.USAGE


# --- signatures ------------------------------------------------------------------------------------------------------


def test_a_signed_receipt(run: Run, path: Path, key: tuple[Path, str]) -> None:
    file, line = key
    signed = path.with_name("signed")
    signed.write_text(run("receipt", path, "--key", file).out, encoding="utf-8")
    assert "\n\n\u2014 lab-3 " in signed.read_text(encoding="utf-8")
    unchecked = run("verify", path, "--receipt", signed)
    assert unchecked.code == exits.OK
    assert "  it says that lab-3 signed it: --key KEY checks that\n" in unchecked.out
    path.with_name("lab.pub").write_text(f"{line}\n")
    for given in (line, path.with_name("lab.pub")):
        answer = run("verify", path, "--receipt", signed, "--key", given)
        assert answer.code == exits.OK
        assert "  signed by lab-3\n" in answer.out


def test_signatures_that_do_not_hold(run: Run, path: Path, receipt: Path, key: tuple[Path, str]) -> None:
    file, line = key
    assert told(run, path, receipt, "--key", line)[:2] == (exits.NO, "unknown_key")
    signed = path.with_name("signed")
    note = run("receipt", path, "--key", file).out
    signed.write_text(re.sub(r"time 20\d\d", "time 2001", note), encoding="utf-8")
    assert told(run, path, signed, "--key", line)[:2] == (exits.NO, "bad_signature")
    assert run("verify", path, "--receipt", signed).code == exits.OK, "nobody asked for the signature"
    other = run("receipt", "--new-key", path.with_name("other.key"), "--name", "lab-3").out.strip()
    assert told(run, path, signed, "--key", other)[:2] == (exits.NO, "unknown_key")


def test_keys(run: Run, path: Path, key: tuple[Path, str]) -> None:
    file, line = key
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert file.read_text().startswith("PRIVATE+KEY+lab-3+")
    assert run("receipt", "--key", file).out.strip() == line
    assert json.loads(run("receipt", "--key", file, "--json").out) == {"file": str(file), "name": "lab-3", "key": line}
    content = file.read_text()
    again = run("receipt", "--new-key", file)
    assert again.code == exits.USAGE
    assert f"{file} exists" in again.err
    assert file.read_text() == content


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["receipt"], "no ledger was named"),
        (["receipt", "LEDGER", "--address", "127.0.0.1:1"], "--address names the ledger"),
        (["receipt", "LEDGER", "--new-key", "x"], "--new-key makes a key and does nothing else"),
        (["receipt", "LEDGER", "--key", "none"], "there is no file none"),
        (["receipt", "LEDGER", "--key", "LEDGER"], "not a signing key"),
        (["receipt", "--new-key", "x", "--name", "lab 3"], "no key can have the name 'lab 3'"),
        (["verify", "LEDGER", "--key", "x"], "--key is about the signature of a receipt"),
        (["verify", "LEDGER", "--receipt", "RECEIPT", "--key", "x"], "not a verifier key"),
        (["verify", "LEDGER", "--receipt", "RECEIPT", "--key", "KEY"], "this is a private key"),
    ],
)
def test_command_lines_that_make_no_sense(
    run: Run, path: Path, receipt: Path, key: tuple[Path, str], arguments: list[str], says: str
) -> None:
    names = {"LEDGER": path, "RECEIPT": receipt, "KEY": key[0]}
    answer = run(*(names.get(each, each) for each in arguments))
    assert answer.code == exits.USAGE, answer
    assert says in answer.err
    assert "hint: " in answer.err


# --- live ------------------------------------------------------------------------------------------------------------


def test_a_receipt_of_a_ledger_that_is_being_written(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "live.ledger"
    with Ledger.open(path, durability="none") as ledger:
        ledger.append([ev.Mark(name="one")])
        ledger.sync()
        ledger.append([ev.Mark(name="two")])
        taken = run("receipt", path).out
        assert "\nseq 1\n" in taken, "the second may not be on the disk"
        (tmp_path / "receipt").write_text(taken)
        assert run("verify", path, "--receipt", tmp_path / "receipt").code == exits.OK
    assert run("verify", path, "--receipt", tmp_path / "receipt").code == exits.OK


def test_a_recorder_says_what_has_reached_the_disk(run: Run, tmp_path: Path) -> None:
    from ezmsg.ledger.runtime import GraphServer

    server = GraphServer(tmp_path / "live.ledger", durability="commit")
    server.start(("127.0.0.1", 0))
    try:
        run("mark", "here", "--address", server.address)
        seq = server.live.ledger.head
        of_file, asked = run("receipt", tmp_path / "live.ledger"), run("receipt", "--address", server.address)
        assert f"\nseq {seq}\n" in asked.out
        assert f"\nseq {seq}\n" not in of_file.out, "the file does not know it yet"
        (tmp_path / "receipt").write_text(asked.out)
    finally:
        server.stop()
    assert run("verify", tmp_path / "live.ledger", "--receipt", tmp_path / "receipt").code == exits.OK


def test_a_recorder_that_is_not_there_or_keeps_nothing(run: Run) -> None:
    from ezmsg.ledger.runtime import GraphServer

    assert run("receipt", "--address", "127.0.0.1:1").code == exits.NO
    server = GraphServer(Ledger.memory())
    server.start(("127.0.0.1", 0))
    try:
        answer = run("receipt", "--address", server.address)
    finally:
        server.stop()
    assert answer.code == exits.USAGE
    assert "keeps its ledger in memory" in answer.err


# --- by hand ---------------------------------------------------------------------------------------------------------


def shell(folder: Path, title: str) -> "subprocess.CompletedProcess[str]":
    """Run the commands that the page has below a heading, exactly as they stand there."""
    section = DOCS[DOCS.index(f"## {title}") :]
    [commands] = re.findall(r"```sh\n(.*?)```", section.split("\n## ")[0], re.S)
    return subprocess.run(["sh", "-c", commands], cwd=folder, capture_output=True, text=True, timeout=30)


@pytest.mark.skipif(os.name == "nt", reason="there is no sh")
def test_with_head_and_sha256sum_alone(path: Path, receipt: Path) -> None:
    add(path, "more")
    digest = receipt.read_text().splitlines()[2]
    done = shell(path.parent, "By hand")
    assert done.stdout.split() == [digest, "-", digest], done.stderr
    path.write_bytes(path.read_bytes().replace(b'"two"', b'"tow"'))
    changed = shell(path.parent, "By hand").stdout.split()
    assert changed[2] == digest != changed[0]


def test_the_example_of_the_page_is_of_the_ledger_of_the_other_page(run: Run, tmp_path: Path) -> None:
    format_ = (Path(__file__).parents[4] / "docs" / "FORMAT.md").read_text(encoding="utf-8")
    [example] = re.findall(r"```text\n(ezmsg-ledger/.*?)```", DOCS, re.S)
    [ledger] = re.findall(r"```ledger\n(.*?)```", format_, re.S)
    (tmp_path / "x.ledger").write_bytes(ledger.encode())
    (tmp_path / "x.receipt").write_bytes(example.encode())
    [line] = re.findall(r"`(lab-3\+.*)`", DOCS)
    answer = run("verify", tmp_path / "x.ledger", "--receipt", tmp_path / "x.receipt", "--key", line)
    assert answer.code == exits.OK
    assert "signed by lab-3" in answer.out


def test_every_reason_is_on_the_page() -> None:
    misuse = {"malformed", "malformed_key", "cannot_sign"}
    assert set(re.findall(r"^\| `(\w+)` \|", DOCS[DOCS.index("|---|---|---|") :], re.M)) == {
        each.why for each in ReceiptError.__subclasses__()
    } - misuse | {UNREADABLE}


def test_the_examples_of_the_help(run: Run, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(path.parent)
    monkeypatch.setenv("HOME", str(path.parent))
    examples = re.findall(r"^  ezmsg-ledger (.*?)(?: > (.*))?$", receipt_command.__doc__.replace("\n    ", "\n"), re.M)
    assert len(examples) == 4
    for line, target in examples:
        answer = run(*line.split())
        assert answer.code == exits.OK, answer
        if target:
            Path(target).write_text(answer.out, encoding="utf-8")
    assert run("verify", path, "--receipt", "run.receipt").code == exits.OK


def test_a_sealed_ledger_is_covered_to_its_end(run: Run, tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "x.ledger") as ledger:
        live = LiveGraph(ledger, name="rig")
        live.connect("A", "B")
        live.close()
        head = ledger.head
    assert f"\nseq {head}\n" in run("receipt", tmp_path / "x.ledger").out
