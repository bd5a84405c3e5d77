"""The exit codes of the commands that scripts ask: each is as docs/cli.md has it, in the table of these commands."""

import json
import re
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from ezmsg.ledger import events as ev
from ezmsg.ledger.log import Ledger
from ezmsg.ledger.runtime.server.server import GraphServer
from ezmsg.ledger.tools import exits

Run = Callable[..., Any]

PROGRAM = Path(__file__).parents[4] / "examples" / "two_units.py"
DOCS = Path(__file__).parents[4] / "docs" / "cli.md"

NOBODY = "127.0.0.1:1"
"""An address where nothing listens."""

needs_inspect = pytest.mark.skipif(version("ezmsg").startswith("3.9."), reason="ezmsg 3.9 has no `inspect`")


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which ledgers and files are of every kind that the table of codes knows."""
    monkeypatch.chdir(tmp_path)
    with Ledger.open("rig.ledger") as ledger:
        ledger.append([ev.SessionOpened(uuid="u", label="RIG")])
        ledger.append([ev.EdgeConnected(from_topic="A", to_topic="B", owner=1)])
        ledger.append([ev.EdgeConnected(from_topic="B", to_topic="C", owner=1)])
    with Ledger.open("empty.ledger") as ledger:
        ledger.append([ev.Mark(name="nothing is wired")])
    lines = Path("rig.ledger").read_bytes().splitlines(keepends=True)
    Path("damaged.ledger").write_bytes(b"".join(line for line in lines if b'"seq":2,' not in line))
    Path("text.ledger").write_text("not a ledger\n")
    Path("old.json").write_text('{"baseline": 7}')
    Path("runs.py").write_text("import ezmsg.core as ez\nez.run()\n")
    Path("broken.py").write_text("import nothing_of_this_name\n")
    return tmp_path


CODES = {
    "check rig.ledger --like rig.ledger": (exits.OK, "as validated at seq 3"),
    "check rig.ledger --like rig.ledger --at 2": (exits.NO, "NOT as validated: 1 difference"),
    f"check {NOBODY} --like rig.ledger": (exits.NO, NOBODY),
    "check rig.ledger --like missing.json": (exits.USAGE, "missing.json"),
    "check rig.ledger --like empty.ledger": (exits.USAGE, "nothing is wired in empty.ledger"),
    "check rig.ledger --like rig.ledger --at mark:none": (exits.USAGE, "there is no mark 'none'"),
    "check rig.ledger": (exits.USAGE, "--like or --write is needed"),
    "check rig.ledger --like old.json": (exits.NOT_A_LEDGER, "is a baseline of version 7"),
    "check text.ledger --like rig.ledger": (exits.NOT_A_LEDGER, "text.ledger"),
    "check damaged.ledger --like rig.ledger": (exits.DAMAGED, "damaged"),
    "check rig.ledger --write rig.json": (exits.OK, "wrote rig.json: 2 edges"),
    "check rig.ledger --at 1 --write none.json": (exits.NO, "nothing is wired at seq 1"),
    "check rig.ledger --write other.ledger": (exits.USAGE, "other.ledger is a ledger"),
    "diff rig.ledger --declared runs.py": (exits.USAGE, "would run it"),
    "diff rig.ledger 1 2 --declared runs.py": (exits.USAGE, "one moment at most"),
    f"diff {NOBODY} --declared PROGRAM": (exits.NO, NOBODY),
    "watch rig.ledger 'A -> B' --until true": (exits.OK, "is true at seq 3"),
    "watch rig.ledger 'A -> B' --timeout 0": (exits.OK, "is true at seq 3"),
    "watch rig.ledger 'A -> B' --until false --timeout 0": (exits.NO, "is still true after 0 s"),
    f"watch {NOBODY} 'A -> B'": (exits.NO, NOBODY),
    "watch rig.ledger 'A ->'": (exits.USAGE, "the predicate ends where"),
    "watch missing.ledger 'A -> B'": (exits.USAGE, "missing.ledger"),
    "watch text.ledger 'A -> B'": (exits.NOT_A_LEDGER, "text.ledger"),
    "watch damaged.ledger 'A -> B' --until true --timeout 60": (exits.DAMAGED, "damaged"),
}

INSPECTED = {
    "diff rig.ledger --declared PROGRAM": (exits.NO, "System: declared, and never came up"),
    "diff rig.ledger --declared broken.py": (exits.USAGE, "broken.py cannot be inspected"),
    "diff rig.ledger mark:none --declared PROGRAM": (exits.USAGE, "there is no mark 'none'"),
    "diff text.ledger --declared PROGRAM": (exits.NOT_A_LEDGER, "text.ledger"),
    "diff damaged.ledger --declared PROGRAM": (exits.DAMAGED, "damaged"),
}


def asked(run: Run, line: str) -> Any:
    return run(*(word.strip("'") for word in re.findall(r"'[^']*'|\S+", line.replace("PROGRAM", str(PROGRAM)))))


@pytest.mark.parametrize("line", [*CODES, *(pytest.param(line, marks=needs_inspect) for line in INSPECTED)])
def test_each_code_is_given_with_one_message(run: Run, lab: Path, line: str) -> None:
    answer = asked(run, line)
    code, said = (CODES | INSPECTED)[line]
    assert answer.code == code, answer
    assert said in answer.out + answer.err
    assert "Traceback" not in answer.err


@needs_inspect
def test_a_program_is_compared_with_what_a_running_recorder_has(run: Run, tmp_path: Path) -> None:
    server = GraphServer(tmp_path / "rig.ledger")
    server.start(("127.0.0.1", 0))
    try:
        for words in ([], ["end"]):
            answer = run("diff", str(server.address), *words, "--declared", PROGRAM, "--json")
            assert answer.code == exits.NO, answer.err
            [departure] = json.loads(answer.out)["departures"]
            assert (departure["kind"], departure["address"]) == ("never came up", "System")
    finally:
        server.stop()


@pytest.mark.parametrize("word", ["12:30", "mark:7", "2026-11-24T08:15"])
def test_a_moment_is_not_taken_for_an_address(run: Run, lab: Path, word: str) -> None:
    answer = run("diff", word, "--declared", lab / "runs.py")
    assert answer.code == exits.USAGE
    assert "no recorder" not in answer.err


def test_the_table_of_the_docs_has_these_codes() -> None:
    text = DOCS.read_text("utf-8")
    table = text[text.index("| asked by a script |") :].split("\n\n")[0].splitlines()
    columns = [int(cell) for cell in table[0].strip("|").split("|")[1:]]
    given = {
        (line.split()[0], code)
        for line, (code, _) in {**CODES, **INSPECTED, "diff OF A RUNNING PROGRAM": (exits.OK, "")}.items()
    }
    told = {
        (row.split("`")[1].split()[0], column)
        for row in table[2:]
        for column, cell in zip(columns, row.strip("|").split("|")[1:], strict=True)
        if cell.strip()
    }
    assert told == given
