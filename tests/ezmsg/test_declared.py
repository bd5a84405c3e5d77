"""``diff --declared`` on a real program, recorded and inspected beside ezmsg 3.10."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from .suite.environments import COMING, STABLE

pytestmark = pytest.mark.environments

PROGRAM = Path(__file__).parents[2] / "examples" / "two_units.py"


def test_a_program_is_as_it_declares(desk: Any) -> None:
    path = desk.folder / "x.ledger"
    ours = (COMING.python(), "-m", "ezmsg.ledger.tools.cli")
    told = desk.do(*ours, "run", "--ledger", path, PROGRAM, EZMSG_GRAPHSERVER_ADDR=desk.free)
    assert told.code == 0, told.err
    found = desk.do(*ours, "diff", path, "--declared", PROGRAM)
    assert (found.code, found.out.startswith(f"as declared in {PROGRAM}, at seq ")) == (0, True), found
    more = desk.folder / "more.py"
    text = PROGRAM.read_text("utf-8").replace(
        "    PRINTER = Printer()\n", "    PRINTER = Printer()\n    SECOND = Printer()\n"
    )
    more.write_text('print(\'{"components": "printed before the document"}\')\n' + text, "utf-8")
    lacking = desk.do(*ours, "diff", path, "--declared", more, "--json")
    assert lacking.code == 1
    assert [(each["kind"], each["address"]) for each in json.loads(lacking.out)["departures"]] == [
        ("never came up", "SYSTEM/SECOND")
    ]


def test_an_older_ezmsg_says_what_is_needed(desk: Any) -> None:
    path = desk.folder / "x.ledger"
    ours = (STABLE.python(), "-m", "ezmsg.ledger.tools.cli")
    desk.do(*ours, "run", "--ledger", path, PROGRAM, EZMSG_GRAPHSERVER_ADDR=desk.free)
    told = desk.do(*ours, "diff", path, "--declared", PROGRAM)
    assert told.code == 2
    assert "has no `inspect`" in told.err
