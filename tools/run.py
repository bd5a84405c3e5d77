"""``run``: run a script recorded, without changing a line of it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from ezmsg.ledger.errors import LedgerError
from ezmsg.ledger.runtime.recorder import Recorder, RecorderFailed
from ezmsg.ledger.tools import exits
from ezmsg.ledger.tools.options import ADDRESS_DEFAULT, ADDRESS_ENV, Address, Durability
from ezmsg.ledger.tools.summary import summarise

FORWARDED = ("SIGTERM", "SIGHUP")
"""Signals that reach this process alone; Ctrl-C reaches the script by itself, through the terminal."""


class CannotRun(exits.Misuse):
    """The script cannot be run recorded."""


def default_ledger(script: str) -> Path:
    """``NAME-YYYYmmdd-HHMMSS.ledger`` in the current folder."""
    return Path(f"{Path(script).stem}-{time.strftime('%Y%m%d-%H%M%S')}.ledger")


def run(
    script: Annotated[list[str], typer.Argument(help="A Python script and its own arguments.", show_default=False)],
    ledger: Annotated[
        Path | None,
        typer.Option("--ledger", "-l", metavar="FILE", help="Where to record; SCRIPT-DATE-TIME.ledger by default."),
    ] = None,
    address: Address = None,
    durability: Durability = "interval",
    module: Annotated[bool, typer.Option("--module", "-m", help="SCRIPT is the name of a module.")] = False,
) -> int:
    """Runs an ezmsg pipeline as you would run it yourself, with the same Python, folder and input, and records what
    happens to its graph: who connected what, which settings were in force, what was lost and why. Not one sample.

    Options of ours come before the script; all that follows it is the script's own. The exit code is the script's, or
    128 plus the number of the signal that ended it. The recorder listens where the pipeline looks for its graph server
    ($EZMSG_GRAPHSERVER_ADDR, else 127.0.0.1:25978), so dashboards and other terminals see the same graph.

    \b
    Examples:
      ezmsg-ledger run pipeline.py
      ezmsg-ledger run --ledger monday.ledger pipeline.py --subject 7
      ezmsg-ledger run -m mylab.pipeline
    """
    if not module and not Path(script[0]).is_file():
        raise CannotRun(f"no such script: {script[0]}", hint="Give the path of a Python script, or -m and a module.")
    name = script[0].rpartition(".")[2] if module else script[0]
    location = ledger or default_ledger(name)
    wanted = address or os.environ.get(ADDRESS_ENV) or ADDRESS_DEFAULT
    recorder = Recorder(location, wanted, durability)
    try:
        recorder.start()
    except RecorderFailed as error:
        raise _explain(error, wanted) from error
    print(f"ezmsg-ledger: recording to {recorder.location} (graph server at {recorder.address})", file=sys.stderr)
    try:
        code = _run_child([sys.executable, *(["-m"] if module else []), *script], recorder.address)
    finally:
        recorder.stop()
    summarise(recorder.location, sys.stderr)
    return code


def _run_child(command: list[str], address: str) -> int:
    child: subprocess.Popen[bytes] | None = None

    def forward(signum: int, frame: FrameType | None) -> None:
        if child is not None:
            child.send_signal(signum)

    def leave_to_child(signum: int, frame: FrameType | None) -> None:
        """The terminal sends Ctrl-C to the script as well. Never SIG_IGN here: the script would inherit it."""

    before = {signal.SIGINT: signal.signal(signal.SIGINT, leave_to_child)}
    for name in FORWARDED:
        if hasattr(signal, name):
            number = getattr(signal, name)
            before[number] = signal.signal(number, forward)
    try:
        child = subprocess.Popen(command, env={**os.environ, ADDRESS_ENV: address})
        code = child.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return code if code >= 0 else exits.SIGNALLED - code


def _explain(error: RecorderFailed, address: str) -> LedgerError:
    if error.kind != "OSError":
        return error
    return CannotRun(
        f"cannot listen on {address}: {error}",
        hint="A graph server is probably running there. Stop it (`ezmsg shutdown`), choose another address "
        "(`--address 127.0.0.1:0` takes a free one), or record that server's graph by running `ezmsg-ledger serve` "
        "in its place.",
    )
