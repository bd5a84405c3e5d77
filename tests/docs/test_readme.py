"""What the README shows is so: its library example runs, its commands and links exist."""

import contextlib
import io
import os
import re
from pathlib import Path

import pytest

from ezmsg.ledger.tools.cli import COMMANDS

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_the_library_example_runs_and_shows_the_edge_with_its_owner(tmp_path: Path) -> None:
    [example] = [block for block in blocks("python") if "LiveGraph" in block]
    assert len([line for line in example.splitlines() if line.strip()]) <= 13
    before = os.getcwd()
    os.chdir(tmp_path)
    out = io.StringIO()
    try:
        with contextlib.redirect_stdout(out):
            exec(compile(example, "README.md", "exec"), {})
    finally:
        os.chdir(before)
    assert re.search(r"Edge\(from_topic='AMP/OUT', to_topic='FILTER/IN'\): \['[0-9a-f-]{36}'\]", out.getvalue())
    assert (tmp_path / "notes.ledger").exists()


def test_every_command_that_is_shown_exists() -> None:
    shown = set(re.findall(r"ezmsg-ledger ([a-z]+)", "\n".join(blocks("console"))))
    assert shown, "the README shows no command at all"
    assert shown <= {command.name for command in COMMANDS}


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\(((?!http)[^)#]+)\)", README))))
def test_every_link_leads_somewhere(target: str) -> None:
    assert (ROOT / target).exists()


def test_every_document_is_reachable_from_the_readme() -> None:
    for page in (ROOT / "docs").rglob("*.md"):
        assert page.relative_to(ROOT).as_posix() in README, f"nothing leads to {page.name}"


def test_make_has_the_two_commands() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert re.search(r"^demo:", makefile, re.MULTILINE)
    assert re.search(r"^test:", makefile, re.MULTILINE)
