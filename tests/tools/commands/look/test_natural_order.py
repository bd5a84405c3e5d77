"""Whatever lists names lists U2 before U10."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ezmsg.ledger.log import Ledger
from ezmsg.ledger.metadata import GraphMetadata, UnitMetadata
from ezmsg.ledger.runtime.live import LiveGraph
from ezmsg.ledger.values import freeze

Run = Callable[..., Any]

UNITS = [1, 2, 3, 10, 11, 20, 100]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Units that were wired and registered in the order of their texts: U1, U10, U100, U11, ..."""
    path = tmp_path_factory.mktemp("counted") / "x.ledger"
    with Ledger.open(path, durability="none") as ledger:
        live = LiveGraph(ledger)
        session = live.open_session(label="S")
        names = sorted(f"S/U{number}" for number in UNITS)
        live.register(
            session,
            freeze(GraphMetadata(root_name="S", components={n: UnitMetadata(address=n, name=n[2:]) for n in names})),
        )
        for name in names:
            live.connect(f"{name}/OUT", "S/SINK/IN", owner=session)
            live.connect("S/SOURCE/OUT", f"{name}/IN", owner=session)
        live.register_process(live.open_process(), 7, "h", names)
    return path


@pytest.mark.parametrize(
    ("command", "line"),
    [
        (["show"], r"^S/U(\d+)$|^  S/U(\d+)$"),
        (["show"], r"OUT -> S/U(\d+)/IN"),
        (["diff", "start", "end"], r"\+ S/U(\d+)/OUT -> "),
        (["diff", "start", "end"], r"OUT -> S/U(\d+)/IN"),
        (["diff", "start", "end", "--by-name"], r"\+ S/U(\d+)/OUT -> "),
        (["what-if", "S"], r"- S/U(\d+)/OUT -> "),
        (["explain", "S/SINK/IN"], r"^ +S/U(\d+)/OUT "),
        (["export", "--format", "dot"], r'"S/U(\d+)/OUT" -> '),
        (["export", "--format", "mermaid"], r'"S/U(\d+)"\]'),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_commands_count(run: Run, path: Path, command: list[str], line: str) -> None:
    told = run(command[0], path, *command[1:])
    found = [int(next(filter(None, match.groups()))) for match in re.finditer(line, told.out, re.MULTILINE)]
    assert found == UNITS, told.out + told.err


@pytest.mark.parametrize("command", [["log"], ["diff", "start", "end"], ["diff", "start", "end", "--by-name"]])
def test_units_of_a_process_are_counted(run: Run, path: Path, command: list[str]) -> None:
    out = run(command[0], path, *command[1:]).out
    assert "S/U1, S/U2, S/U3, S/U10, S/U11" in out
