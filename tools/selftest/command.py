"""``selftest``: whether the log keeps its promises here, on a simulated disk and on yours."""

import logging
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import median
from typing import Annotated, NamedTuple

import typer

from ezmsg.ledger.errors import LedgerError, LogError
from ezmsg.ledger.tools import exits
from ezmsg.ledger.tools.page import Page
from ezmsg.ledger.tools.selftest import calls, damage, histories, kills, real_disk, scenarios
from ezmsg.ledger.tools.selftest.effort import Effort
from ezmsg.ledger.tools.selftest.promises import Broken

SECONDS = 20.0
"""Long enough for every part to do something, short enough to be run before a recording."""

ROOM = 64 * 2**20
"""Bytes that must be free where it is tried: what killed writers leave of one ledger is the most of it."""

HISTORY_MAX, SEEDS_MAX, KILLS_MAX = 4, 10**6, 10**4
"""Beyond what the time of any part allows."""


class Part(NamedTuple):
    """One part of the test: its name, what it asks, its share of the time, and what does it."""

    name: str
    question: str
    share: float
    run: Callable[[Effort, Path], None]


PARTS = (
    Part("file system", "Is the folder on a disk of this machine?", 0.0, real_disk.file_system),
    Part("write", "Is what was synced read back as it was written?", 0.0, real_disk.write),
    Part("lock", "Is there one writer, whatever processes do?", 0.0, real_disk.lock),
    Part("torn ends", "Is the end of a cut file put aside, and nothing else?", 0.0, real_disk.torn),
    Part("damage", "Are changed bytes noticed, and left alone?", 0.0, real_disk.damage),
    Part("kills", "Does what was acknowledged outlive a killed writer?", 0.25,
         lambda effort, folder: kills.explore(effort, folder, KILLS_MAX)),
    Part("simulated histories", "Does it outlive a power cut at any point of a short history?", 0.35,
         lambda effort, folder: histories.explore(effort, HISTORY_MAX, again_every=8, large=histories.LARGE_LESS)),
    Part("simulated faults", "Does it outlive a disk that fails, over a long history?", 0.2,
         lambda effort, folder: scenarios.explore(effort, range(SEEDS_MAX))),
    Part("simulated calls", "Is every refusal of the system told as one, and survived?", 0.1,
         lambda effort, folder: calls.explore(effort)),
    Part("simulated damage", "Is every changed byte and line of a ledger noticed?", 0.1,
         lambda effort, folder: damage.explore(effort, sizes=(0,))),
)  # fmt: skip


class Outcome(NamedTuple):
    """How a part ended, after so many seconds: ``problem`` is "" when all held. ``refused``: it is not a promise that
    did not hold, but the system that did not let it be tried."""

    part: Part
    effort: Effort
    problem: str
    refused: bool
    seconds: float

    @property
    def broken(self) -> bool:
        return bool(self.problem) and not self.refused


def selftest(
    folder: Annotated[
        Path, typer.Argument(metavar="[DIR]", help="Where to try it: the folder that is to be recorded into.")
    ] = Path("."),
    seconds: Annotated[float, typer.Option("--seconds", "-s", min=1.0, help="About how long to try.")] = SECONDS,
    json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> int:
    """Writes, kills, tears and damages ledgers in a folder of its own in DIR, which is removed when all is well; and on
    a simulated disk, cuts the power and lets calls fail. The longer it may take, the more it tries.

    The exit code is 0 when all promises held, 1 when one did not (then what it wrote is kept, and named), 6 when the
    system refused to write.

    \b
    Examples:
      ezmsg-ledger selftest
      ezmsg-ledger selftest /data/recordings --seconds 120
    """
    if not folder.is_dir():
        raise exits.Misuse(f"{folder} is no folder", hint="Name the folder that is to be recorded into.")
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
    """What is torn and damaged meanwhile is meant to be, and no news to anybody."""
    logger = logging.getLogger("ezmsg.ledger")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)


def run(place: Path, seconds: float) -> Iterator[Outcome]:
    """Every part, in ``place``, within about so many seconds; a bar on stderr while a person waits."""
    with _bar() as show:
        done = 0.0
        for part in PARTS:
            show(part.name, done)
            told = partial(_tell, show, part, done)
            effort = Effort(seconds * part.share if part.share else None, told)
            problem, refused = "", False
            try:
                part.run(effort, place)
            except (Broken, LedgerError, OSError) as error:
                problem = f"{error}" or type(error).__name__
                refused = exits.code_of(error) == exits.DISK
            done += part.share
            yield Outcome(part, effort, problem, refused, effort.spent)


def _tell(show: Callable[[str, float], object], part: Part, before: float, spent: float) -> None:
    show(part.name, before + part.share * spent)


@contextmanager
def _bar() -> Iterator[Callable[[str, float], object]]:
    if not sys.stderr.isatty():
        yield lambda name, done: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=1.0)
        yield lambda name, done: progress.update(task, description=name, completed=done)


def _report(page: Page, place: Path, outcomes: list[Outcome]) -> None:
    width = max(len(outcome.part.name) for outcome in outcomes)
    for outcome in outcomes:
        word = ("bad", "BROKEN") if outcome.broken else ("bad", "failed") if outcome.refused else ("add", "held  ")
        page.line(word, f"  {outcome.part.name.ljust(width)}  {outcome.part.question}")
        done = [f"{number:,} {what}" for what, number in _done(outcome.effort)]
        if outcome.effort.samples:
            done.append(f"a synced append takes {1000 * median(outcome.effort.samples):.1f} ms here")
        if done:
            page.line(("dim", f"        {' ' * width}  {', '.join(done)}"))
        if outcome.problem:
            page.line("        ", ("bad", outcome.problem))
    if any(outcome.broken for outcome in outcomes):
        page.line(("bad", "not all promises hold here"), f"; what was written is kept in {place}")
    elif any(outcome.refused for outcome in outcomes):
        page.line(("bad", "not all promises could be tried here"), ": the system refused to read or to write")
    else:
        page.line(("add", "all promises held"), f": {sum(outcome.seconds for outcome in outcomes):.0f} s")


def _done(effort: Effort) -> list[tuple[str, int]]:
    """What was done, and how often."""
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
