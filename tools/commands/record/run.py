"""``run``: run a script recorded, without changing a line of it."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from ezmsg.ledger.errors import LedgerError
from ezmsg.ledger.runtime.address import ADDRESS_ENV, CannotListen
from ezmsg.ledger.runtime.recorder.followers import Followers
from ezmsg.ledger.runtime.recorder.process import Recorder, RecorderFailed, exit_text, signal_name
from ezmsg.ledger.storage.durability import Durability
from ezmsg.ledger.tools import exits
from ezmsg.ledger.tools.input import options, sizes
from ezmsg.ledger.tools.input.address import address_or_default, listening_address, no_listening
from ezmsg.ledger.tools.input.new_ledger import give_back, unnamed
from ezmsg.ledger.tools.input.options import FILE, argument, flag, option
from ezmsg.ledger.tools.output import Page, report

FORWARDED = ("SIGTERM", "SIGHUP")
"""Signals that reach this process alone; Ctrl-C reaches the script by itself, through the terminal."""

NOTHING_OF_A_SCRIPT = """\
  Likely causes: it never came to ez.run(...), or failed before; it names a graph_address of its own; or it sets
  EZMSG_GRAPHSERVER_ADDR itself. Let it use the address that $EZMSG_GRAPHSERVER_ADDR has when it starts."""


WANTED = "Give the path of a Python script, or -m and a module."


class CannotRun(exits.Misuse):
    """The script cannot be run recorded."""


@argument("script", "SCRIPT...", "A Python script and its own arguments.", nargs=-1, required=True)
@option("--ledger", "-l", metavar="FILE", type=FILE, help="Where to record; SCRIPT-DATE-TIME.ledger by default.")
@listening_address
@options.durability
@flag("--module", "-m", help="SCRIPT is the name of a module.")
@options.no_index
@options.min_free
@options.debug
@options.ship
@options.ship_key
@options.lsl
def run(
    script: Sequence[str],
    ledger: Path | None,
    address: str | None,
    durability: Durability,
    module: bool,
    no_index: bool,
    min_free: str | None,
    debug: bool,
    ship: str | None,
    ship_key: Path | None,
    lsl: bool,
) -> int:
    """Runs an ezmsg pipeline as you would run it yourself, with the same Python, folder and input, and records what
    happens to its graph: who connected what, which settings were in force, what was lost and why. Not one sample.

    Options of ours come before the script; all that follows it is the script's own. The exit code is the script's, or
    128 plus the number of the signal that ended it. The recorder listens where the pipeline looks for its graph server
    ($EZMSG_GRAPHSERVER_ADDR, else 127.0.0.1:25978), so dashboards and other terminals see the same graph.

    Examples:
      ezmsg-ledger run pipeline.py
      ezmsg-ledger run --ledger monday.ledger pipeline.py --subject 7
      ezmsg-ledger run -m mylab.pipeline
    """
    if not module:
        _refuse_unless_runnable(script[0])
    followers = Followers(options.followers(no_index, debug, ship, ship_key, lsl))
    least = sizes.size_of_option(min_free, "--min-free")
    wanted = address_or_default(address)
    new = ledger is None or not os.path.lexists(ledger)
    location = ledger or unnamed(script[0].rpartition(".")[2] if module else Path(script[0]).absolute().stem)

    def tell_death(code: int) -> None:
        _tell_death(code, recorder.failure)
        followers.end()

    recorder = Recorder(location, wanted, durability, tell_death, least)
    try:
        recorder.start(early=True)
    except RecorderFailed as error:
        if ledger is None:
            give_back(location)
        if error.kind == CannotListen.__name__:
            raise no_listening(error, address) from error
        raise
    with Signals() as signals, followers:
        Page().note(f"recording to {recorder.location} (graph server at {recorder.address})")
        followers.start(recorder.location)
        try:
            command = [sys.executable, *(["-m"] if module else []), *script]
            code = signals.run(lambda: recorder.start_script(command, {**os.environ, ADDRESS_ENV: recorder.address}))
            recorder.script_ended(code)
        finally:
            ended = recorder.ended
            recorder.stop()
            followers.end()
        _conclude(code, ended, recorder, new)
    return code if code >= 0 else exits.SIGNALLED - code


NOTEBOOK = (
    "Record in a cell: `from ezmsg.ledger.runtime import record`, then `with record('run.ledger'): ez.run(...)`. "
    "Or make it a script: jupyter nbconvert --to script {name}"
)
LEDGER = "To see what it holds: ezmsg-ledger log {name}"


def _refuse_unless_runnable(script: str) -> None:
    path = Path(script)
    if path.is_dir() and not (path / "__main__.py").is_file():
        raise CannotRun(f"{script} is a folder", hint=WANTED)
    if not path.exists():
        from ezmsg.ledger.projections.questions.name_hints import did_you_mean

        beside = [each.name for each in path.parent.glob("*.py")]
        hint = did_you_mean(path.name, beside, before=script[: -len(path.name)])
        raise CannotRun(f"there is no script {script}", hint=hint or WANTED)
    if path.suffix == ".ipynb":
        raise CannotRun(f"{script} is a notebook, and Python runs scripts", hint=NOTEBOOK.format(name=script))
    if path.suffix == ".ledger":
        raise CannotRun(f"{script} is a ledger, not a script", hint=LEDGER.format(name=script))


class Signals:
    """Between this process and the script, while it runs: it gets what was meant for it, and we stay to the end."""

    def __init__(self) -> None:
        self._child: subprocess.Popen[bytes] | None = None
        self._early: list[int] = []
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "Signals":
        # Never SIG_IGN: the script would inherit it. But what is ignored already, as after nohup, stays so for both.
        self._handle(signal.SIGINT, _leave_to_script)
        for name in FORWARDED:
            if hasattr(signal, name):
                self._handle(getattr(signal, name), self._forward)
        return self

    def __exit__(self, *raised: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def run(self, start: "Callable[[], subprocess.Popen[bytes]]") -> int:
        """Run the script, which ``start`` starts; returns its exit code, -N when signal N ended it."""
        self._child = start()
        for number in self._early:
            self._child.send_signal(number)
        return self._child.wait()

    def _handle(self, number: int, handler: Callable[[int, FrameType | None], None]) -> None:
        if signal.getsignal(number) is not signal.SIG_IGN:
            self._before[number] = signal.signal(number, handler)

    def _forward(self, number: int, frame: FrameType | None) -> None:
        if self._child is None:
            self._early.append(number)
        else:
            self._child.send_signal(number)


def _leave_to_script(number: int, frame: FrameType | None) -> None:
    """The terminal sends Ctrl-C to the script as well."""


def _conclude(code: int, recorder_ended: int | None, recorder: Recorder, new: bool) -> None:
    """Say what ended the script, whether it was recorded to its end, and what was recorded.

    A ledger that is ``new`` and has nothing in it, because the script failed before, is removed.
    """
    page = Page()
    if code < 0 and code != -signal.SIGINT:
        page.note(f"the script was ended by {signal_name(-code)}")
    if recorder_ended is not None:
        how = exit_text(recorder_ended)
        page.note(f"THE RECORDER ENDED BEFORE THE SCRIPT ({how}): what came after that is not recorded.")
    elif recorder.unwritten:
        page.note("THE LEDGER COULD NOT BE WRITTEN TO THE END: the last events are lost, as said above. What is in it:")
    from ezmsg.ledger.tools.input.location import shortened  # now that nobody waits for the script any more
    from ezmsg.ledger.tools.text.run_summary import summarise

    failed = f"ended with exit code {code}" if code > 0 else "was ended" if code < 0 else ""
    try:
        recorded = summarise(recorder.location, recorder.run, sys.stderr, NOTHING_OF_A_SCRIPT, failed)
        if failed and new and not recorded and recorder_ended is None and not recorder.unwritten:
            Path(recorder.location).unlink()
            Path(recorder.location + ".lock").unlink(missing_ok=True)
            page.note(f"{shortened(recorder.location)} is empty, and was removed")
    except LedgerError as error:  # moved or damaged meanwhile: the script's exit code is still the answer
        report(str(error), error.hint)


def _tell_death(code: int, failure: RecorderFailed | None) -> None:
    """Said as soon as it happens: a long experiment can still be stopped."""
    if failure is not None:
        report(str(failure), failure.hint)
    Page().note(
        f"THE RECORDER HAS ENDED ({exit_text(code)}): NOTHING IS RECORDED from here on. The script goes on as far as "
        "it can without a graph server."
    )
