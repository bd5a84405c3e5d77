"""Every example runs as its own first lines say, knows nothing of us, and is recorded."""

import ast
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from ezmsg.ledger import Ledger
from ezmsg.ledger import events as ev

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
COMMAND = [sys.executable, "-m", "ezmsg.ledger.tools.cli"]
TIMEOUT_S = 60

SAYS = {"two_units.py": "0\n1\n2\n3\n4\n"}
"""What each example prints. A new one is missing here until somebody has looked at what it does."""


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_it_is_recorded_by_the_command_that_it_names(example: Path, tmp_path: Path) -> None:
    said = ast.get_docstring(ast.parse(example.read_text()))
    assert said is not None
    (line,) = re.findall(r"^ *(ezmsg-ledger run .*)$", said, re.MULTILINE)
    _, *words = shlex.split(line)
    assert words[-1] == f"examples/{example.name}"
    words[-1] = str(example)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("EZMSG")}
    told = subprocess.run(
        [*COMMAND, *words],
        cwd=tmp_path,
        env={**kept, "EZMSG_GRAPHSERVER_ADDR": "127.0.0.1:0", "EZMSG_LOGLEVEL": "WARNING"},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert told.returncode == 0, told.stderr
    assert told.stdout == SAYS[example.name]
    (path,) = tmp_path.glob(f"{example.stem}-*.ledger")
    with Ledger.open(path, "r") as ledger:
        report = ledger.verify()
        assert (report.sound, report.sealed) == (True, True)
        ends = [event.reason for event in ledger.entries() if isinstance(event, ev.SessionClosed)]
    assert ends == ["closed"]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_it_knows_nothing_of_us(example: Path) -> None:
    nodes = list(ast.walk(ast.parse(example.read_text())))
    imported = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    imported += [str(node.module) for node in nodes if isinstance(node, ast.ImportFrom)]
    assert "ezmsg.core" in imported
    assert not any(name.startswith("ezmsg.ledger") for name in imported)


def test_there_are_examples() -> None:
    assert EXAMPLES
    assert {path.name for path in EXAMPLES} == set(SAYS)
