"""Which error ends in which exit code; the table in docs/cli.md says the same."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ezmsg.ledger import errors
from ezmsg.ledger.errors import LedgerError
from ezmsg.ledger.log import Ledger
from ezmsg.ledger.runtime.address import CannotListen
from ezmsg.ledger.tools import exits


def every(cls: type[LedgerError]) -> list[type[LedgerError]]:
    return [cls, *(below for sub in cls.__subclasses__() for below in every(sub))]


@pytest.mark.parametrize("cls", every(LedgerError))
def test_no_error_that_is_raised_on_purpose_counts_as_a_fault(cls: type[LedgerError]) -> None:
    assert exits.code_of(cls.__new__(cls)) not in (exits.OK, exits.FAULT)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.NotALedger(""), exits.NOT_A_LEDGER),
        (errors.NewerFormat(""), exits.NOT_A_LEDGER),
        (errors.DamagedLedger("", offset=1, seq=1), exits.DAMAGED),
        (errors.HistoryChanged(""), exits.DAMAGED),
        (errors.InvalidEvent(""), exits.DAMAGED),
        (errors.OutOfOrder(""), exits.DAMAGED),
        (errors.UnknownEvents(""), exits.NOT_A_LEDGER),
        (errors.LedgerLocked(""), exits.LOCKED),
        (errors.WriteFailed(""), exits.DISK),
        (errors.LogError(""), exits.DISK),
        (errors.CycleError("a", "b", ("b", "a")), exits.NO),
        (errors.UnknownMoment(""), exits.USAGE),
        (exits.Misuse(""), exits.USAGE),
        (CannotListen(""), exits.USAGE),
        (LedgerError(""), exits.NO),
        (PermissionError(13, "no"), exits.DISK),
        (ValueError(""), exits.FAULT),
    ],
)
def test_the_code_of_an_error(error: Exception, code: int) -> None:
    assert exits.code_of(error) == code


def test_an_error_out_of_another_process_counts_as_what_it_was_there() -> None:
    class Relayed(LedgerError):
        kind = "LedgerLocked"

    assert exits.code_of(Relayed("")) == exits.LOCKED
    Relayed.kind = "WriteFailed"
    assert exits.code_of(Relayed("")) == exits.DISK
    Relayed.kind = "CannotListen"
    assert exits.code_of(Relayed("")) == exits.USAGE
    Relayed.kind = "SomethingElse"
    assert exits.code_of(Relayed("")) == exits.NO


# --- the table for people ---------------------------------------------------------------------------------------------

PAGE = Path(__file__).parents[2] / "docs" / "cli.md"


def table() -> dict[int, tuple[str, list[str]]]:
    """The table of docs/cli.md: by code what it means, and the names of errors in Python."""
    section = PAGE.read_text(encoding="utf-8").partition("### Exit codes")[2].partition("\n### ")[0]
    rows = re.findall(r"^\| (\d+) \| (.+) \| (.*?) ?\|$", section, re.MULTILINE)
    return {int(code): (meaning, re.findall("`([A-Za-z]+)`", names)) for code, meaning, names in rows}


def test_the_table_has_every_code_and_no_other() -> None:
    codes = {value for name, value in vars(exits).items() if name.isupper() and type(value) is int}
    assert set(table()) == codes - {exits.SIGNALLED}


def test_the_table_has_every_error_that_has_a_code_of_its_own() -> None:
    told = {name: code for code, (_, names) in table().items() for name in names}
    handled = {"KeyboardInterrupt": exits.INTERRUPTED, "BrokenPipeError": exits.PIPE}  # by the command line itself
    assert told == {**exits._CODES, **handled}


@pytest.mark.parametrize("code", sorted(set(table()) - {exits.UNWRITTEN, exits.FAULT}))
def test_a_command_ends_with_each_code(code: int, run: Callable[..., Any], night: Any, tmp_path: Path) -> None:
    """7 is tested on a disk that is full (tests/faults), 70 with a command that is broken (tests/tools/test_cli.py)."""
    other = tmp_path / "other.ledger"
    data = night.path.read_bytes()
    if code in (exits.INTERRUPTED, exits.PIPE):
        assert ended(code, night.path) == code
        return
    if code == exits.OK:
        answer = run("show", night.path)
    elif code == exits.NO:
        other.write_bytes(data[:-10])
        answer = run("verify", other)
    elif code == exits.USAGE:
        answer = run("show", other)
    elif code == exits.NOT_A_LEDGER:
        other.write_text("Dear diary\n")
        answer = run("log", other)
    elif code == exits.DAMAGED:
        other.write_bytes(data.replace(b"\n", b"\r\n"))
        answer = run("log", other)
    elif code == exits.LOCKED:
        with Ledger.open(other):
            answer = run("rotate", other)
    else:
        assert code == exits.DISK
        answer = run("export", night.path, "--output", tmp_path / "no such folder" / "x.json")
    assert answer.code == code, answer


def ended(code: int, path: Path) -> int:
    """How ``log`` ends, 128 plus a signal as shells have it, when nobody reads it, or at Ctrl-C while it follows."""
    command = [sys.executable, "-m", "ezmsg.ledger.tools.cli", "log", str(path)]
    if code == exits.PIPE:
        reader, writer = os.pipe()
        os.close(reader)
        with os.fdopen(writer, "wb") as out:
            return subprocess.run(command, stdout=out, timeout=60).returncode
    with subprocess.Popen([*command, "--follow"], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        process.send_signal(2)
        return process.wait(60)
