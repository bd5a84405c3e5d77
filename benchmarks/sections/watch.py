"""A standing question that follows a recording from its beginning, beside following it and asking nothing."""

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from threading import Event
from time import process_time
from typing import Any

from benchmarks.harness import Contender, Section, Setting, Spread, ratios, say, seconds, take_turns, times
from benchmarks.workload import batches, events
from ezmsg.ledger.log import Ledger
from ezmsg.ledger.projections.graph.state import GraphState
from ezmsg.ledger.projections.questions.timeline import Timeline

ABOUT = """\
A recording of 100,000 events is followed from its first event to its last: by `tail` alone, which reads, checks and
decodes; by a watch of each kind of predicate; and by a fold of the graph's state. Each command of a client is a commit
of its own, as a recorder writes them. The predicates on edges, topics and paths are about two of the 250 units, those
on numbers have their limit where the numbers lie, so that they turn often. Processor time."""

COLUMNS = ("what follows", "takes", "beside the tail alone", "turns")

EVENTS, QUICK_EVENTS = 100_000, 2_000

TAIL, FOLD = "the tail alone", "a fold of the graph's state"
PREDICATES = (
    "edge SYSTEM/UNIT1/OUTPUT -> SYSTEM/UNIT2/INPUT",
    "path SYSTEM/UNIT1/OUTPUT -> SYSTEM/UNIT2/INPUT",
    "topic SYSTEM/UNIT1/OUTPUT",
    "session SYSTEM",
    "setting SYSTEM/UNIT1.gain == 2.0",
    "unit SYSTEM/UNIT1",
    "publisher SYSTEM/UNIT1/OUTPUT",
    "paused",
    "edges >= 4000",
    "topics >= 500",
    "sessions > 80",
)


def run(setting: Setting) -> Section:
    """Measure a watch of each kind beside the tail."""
    section = Section("Watch", ABOUT, COLUMNS)
    number = QUICK_EVENTS if setting.quick else EVENTS
    with tempfile.TemporaryDirectory(dir=setting.folder) as name:
        path = Path(name) / "x.ledger"
        say(f"watch: writing {number:,} events")
        with Ledger.open(path, durability="none") as ledger:
            for commit in batches(events(number), 1):
                ledger.append(commit)
        turns: dict[str, int] = {}
        contenders: dict[str, Contender] = {
            TAIL: partial(_follow, path, number, len),
            FOLD: lambda: _follow(path, number, GraphState().apply_batch),
            **{text: partial(_watch, path, number, text, turns) for text in PREDICATES},
        }
        figures = take_turns("watch", contenders, setting.rounds)
    for what, took in figures.items():
        ratio = "" if what == TAIL else ratios(took, figures[TAIL]).written(times)
        shown = f"`{what}`" if what in turns else what
        section.rows.append((shown, Spread.of(took).written(seconds), ratio, str(turns.get(what, ""))))
        if what in turns:
            section.aim(f"`{what}`, beside the tail alone", ratios(took, figures[TAIL]), 1.5, at_most=True)
    return section


def _follow(path: Path, number: int, take: Callable[[list[Any]], object]) -> float:
    with Ledger.open(path, "r") as ledger:
        over = Event()
        start = process_time()
        for batch in ledger.tail(0, stop=over.is_set):
            take(batch)
            if batch[-1].seq >= number:
                over.set()
        return process_time() - start


def _watch(path: Path, number: int, text: str, turns: dict[str, int]) -> float:
    found: list[Any] = []
    watch = Timeline(Ledger.memory()).watch(text)
    took = _follow(path, number, lambda batch: found.extend(watch.take(batch)))
    turns[text] = len(found)
    return took
