"""Whatever programs read stays as it was: each ``--json`` document of the commands that look, octet for octet.

``documents/before.json.xz`` has what an earlier version printed about the two golden ledgers and a recorded
demonstration. Programs of other people read these documents; where one has to change, that is a line of the changelog,
and the entry is recorded anew.
"""

import json
import lzma
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]

HERE = Path(__file__).parent / "documents"
LEDGERS = {
    "demo": HERE / "demo.ledger",
    "v1": HERE.parents[1] / "golden" / "v1.ledger",
    "rules-2": HERE.parents[1] / "golden" / "rules-2.ledger",
}

PLAINER = {
    "it died without a word": "no clean shutdown was recorded",
    "the graph is paused since": "the graph has been paused since",
}
"""Words for people that stand in a document too, and those that have replaced them."""


ADDED = frozenset(
    {
        *("clock", "loops", "note", "asked_field", "asked", "answered", "runs", "running", "origins", "origin"),
        *("settings_changes", "receipts"),
    }
)
"""Keys that documents have got since then: each is a line of the changelog."""


def without_added(value: Any) -> Any:
    """A document as it would be without the keys that were added."""
    if isinstance(value, dict):
        return {key: without_added(item) for key, item in value.items() if key not in ADDED}
    return [without_added(item) for item in value] if isinstance(value, list) else value


def recorded() -> Iterator[tuple[str, list[str], str]]:
    for entry in json.loads(lzma.decompress((HERE / "before.json.xz").read_bytes())):
        document = entry["document"]
        for before, after in PLAINER.items():
            document = document.replace(before, after)
        yield entry["ledger"], entry["arguments"], document


@pytest.mark.parametrize("command", sorted({arguments[0] for _, arguments, _ in recorded()}))
def test_every_document_is_as_it_was(run: Run, tmp_path: Path, command: str) -> None:
    for name, source in LEDGERS.items():
        shutil.copy(source, tmp_path / f"{name}.ledger")
    for name, (_, *rest), document in [each for each in recorded() if each[1][0] == command]:
        path = tmp_path / f"{name}.ledger"
        answer = run(command, path, *rest)
        told = answer.out.replace(str(path), "LEDGER")
        if any(f'"{key}": ' in told for key in ADDED):
            told, document = json.dumps(without_added(json.loads(told))), json.dumps(json.loads(document))
        assert told == document, (name, command, rest)


def test_every_command_that_looks_is_among_them() -> None:
    from ezmsg.ledger.tools import cli

    looking = {command.name for command in cli.COMMANDS if command.group == cli.LOOK}
    looking.remove("debug")  # which prints no document
    looking -= {"clocks", "check", "watch"}  # which came after these were recorded
    assert looking <= {arguments[0] for _, arguments, _ in recorded()}
