"""The components that a program declares: ``ezmsg inspect`` in a process of its own, with a time limit.

It imports the program, so all statements at its top run. Those that do more than define something are found first.
"""

import ast
import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ezmsg.ledger.tools.exits import Misuse
from ezmsg.ledger.tools.output import Page, listed

TIMEOUT_S = 60.0
"""For the import of a program: torch alone takes some seconds on a busy machine."""

SHOWN_MAX = 3
"""Statements that are named."""

STARTERS = ("run", "start", "run_system", "main", "gather")
"""Names of functions that may begin something that does not end: a call of one at the top of a program is told."""


class CannotInspect(Misuse):
    """A program cannot be asked what it declares."""


def inspected(program: Path, page: Page, *, run: bool = False, timeout: float = TIMEOUT_S) -> dict[str, Any]:
    """The document that ``ezmsg inspect`` makes of a program. Raises CannotInspect, OSError.

    A note says what is imported. A program that starts something at its top is refused, unless ``run``.
    """
    starts = _starts(program)
    if starts and not run:
        raise CannotInspect(
            f"to inspect {program} would run it: {listed(starts, SHOWN_MAX)}",
            hint='Put that below `if __name__ == "__main__":`, or say --run if it may run.',
        )
    page.note(f"importing {program} to see what it declares{'; THIS RUNS IT' if starts else ''}")
    command = [sys.executable, "-m", "ezmsg.core", "inspect", str(program)]
    child = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    )
    try:
        out, err = child.communicate(timeout=timeout)
    except subprocess.TimeoutExpired as error:
        raise CannotInspect(
            f"{program} was not imported within {timeout:g} s", hint="Does it begin something at its top?"
        ) from error
    finally:
        _end(child)
    if child.returncode == 2 and "invalid choice" in err.decode("utf-8", "replace"):
        raise CannotInspect(
            f"ezmsg {version('ezmsg')} has no `inspect`", hint="ezmsg 3.10 has: install it beside the program."
        )
    found = _document(out.decode("utf-8", "replace")) if child.returncode == 0 else None
    if found is None:
        said = (err.decode("utf-8", "replace").strip().splitlines() or ["it said nothing"])[-1]
        raise CannotInspect(f"{program} cannot be inspected: {said}", hint="Does it run by itself? python PROGRAM")
    return found


def _document(out: str) -> dict[str, Any] | None:
    """The document of ``ezmsg inspect``: on the last line that has one, after and before what the program prints."""
    for line in reversed(out.splitlines()):
        with suppress(ValueError):  # no brace, or nothing of JSON from there on
            found, _ = json.JSONDecoder().raw_decode(line, line.index("{"))
            if "components" in found:
                return dict(found)
    return None


def _end(child: "subprocess.Popen[bytes]") -> None:
    """End the child and all that it started."""
    try:
        if sys.platform == "win32":
            child.kill()
        else:
            os.killpg(child.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    child.wait()


def _starts(program: Path) -> list[str]:
    """The calls at the top of a program, outside of a main guard, that may begin something: ``line 9: ez.run``."""
    if not program.is_file():
        raise CannotInspect(f"{program} is not a file", hint="Name the program that declares the pipeline.")
    try:
        tree = ast.parse(program.read_bytes(), str(program))
    except (SyntaxError, ValueError) as error:
        raise CannotInspect(f"{program} is not a program of Python: {error}") from error
    return [f"line {call.lineno}: {ast.unparse(call.func)}(...)" for call in _calls(tree.body)]


def _calls(statements: list[ast.stmt]) -> list[ast.Call]:
    found: list[ast.Call] = []
    for statement in statements:
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        if isinstance(statement, ast.If) and "__name__" in ast.unparse(statement.test):
            continue
        calls = (node for node in ast.walk(statement) if isinstance(node, ast.Call))
        found += [call for call in calls if ast.unparse(call.func).rpartition(".")[2] in STARTERS]
    return found
