"""``selftest``: whether ledgers are safe in a folder of yours, tried there with real files and real processes."""

import logging
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import median
from typing import NamedTuple

import click

from ezmsg.ledger.errors import LedgerError, LogError
from ezmsg.ledger.tools import exits
from ezmsg.ledger.tools.input import options
from ezmsg.ledger.tools.input.options import FILE, argument, option
from ezmsg.ledger.tools.output import Page, bar
from ezmsg.ledger.tools.selftest import kills, real_disk
from ezmsg.ledger.tools.selftest.broken import Broken
from ezmsg.ledger.tools.selftest.effort import Effort

SECONDS = 10.0
"""Some fifty killed writers, short enough to be run before a recording."""

ROOM = 64 * 2**20
"""Bytes that must be free where it is tried: what killed writers leave of one ledger is the most of it."""


class Part(NamedTuple):
    """A part of the test: its name, what it asks, and what does it. ``Effort.over`` tells it when time is up."""

    name: str
    question: str
    run: Callable[[Effort, Path], None]


PARTS = (
    Part("file system", "Is the folder on a disk of this machine?", real_disk.file_system),
    Part("write", "Is what was synced read back as it was written?", real_disk.write),
    Part("lock", "Is a second writer refused, in this process and in others?", real_disk.lock),
    Part("fork", "Is the lock free when a writer is dead and a child of it lives?", real_disk.fork),
    Part("full disk", "Is an append that finds no room refused, and is all else kept?", real_disk.full),
    Part("torn ends", "Is the end of a cut file put aside, and nothing else?", real_disk.torn),
    Part("damage", "Are changed bytes noticed, and left alone?", real_disk.damage),
    Part("kills", "Is every acknowledged append there after its writer was killed?", kills.explore),
)


class Outcome(NamedTuple):
    """The end of a part, and after how many seconds. ``problem`` is "" when all held; ``refused``: the system did not
    let it be tried, so that no promise is broken."""

    part: Part
    effort: Effort
    problem: str
    refused: bool
    seconds: float

    @property
    def broken(self) -> bool:
        return bool(self.problem) and not self.refused


@argument("folder", "[DIR]", "Where to try it: the folder that is to be recorded into.", type=FILE, default=Path("."))
@option("--seconds", "-s", type=click.FloatRange(min=1.0), default=SECONDS, help="About how long to try.")
@options.json
def selftest(folder: Path, seconds: float, json: bool) -> int:
    """Writes ledgers in a folder of its own in DIR, fills, tears and damages them, and kills their writers; the folder
    is removed when all is well. The longer it may take, the more writers are killed. Not tried: a power cut.

    The exit code is 0 when all promises held, 1 when one did not (then what it wrote is kept, and named), 6 when the
    system refused to write.

    Examples:
      ezmsg-ledger selftest
      ezmsg-ledger selftest /data/recordings --seconds 120
    """
    if not folder.is_dir():
        raise exits.Misuse(f"{folder} is not a folder", hint="Name the folder that is to be recorded into.")
    free = shutil.disk_usage(folder).free
    if free < ROOM:
        raise LogError(
            f"{folder} has room for {free // 2**20} MB, and the test takes {ROOM // 2**20}",
            hint="Free some, or name another folder of the same disk.",
        )
    page = Page()
    place = Path(tempfile.mkdtemp(prefix="ezmsg-ledger-selftest-", dir=folder))
    try:
        with _quiet():
            outcomes = list(run(place, seconds))
    except BaseException:
        shutil.rmtree(place, ignore_errors=True)
        raise
    broken = any(outcome.broken for outcome in outcomes)
    if not broken:
        shutil.rmtree(place)
    if json:
        page.document(_document(folder, place, outcomes))
    else:
        _report(page, place, outcomes)
    if broken:
        return exits.NO
    return exits.DISK if any(outcome.refused for outcome in outcomes) else exits.OK


@contextmanager
def _quiet() -> Iterator[None]:
    """No messages in the log meanwhile: what is torn and damaged here is torn and damaged on purpose."""
    logger = logging.getLogger("ezmsg.ledger")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)


def run(place: Path, seconds: float) -> Iterator[Outcome]:
    """Every part, in ``place``, within about so many seconds; a bar on stderr while a person waits."""
    with bar("", 1.0) as show:
        for part in PARTS:
            show(0.0, description=part.name)
            effort = Effort(seconds, partial(show, description=part.name))
            problem, refused = "", False
            try:
                part.run(effort, place)
            except (Broken, LedgerError, OSError) as error:
                problem = f"{error}" or type(error).__name__
                refused = exits.code_of(error) == exits.DISK
            yield Outcome(part, effort, problem, refused, effort.spent)


def _report(page: Page, place: Path, outcomes: list[Outcome]) -> None:
    width = max(len(outcome.part.name) for outcome in outcomes)
    for outcome in outcomes:
        word = ("bad", "BROKEN") if outcome.broken else ("bad", "failed") if outcome.refused else ("add", "held  ")
        page.line(word, f"  {outcome.part.name.ljust(width)}  {outcome.part.question}")
        done = [f"{what}: {number:,}" for what, number in _done(outcome.effort)]
        if outcome.effort.samples:
            done.append(f"one takes {1000 * median(outcome.effort.samples):.1f} ms")
        if done:
            page.line(("dim", f"        {' ' * width}  {', '.join(done)}"))
        if outcome.problem:
            page.line("        ", ("bad", outcome.problem))
    if any(outcome.broken for outcome in outcomes):
        page.line(("bad", "not all of this holds here"), f"; what was written is kept in {place}")
    elif any(outcome.refused for outcome in outcomes):
        page.line(("bad", "not all of this could be tried here"), ": the system refused to read or to write")
    else:
        took = sum(outcome.seconds for outcome in outcomes)
        page.line(("add", "all of this held"), f", in {took:.0f} s. Not tried: a power cut.")


def _done(effort: Effort) -> list[tuple[str, int]]:
    """The account of a part: what was done, and how often."""
    return [(what, number) for what, number in sorted(effort.figures.items()) if number]


def _document(folder: Path, place: Path, outcomes: list[Outcome]) -> dict[str, object]:
    return {
        "folder": str(folder),
        "held": not any(outcome.problem for outcome in outcomes),
        "kept": str(place) if any(outcome.broken for outcome in outcomes) else None,
        "parts": [
            {
                "part": outcome.part.name,
                "question": outcome.part.question,
                "problem": outcome.problem or None,
                "refused": outcome.refused,
                "done": dict(_done(outcome.effort)),
                "append_ms": 1000 * median(outcome.effort.samples) if outcome.effort.samples else None,
            }
            for outcome in outcomes
        ],
    }
