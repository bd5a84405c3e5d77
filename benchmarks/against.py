"""This build beside an earlier one: what people wait for at the command line, and clients at a recorder."""

import asyncio
import shutil
import socket
import statistics
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter, time

import psutil

from benchmarks import builds
from benchmarks.builds import Build
from benchmarks.harness import Section, Setting, Spread, ratios, say, seconds, times
from benchmarks.sections.connect import start_up
from benchmarks.workload import layered

ABOUT = """\
Both builds have an environment of their own, with the same versions of all they depend on, and take turns, in one run.
*Processor* is that of all processes of a command. A ratio is that of this build to the other one, in the same round:
below 1, this build is faster.

*First look*: `ezmsg-ledger show --at` the middle of a ledger of a million events that nobody has looked at since it was
recorded, and the same at the second look, where there is an index for either build. *Recorded* means: appended to while
that build's followers ran, as `serve` starts them, and no faster than they follow. *Keeping the index* is the processor
time that those took per event.
*Before the first line*: from the start of `ezmsg-ledger run script.py` to the first line of the script, less what
Python alone takes to come there. *Connect*: p50 of single connects of ezmsg's own client at a `serve` that records;
with a keeper at work and, in the same build, without (`--no-index`); *memory* is the server's, resident, after all of
them."""

COLUMNS = ("what", "this build", "the other", "ratio", "this, processor", "the other's", "ratio")

EVENTS, QUICK_EVENTS = 1_000_000, 60_000
EDGES, QUICK_EDGES = 3_000, 60
SESSIONS = 5
"""Sessions one after the other that connect all edges, in each turn."""

RECORD = """
import resource, sys, time
from pathlib import Path
from benchmarks.workload import batches, events
from ezmsg.ledger.log import Ledger
path, number = Path(sys.argv[1]), int(sys.argv[2])
appends = batches(events(number), 100)
try:
    from ezmsg.ledger.projections.lifetimes.index_file import standing
    from ezmsg.ledger.runtime.recorder.followers import INDEX_KEEPER, Followers
except ImportError:
    following = None
else:
    following = Followers([INDEX_KEEPER._replace(after_s=0.0)])
with Ledger.open(path, durability="none") as ledger:
    if following is not None:
        following.start(str(path))
    for place, events in enumerate(appends):
        ledger.append(events)
        while following is not None and place % 100 == 99:
            kept = standing(str(path), ledger.id)
            if ledger.head - (0 if kept is None else kept.seq) < 200_000:
                break
            time.sleep(0.1)
if following is not None:
    following.wait()
usage = resource.getrusage(resource.RUSAGE_CHILDREN)
print((usage.ru_utime + usage.ru_stime) / number)
"""

FIRST_LINE = "import time; print(time.time())\n"

Turn = Callable[[], tuple[float, float]]
"""Runs once; returns seconds of wall time and of processor time."""


def run(revision: str, setting: Setting) -> Section:
    """Measure this build beside the one of ``revision``. Raises ValueError when there is no such commit."""
    other, this = builds.of(revision), builds.this()
    section = Section(f"Beside {other.name}", ABOUT, COLUMNS)
    with tempfile.TemporaryDirectory(dir=setting.folder) as name:
        folder = Path(name).resolve()
        _looks((this, other), folder, setting, section)
        _starts((this, other), folder, setting, section)
        _connects((this, other), folder, setting, section)
    return section


def _row(section: Section, what: str, turns: Sequence[Turn], rounds: int) -> None:
    """Let two take turns; one row of what each took."""
    figures: list[list[tuple[float, float]]] = [[], []]
    for number in range(1, rounds + 1):
        say(f"{what}: round {number} of {rounds}")
        for place, turn in enumerate(turns):
            figures[place].append(turn())
    cells: list[str] = [what]
    for kind in (0, 1):
        these, others = ([each[kind] for each in side] for side in figures)
        if any(these) and any(others):
            cells += [Spread.of(side).written(seconds) for side in (these, others)]
            cells.append(ratios(these, others).written(times))
        else:
            cells += ["", "", ""]
    section.rows.append(cells)


# --- looking ---------------------------------------------------------------------------------------------------------


def _looks(pair: Sequence[Build], folder: Path, setting: Setting, section: Section) -> None:
    number = QUICK_EVENTS if setting.quick else EVENTS
    paths = [folder / f"{each.name}.ledger" for each in pair]
    kept = []
    for build, path in zip(pair, paths, strict=True):
        say(f"recording {number:,} events with {build.name}")
        took = build.run(
            build.python, "-c", RECORD, path, str(number), cwd=builds.ROOT, variables={"PYTHONPATH": str(builds.ROOT)}
        )
        kept.append(float(took.out))
        index = Path(f"{path}.index")
        if index.exists():
            shutil.copyfile(index, f"{path}.kept")
    section.rows.append(("keeping the index, per event", "", "", "", seconds(kept[0]), _dash(kept[1]), ""))

    def look(build: Build, path: Path, first: bool) -> Turn:
        def turn() -> tuple[float, float]:
            index = Path(f"{path}.index")
            if first:
                index.unlink(missing_ok=True)
                if Path(f"{path}.kept").exists():
                    shutil.copyfile(f"{path}.kept", index)
            took = build.run(build.command, "show", path, "--at", str(number // 2), "--json", cwd=folder)
            return took.wall, took.processor

        return turn

    for what, first in (("first look at a recorded ledger", True), ("a look with an index", False)):
        turns = [look(build, path, first) for build, path in zip(pair, paths, strict=True)]
        _row(section, f"{what}, {number:,} events", turns, setting.rounds)


def _dash(took: float) -> str:
    return seconds(took) if took else "nobody does"


# --- starting --------------------------------------------------------------------------------------------------------


def _starts(pair: Sequence[Build], folder: Path, setting: Setting, section: Section) -> None:
    script = folder / "first_line.py"
    script.write_text(FIRST_LINE)
    tiny = folder / "tiny.ledger"

    def first_line(build: Build) -> Turn:
        def turn() -> tuple[float, float]:
            plain = _until_first_line(build, [build.python, script], folder)
            tiny.unlink(missing_ok=True)
            command = [build.command, "run", "--address", f"127.0.0.1:{_free_port()}", "--ledger", tiny, script]
            wall, processor = _until_first_line(build, command, folder)
            return wall - plain[0], processor - plain[1]

        return turn

    def show(build: Build) -> Turn:
        def turn() -> tuple[float, float]:
            took = build.run(build.command, "show", tiny, cwd=folder)
            return took.wall, took.processor

        return turn

    _row(
        section,
        "what `run` adds before the first line (processor: in all)",
        list(map(first_line, pair)),
        setting.rounds,
    )
    _row(section, "`show` of a tiny ledger", list(map(show, pair)), setting.rounds)


def _until_first_line(build: Build, command: Sequence[str | Path], folder: Path) -> tuple[float, float]:
    begun = time()
    took = build.run(*command, cwd=folder)
    return float(took.out) - begun, took.processor


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


# --- connecting ------------------------------------------------------------------------------------------------------


@contextmanager
def _served(build: Build, path: Path, *options: str) -> Iterator[tuple[str, psutil.Process]]:
    """A ``serve`` of a build, with its address and process."""
    address = f"127.0.0.1:{_free_port()}"
    command = [build.command, "serve", str(path), "--address", address, *options]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        while "Ctrl-C stops" not in (line := process.stderr.readline()):
            if not line:
                raise RuntimeError(f"serve of {build.name} ended before it listened")
        yield address, psutil.Process(process.pid)
    finally:
        process.terminate()
        process.communicate()


def _connects(pair: Sequence[Build], folder: Path, setting: Setting, section: Section) -> None:
    this, other = pair
    edges = layered(QUICK_EDGES if setting.quick else EDGES)
    before = folder / f"{this.name}.ledger"  # a long history, so that there is an index to keep

    def turn(address: str, process: psutil.Process) -> Turn:
        def connect() -> tuple[float, float]:
            used = sum(process.cpu_times()[:2])
            took: list[float] = []
            for _ in range(SESSIONS):
                took += asyncio.run(start_up(address, edges)).connects
            return statistics.median(took), (sum(process.cpu_times()[:2]) - used) / len(took)

        return connect

    for what, build, options in (("with a keeper", other, ()), ("the other: without", this, ("--no-index",))):
        ledgers = [folder / f"{place}-{build.name}.ledger" for place in ("one", "two")]
        for ledger in ledgers:
            shutil.copyfile(before, ledger)
            if Path(f"{before}.kept").exists():
                shutil.copyfile(f"{before}.kept", f"{ledger}.index")
        with _served(this, ledgers[0]) as one, _served(build, ledgers[1], *options) as two:
            for address, _ in (one, two):
                asyncio.run(start_up(address, edges))
            began = perf_counter()
            turns = [turn(*one), turn(*two)]
            _row(section, f"connect, p50, {what} (processor: the server's, each)", turns, setting.rounds)
            sizes = [float(process.memory_info().rss) for _, process in (one, two)]
            say(f"{perf_counter() - began:.0f} s")
        cells = [f"{size / 2**20:.1f} MiB" for size in sizes]
        section.rows.append((f"memory of that server, {what}", *cells, times(sizes[0] / sizes[1]), "", "", ""))
