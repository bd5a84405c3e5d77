"""Long ledgers of several sizes: what a person waits for, the memory that it takes, and how both grow."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

from benchmarks.debugger import ledgers
from benchmarks.harness import Section, Setting, Spread, count, say, seconds, times

ABOUT = """\
Commands, each a process of its own, at ledgers of several sizes: a laboratory's edges, and a rig nine tenths of whose
events are changes of settings. *First look*: `show --at` the middle, where there is no index; it makes one. *Replay* is
the fold of the whole ledger, beside which the first look stands. *Growth* is the figure at the largest size over that
at the smallest. Memory is the most that the process had resident, pages of the mapped index included. To write a
ledger of ten million events takes some minutes and 2.5 GB; it is kept in the benchmarks' folder."""

COLUMNS = ("history", "what", "events", "processor time", "wall time", "memory")

SIZES, LARGE_SIZES, QUICK_SIZES = (1_000_000, 10_000_000), (50_000_000,), (60_000, 120_000)

HISTORIES: dict[str, Callable[[Path, int], Path]] = {"edges": ledgers.long, "settings": ledgers.settings}

COMMAND = """
import sys
from ezmsg.ledger.tools.cli import main
try:
    sys.exit(main())
finally:
    with open("/proc/self/status") as status:
        print(next(line for line in status if line.startswith("VmHWM")).split()[1], file=sys.stderr)
"""

REPLAY = """
import sys
from ezmsg.ledger.log import Ledger
from ezmsg.ledger.projections.graph.state import GraphState
from ezmsg.ledger.projections.projection import fold
with Ledger.open(sys.argv[1], "r") as ledger:
    fold(ledger.read(), GraphState())
with open("/proc/self/status") as status:
    print(next(line for line in status if line.startswith("VmHWM")).split()[1], file=sys.stderr)
"""


class Took(NamedTuple):
    """What a process took: seconds of the processor and of the clock, and bytes of memory at most."""

    processor: float
    wall: float
    memory: float


def run(setting: Setting) -> Section:
    """Measure at 1 M and 10 M events."""
    return _measured("Sizes", QUICK_SIZES if setting.quick else SIZES, setting)


def run_large(setting: Setting) -> Section:
    """Measure at 50 M events, which take 12 GB on the disk and half an hour to write."""
    return _measured("Sizes, fifty million events", QUICK_SIZES[:1] if setting.quick else LARGE_SIZES, setting)


def _measured(title: str, sizes: tuple[int, ...], setting: Setting) -> Section:
    section = Section(title, ABOUT, COLUMNS)
    if not Path("/proc/self/status").exists():
        section.rows.append(("memory is asked of Linux's /proc, which is not here", *[""] * (len(COLUMNS) - 1)))
        return section
    for history, write in HISTORIES.items():
        ends: dict[str, list[Took]] = {}
        for number in sizes:
            of = f"{count(number)} events"
            say(f"sizes, {history}: writing {of}")
            path = write(setting.folder / f"sizes-{history}-{number}.ledger", number)
            for what, figures in _asked(path, number, setting).items():
                ends.setdefault(what, []).append(_middle(figures))
                section.rows.append((history, what, of, *_cells(figures)))
        for what, found in ends.items():
            if len(found) > 1:
                grown = [times(last / first) for first, last in zip(found[0], found[-1], strict=True)]
                section.rows.append((history, what, "growth", *grown))
    return section


def _asked(path: Path, number: int, setting: Setting) -> dict[str, list[Took]]:
    index = Path(f"{path}.index")
    show = ["show", str(path), "--at", str(number // 2), "--json"]
    topic = ["history", str(path), "topic", "SYSTEM/UNIT12/OUTPUT"]
    found: dict[str, list[Took]] = {}
    # what reads all of it runs in few rounds: it takes so long that it averages over what else happens
    for turn in range(min(setting.rounds, 2)):
        say(f"{path.name}: first look {turn + 1}")
        found.setdefault("replay", []).append(took(REPLAY, [str(path)]))
        index.unlink(missing_ok=True)
        found.setdefault("the last 20 events, no index", []).append(
            took(COMMAND, ["log", str(path), "-n", "20", "--json"])
        )
        found.setdefault("first look", []).append(took(COMMAND, show))
    for turn in range(setting.rounds):
        say(f"{path.name}: with an index, {turn + 1}")
        for what, arguments in (
            ("start of a command", ["--version"]),
            ("a look with an index", show),
            ("history of a topic", topic),
            ("sessions --json", ["sessions", str(path), "--json"]),
        ):
            found.setdefault(what, []).append(took(COMMAND, arguments))
    return found


def took(code: str, arguments: list[str]) -> Took:
    start = perf_counter()
    command = [sys.executable, "-c", code, *arguments]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    with process:
        assert process.stderr is not None
        said = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(arguments)} ended with {process.returncode}: {said}")
    kilobytes = int(said.splitlines()[-1])
    return Took(usage.ru_utime + usage.ru_stime, perf_counter() - start, kilobytes * 1024.0)


def _middle(figures: list[Took]) -> Took:
    return Took(*(Spread.of(column).median for column in zip(*figures, strict=True)))


def _cells(figures: list[Took]) -> list[str]:
    processor, wall, memory = (Spread.of(column) for column in zip(*figures, strict=True))
    return [processor.written(seconds), wall.written(seconds), memory.written(lambda size: f"{size / 1e6:.0f} MB")]
