"""The examples in docstrings: every public name and every command's library call has one, and all of them run.

An example is run as a stranger would type it: in an empty folder, with nothing imported but the name that it
explains and what it imports itself.
"""

import doctest
import importlib
import io
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from ezmsg.ledger.tools.cli import COMMANDS

pytestmark = pytest.mark.timeout(60)

ROOT = Path(__file__).parents[2]
ROOMS = {
    "ledger": "ezmsg.ledger",
    "projections": "ezmsg.ledger.projections",
    "runtime": "ezmsg.ledger.runtime",
    "tools": "ezmsg.ledger.tools",
}
OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE

UNDOCUMENTED = {"ezmsg.ledger:Durability", "ezmsg.ledger:__version__"}
"""An alias of a type and a text: Python keeps no docstring of theirs."""

CALLS = {
    "run": "ezmsg.ledger.runtime:record",
    "serve": "ezmsg.ledger.runtime:GraphServer",
    "status": "ezmsg.ledger.runtime.recorder.control_client:ask",
    "mark": "ezmsg.ledger.runtime.recorder.control_client:ask",
    "evict": "ezmsg.ledger.runtime.recorder.control_client:ask",
    "log": "ezmsg.ledger:Ledger.entries",
    "show": "ezmsg.ledger.projections:Timeline.at",
    "diff": "ezmsg.ledger.projections:Timeline.diff",
    "check": "ezmsg.ledger.projections:Timeline.check",
    "sessions": "ezmsg.ledger.projections:Timeline.history",
    "clocks": "ezmsg.ledger.projections:Timeline.elapsed",
    "why": "ezmsg.ledger.projections:Timeline.why",
    "history": "ezmsg.ledger.projections:Timeline.history",
    "path": "ezmsg.ledger.projections:Timeline.path",
    "when": "ezmsg.ledger.projections:Timeline.when",
    "watch": "ezmsg.ledger.projections:Timeline.watch",
    "explain": "ezmsg.ledger.projections:Timeline.explain",
    "what-if": "ezmsg.ledger.projections:Timeline.without",
    "settings": "ezmsg.ledger.projections:Timeline.setting",
    "export": "ezmsg.ledger.tools.export:to_networkx",
    "verify": "ezmsg.ledger:Ledger.verify",
    "receipt": "ezmsg.ledger.receipt:take",
    "repair": "ezmsg.ledger.audit.repair:survey",
    "redact": "ezmsg.ledger.projections.copies.redact:redact",
    "cut": "ezmsg.ledger.projections.copies.cut:cut",
    "rotate": "ezmsg.ledger:Ledger.rotate",
    "attach": "ezmsg.ledger.runtime.observer.observer:Observer",
    "restore": "ezmsg.ledger.runtime.client.restoration:plan",
    "in-force": "ezmsg.ledger.tools.recordings:in_force",
    "annotate": "ezmsg.ledger.tools.recordings:annotate",
}
"""What a program calls for what a command does. `debug`, `demo`, `reenact` and `selftest` are for people alone."""


def public_names() -> Iterator[str]:
    for module in ("ezmsg.ledger", "ezmsg.ledger.projections", "ezmsg.ledger.runtime"):
        for name in importlib.import_module(module).__all__:
            yield f"{module}:{name}"


def named(name: str) -> Any:
    """What ``MODULE:NAME.NAME`` stands for."""
    module, _, path = name.partition(":")
    found = importlib.import_module(module)
    for part in path.split("."):
        found = getattr(found, part)
    return found


def modules_with_examples() -> Iterator[ModuleType]:
    for room, package in ROOMS.items():
        for path in sorted((ROOT / room).rglob("*.py")):
            if ">>> " in path.read_text(encoding="utf-8"):
                inside = path.relative_to(ROOT / room).with_suffix("").parts
                yield importlib.import_module(".".join([package, *(part for part in inside if part != "__init__")]))


def examples() -> Iterator[doctest.DocTest]:
    finder = doctest.DocTestFinder(exclude_empty=True)
    for module in modules_with_examples():
        for example in finder.find(module, globs={"__name__": "__main__"}):
            name = example.name.removeprefix(module.__name__).lstrip(".").partition(".")[0]
            if name:
                example.globs[name] = getattr(module, name)
            yield example


@pytest.mark.parametrize("example", [pytest.param(each, id=each.name) for each in examples() if each.examples])
def test_an_example_runs(example: doctest.DocTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    said = io.StringIO()
    outcome = doctest.DocTestRunner(optionflags=OPTIONS).run(example, out=said.write)
    assert outcome.attempted
    assert not outcome.failed, said.getvalue()


@pytest.mark.parametrize("name", sorted({*public_names(), *CALLS.values()} - UNDOCUMENTED))
def test_a_public_name_has_an_example(name: str) -> None:
    assert ">>> " in (named(name).__doc__ or ""), "a public name is shown in use, in two to six lines that run"


def test_every_command_has_its_library_call() -> None:
    assert {command.name for command in COMMANDS} - CALLS.keys() == {
        *("debug", "demo", "fetch", "fleet", "reenact", "selftest", "ship"),
    }
