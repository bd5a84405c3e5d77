"""``redact``, as a person and as a program sees it."""

import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ezmsg.ledger import Ledger
from ezmsg.ledger import events as ev
from ezmsg.ledger.tools import exits
from tests.projections.copies.test_redact import story, written

Run = Callable[..., Any]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return written(tmp_path / "run.ledger", story("S07-Ada", "S07-Ada"))


@pytest.fixture
def public(run: Run, path: Path) -> Path:
    target = path.with_name("public.ledger")
    assert run("redact", path, "-o", target, "--setting", "*.subject").code == exits.OK
    return target


def test_what_is_said(run: Run, path: Path) -> None:
    before = path.read_bytes()
    target = path.with_name("public.ledger")
    answer = run("redact", path, "-o", target, "--setting", "RIG/SUBJECT.subject")
    assert (answer.code, answer.err) == (exits.OK, "")
    with Ledger.open(target, "r") as ledger:
        id_ = ledger.id
    lines = answer.out.splitlines()
    assert lines[0] == f"redacted: {target}, verified"
    assert lines[1].startswith("  seqs 1 to 15, 13 events, ")
    assert lines[1].endswith(f"; its own id is {id_}")
    assert lines[2].endswith(" values and pickles are gone, from 10 events")
    assert lines[3:] == [
        f"  the salt is in {path}.salt: keep it with the original, and give it to nobody",
        f"  redact {target} --check {path} shows that nothing else differs",
    ]
    assert path.read_bytes() == before
    assert sorted(os.listdir(path.parent)) == ["public.ledger", "run.ledger", "run.ledger.lock", "run.ledger.salt"]
    for secret in (target, Path(f"{path}.salt")):
        assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    assert b"S07-Ada" not in target.read_bytes()


def test_the_documents(run: Run, path: Path) -> None:
    target = path.with_name("public.ledger")
    document = json.loads(run("redact", path, "-o", target, "-s", "*.subject", "--json").out)
    assert document.pop("origin")["redacted"] == ["*.subject"]
    assert document.pop("id")
    assert document.pop("replaced") > 20
    assert document == {
        "path": str(target), "first": 1, "last": 15, "events": 13, "changed": 10, "source": str(path),
        "bytes": target.stat().st_size, "salt": f"{path}.salt",
    }  # fmt: skip
    checked = json.loads(run("redact", target, "--check", path, "--json").out)
    assert checked.pop("origin")["made"] == "redact"
    assert checked.pop("values") > 1
    assert checked == {
        "ledger": str(target), "original": str(path), "holds": True, "events": 13, "changed": 10, "salted": True,
        "added": 0,
    }  # fmt: skip


def test_a_person_who_has_both_sees_that_nothing_else_differs(run: Run, path: Path, public: Path) -> None:
    answer = run("redact", public, "--check", path)
    assert answer.code == exits.OK
    assert answer.out.startswith(f"only the named values differ: {public}, {path}\n  13 events, all but 10 of them")
    assert "  each is that of the value there, and that of the original is right too, by the salt\n" in answer.out
    salt = Path(f"{path}.salt")
    elsewhere = salt.rename(path.with_name("elsewhere"))
    assert "without the salt their bits cannot be checked" in run("redact", public, "--check", path).out
    assert "by the salt" in run("redact", public, "--check", path, "--salt", elsewhere).out
    assert run("redact", public, "--check", path, "--salt", path.with_name("nowhere")).code == exits.USAGE


def test_what_differs_in_more_is_told(run: Run, path: Path, public: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b'"untouched"', b'"uktouched"'))
    answer = run("redact", public, "--check", path)
    assert answer.code == exits.DAMAGED
    Path(f"{path}.salt").unlink()
    answer = run("redact", public, "--check", path)
    assert answer.code == exits.DAMAGED
    assert f"more than the named values differs: seq 15 of {public} differs from {path}" in answer.out
    assert run("redact", path, "--check", public).code == exits.NO
    document = json.loads(run("redact", path, "--check", public, "--json").out)
    assert (document["holds"], document["why"]) == (False, "other_ledger")


def test_one_salt_for_several_ledgers(run: Run, path: Path, public: Path) -> None:
    before = Path(f"{path}.salt").read_bytes()
    second = path.with_name("second.ledger")
    assert run("redact", path, "-o", second, "-s", "RIG/SUBJECT.subject").code == exits.OK
    assert Path(f"{path}.salt").read_bytes() == before

    def reported(ledger: Path) -> Any:
        with Ledger.open(ledger, "r") as opened:
            [event] = [event for event in opened.entries() if isinstance(event, ev.SettingsUpdated)]
            return event.value.structured_value["subject"]

    assert reported(second) == reported(public)


def test_the_other_commands_on_it(run: Run, public: Path) -> None:
    told = run("verify", public)
    assert told.code == exits.OK
    assert "  seqs 1 to 15 are those of ledger " in told.out
    assert ", without the values of *.subject\n  (that is what it says of itself: redact LEDGER --check " in told.out
    log = run("log", public)
    assert 'mark "redacted:' in log.out
    assert 'RIG/SUBJECT  subject="redacted:' in run("settings", public).out
    assert "does not fit its schema" not in log.out
    assert "does not fit" not in run("settings", public, "--doubts").out
    for words in (["show"], ["sessions"], ["settings", "RIG/SUBJECT.subject"], ["export"], ["receipt"], ["repair"]):
        answer = run(words[0], public, *words[1:])
        assert answer.code == exits.OK, answer
        assert "S07-Ada" not in answer.out
    answer = run("verify", public, "--origin", public)
    assert answer.code == exits.NO
    assert "redact LEDGER --check ORIGINAL" in answer.out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["-o", "x"], "--setting is missing"),
        (["-s", "*.subject"], "--output is missing"),
        (["-o", "x", "-s", "RIG/SUBJECT.subjet"], "there is no setting RIG/SUBJECT.subjet in "),
        (["--check", "x", "-o", "y"], "--check makes no ledger"),
    ],
)
def test_words_that_mean_nothing(run: Run, path: Path, words: list[str], says: str) -> None:
    words = [str(path.with_name(word)) if len(word) == 1 else word for word in words]
    answer = run("redact", path, *words)
    assert (answer.code, answer.out) == (exits.USAGE, "")
    assert says in answer.err
    assert "hint: " in answer.err
    assert sorted(os.listdir(path.parent)) == ["run.ledger", "run.ledger.lock"]


def test_a_salt_that_is_none(run: Run, path: Path) -> None:
    bad = path.with_name("bad")
    bad.write_text("0123")
    answer = run("redact", path, "-o", path.with_name("x"), "-s", "*.subject", "--salt", bad)
    assert (answer.code, f"{bad} is not a salt: a salt has 32 bytes, not 2" in answer.err) == (exits.USAGE, True)


def test_a_salt_that_cannot_be_kept_leaves_no_ledger(run: Run, path: Path) -> None:
    nowhere = path.with_name("no") / "salt"
    answer = run("redact", path, "-o", path.with_name("x"), "-s", "*.subject", "--salt", nowhere)
    assert (answer.code, f"{nowhere} cannot be written" in answer.err) == (exits.DISK, True)
    assert sorted(os.listdir(path.parent)) == ["run.ledger", "run.ledger.lock"]


def test_a_damaged_ledger_and_an_empty_one(run: Run, path: Path, tmp_path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b'"untouched"', b'"uktouched"'))
    assert run("redact", path, "-o", tmp_path / "x", "-s", "*.subject").code == exits.DAMAGED
    empty = tmp_path / "empty.ledger"
    Ledger.open(empty).close()
    answer = run("redact", empty, "-o", tmp_path / "x", "-s", "*.subject")
    assert (answer.code, "holds no event" in answer.err) == (exits.USAGE, True)
    assert not (tmp_path / "x").exists()
