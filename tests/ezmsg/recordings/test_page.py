"""docs/DATA.md shows what is printed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.ezmsg.suite.environments import RECORDINGS

from .recorded import record

pytestmark = pytest.mark.environments

PAGE = Path(__file__).parents[3] / "docs" / "DATA.md"


def normal(text: str) -> list[str]:
    """The lines of what a command prints, whatever the numbers in them are."""
    return [
        " ".join(re.sub(r"[-+]?\d[\d.,:]*", "#", line).split()).replace("rows", "row") for line in text.splitlines()
    ]


def test_the_page_shows_what_is_printed(new_desk: Any, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Each command of docs/DATA.md, on a recording of the same rig: the same lines, with other numbers."""
    shown: dict[str, list[str]] = {}
    for block in re.findall(r"```console\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL):
        for part in re.split(r"^\$ ezmsg-ledger ", block, flags=re.MULTILINE)[1:]:
            command, _, output = part.partition("\n")
            shown[command] = normal(output)
    rig = record(new_desk(tmp_path_factory.mktemp("page")), 50, 6, 1, "nwb", "lsl", "fif")
    [second] = [span["begin"] for span in rig.in_force("rig.nwb")["changed"] if span["value"] == 3]
    for command, expected in shown.items():
        words = command.split()
        if "--from" in words:
            words[-3], words[-1] = f"{second - 0.7:.3f}", f"{second + 0.7:.3f}"
        told = rig.desk.do(RECORDINGS.python(), "-m", "ezmsg.ledger.tools.cli", *words)
        assert told.code == 0, told.err
        assert normal(told.out) == expected, command
