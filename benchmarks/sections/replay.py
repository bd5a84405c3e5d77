"""Replay: how fast a recording becomes the state of the graph again."""

import tempfile
from functools import partial
from pathlib import Path
from time import perf_counter

from benchmarks.harness import Contender, Section, Setting, Spread, count, ratios, say, take_turns, times
from benchmarks.tables import Table
from benchmarks.workload import batches, events
from ezmsg.ledger import codec
from ezmsg.ledger.log import Ledger
from ezmsg.ledger.projections.graph.state import GraphState
from ezmsg.ledger.projections.projection import fold
from ezmsg.ledger.storage.reading.scan import PIECE

ABOUT = """\
A whole recording is read and folded into a `GraphState`: edges, owners, nodes in their order, sessions. *Decoding
alone* turns the same file into events, 256 KiB at a time, and looks at nothing: it is the limit. SQLite (one table,
whatever the commits were) reads its rows with `fetchmany`, decodes them with the same codec and folds them with the
same fold. Each final state is checked against all its invariants, and the states against each other, outside the
measured time. Files are in the system's cache."""

COLUMNS = ("events", "events per commit", "reader", "events/s", "our speed beside it")

SIZES = (300_000, 1_000_000)
QUICK_SIZES = (1_000, 2_000)
COMMIT_SIZES = (1000, 1)

DECODING, TABLE = "decoding alone", "SQLite and the same fold"


def run(setting: Setting) -> Section:
    """Measure both sizes, each with large and with single commits."""
    section = Section("Replay", ABOUT, COLUMNS)
    sizes = QUICK_SIZES if setting.quick else SIZES
    for number in sizes:
        with tempfile.TemporaryDirectory(dir=setting.folder) as name:
            say(f"replay of {number:,} events: writing them")
            _write(Path(name), number)
            _measure(Path(name), number, setting, section)
    return section


def _write(folder: Path, number: int) -> None:
    workload = events(number)
    for size in COMMIT_SIZES:
        with Ledger.open(_ledger(folder, size), durability="none") as ledger:
            for commit in batches(workload, size):
                ledger.append(commit)
    with Table(_table(folder), "OFF") as table:
        for commit in batches(workload, COMMIT_SIZES[0]):
            table.append(commit)


def _ledger(folder: Path, size: int) -> Path:
    return folder / f"{size}.ledger"


def _table(folder: Path) -> Path:
    return folder / "table.sqlite"


def _measure(folder: Path, number: int, setting: Setting, section: Section) -> None:
    states: list[GraphState] = []
    contenders: dict[str, Contender] = {TABLE: lambda: _fold_table(_table(folder), states)}
    for size in COMMIT_SIZES:
        contenders[f"ours {size}"] = partial(_fold, _ledger(folder, size), states)
        contenders[f"{DECODING} {size}"] = partial(_decode, _ledger(folder, size), number)
    figures = take_turns(f"replay of {number:,} events", contenders, setting.rounds)
    for size in COMMIT_SIZES:
        ours = figures[f"ours {size}"]
        readers = {
            "ezmsg-ledger, full fold": ours,
            DECODING: figures[f"{DECODING} {size}"],
            TABLE: figures[TABLE],
        }
        for label, took in readers.items():
            speed = Spread.of([number / each for each in took]).written(count)
            ratio = "" if took is ours else ratios(took, ours).written(times)
            section.rows.append((f"{number:,}", f"{size:,}", label, speed, ratio))
    _judge(number, figures, section)


def _judge(number: int, figures: dict[str, list[float]], section: Section) -> None:
    size = COMMIT_SIZES[0]
    what = f"{number:,} events, {size:,} per commit"
    ours = figures[f"ours {size}"]
    section.aim(f"{what}: speed beside decoding alone", ratios(figures[f"{DECODING} {size}"], ours), 0.3)
    section.aim(f"{what}: speed beside SQLite", ratios(figures[TABLE], ours), 1.2)


# --- the readers -----------------------------------------------------------------------------------------------------


def _fold(path: Path, states: list[GraphState]) -> float:
    with Ledger.open(path, "r") as ledger:
        start = perf_counter()
        state = fold(ledger.read(), GraphState())
        took = perf_counter() - start
    _compare(state, states)
    return took


def _fold_table(path: Path, states: list[GraphState]) -> float:
    with Table(path, "OFF") as table:
        start = perf_counter()
        state = fold(table.read(), GraphState())
        took = perf_counter() - start
    _compare(state, states)
    return took


def _compare(state: GraphState, states: list[GraphState]) -> None:
    """Every reader must come to the same shape; the first state stands for all."""
    state.check()
    if not states:
        states.append(state)
    elif state.seq != states[0].seq or state.shape_digest() != states[0].shape_digest():
        raise RuntimeError("two readers of the same events came to different states")


def _decode(path: Path, number: int) -> float:
    """Decode a file in pieces of whole lines, in a reused buffer; nothing else."""
    buffer = bytearray(PIECE)
    view = memoryview(buffer)
    rest = found = 0
    with path.open("rb", buffering=0) as file:
        start = perf_counter()
        while size := file.readinto(view[rest:]):
            size += rest
            end = buffer.rfind(b"\n", 0, size) + 1
            found += len(codec.decode(view[:end]))
            rest = size - end
            view[:rest] = view[end:size]
        took = perf_counter() - start
    if found <= number or rest:
        raise RuntimeError(f"{found} lines decoded, {rest} bytes left")
    return took
