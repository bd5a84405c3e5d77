"""Time travel: any past state of a long recording, and why it was so."""

import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from random import Random
from time import perf_counter
from typing import Any

from benchmarks.harness import Contender, Section, Setting, Spread, ratios, say, seconds, take_turns, times
from benchmarks.workload import batches, events
from ezmsg.ledger.events import EdgeConnected
from ezmsg.ledger.log import Ledger
from ezmsg.ledger.projections.graph.state import GraphState
from ezmsg.ledger.projections.projection import fold
from ezmsg.ledger.projections.questions.timeline import Timeline

ABOUT = """\
One recording of a million events, with some 60,000 distinct edges of which 4,000 are held at a time, is asked about
moments at random. *Replay* reads the ledger from its beginning up to the moment; networkx does the same into a
`MultiDiGraph` whose keys are the owners. Raphtory (`PersistentGraph`) holds the whole history in memory; it knows no
owners, so it is told of an edge when its first owner comes and when its last one goes, at the event's seq as its time.
Our index is built once, into a file beside the ledger, and mapped from there. All edges that are listed are checked
against a replay, outside the measured time.

A *snapshot* is the whole `GraphSnapshot`. *Building* is reading the ledger and writing the index, beside one replay of
the whole ledger; for Raphtory, reading the ledger and filling the graph. *Memory* is what a process grows by that opens
a timeline and asks each question once, beside one that fills a Raphtory graph with the same history. *A command* is a
process of its own, from its start to its end: `ezmsg-ledger show --at`, with the index there.

Where the time goes: building reads and folds each event, as a replay does, and puts each hold of an edge and each
fact into columns; most of that is waiting for memory, for each event touches tables of 60,000 edges. Tables by place
took 0.98 of the time, look-ups in C 1.0, numbers within a topic 0.96, times as whole lists 1.0, no garbage collector
1.0: none is in. *One edge* goes from hold to hold in mapped blocks, which keeps memory small; Raphtory has all of it
in memory."""

COLUMNS = ("question", "who answers", "takes", "our speed beside it")

EVENTS, QUICK_EVENTS = 1_000_000, 60_000
MOMENTS, QUICK_MOMENTS = 20, 2
LOOKUPS = 2_000

OURS, REPLAY, RAPHTORY, NETWORKX = "ezmsg-ledger", "replay", "Raphtory", "networkx"


def run(setting: Setting) -> Section:
    """Measure building, states, single edges, causes, memory and a command."""
    section = Section("Time travel", ABOUT, COLUMNS)
    number = QUICK_EVENTS if setting.quick else EVENTS
    with tempfile.TemporaryDirectory(dir=setting.folder) as name:
        path = Path(name) / "x.ledger"
        say(f"time travel: writing {number:,} events")
        with Ledger.open(path, durability="none") as ledger:
            for commit in batches(events(number), 1000):
                ledger.append(commit)
        _measure(path, number, setting, section)
    return section


def _measure(path: Path, number: int, setting: Setting, section: Section) -> None:
    random = Random(1)
    moments = [random.randrange(1, number) for _ in range(QUICK_MOMENTS if setting.quick else MOMENTS)]
    contenders: dict[str, Contender] = {REPLAY: lambda: _replay(path), OURS: lambda: _build(path)}
    if _has("raphtory"):
        contenders[RAPHTORY] = lambda: _fill(path)
    figures = take_turns("building", contenders, setting.rounds)
    _rows(section, "building", figures)
    section.aim("building, in replays", ratios(figures[OURS], figures[REPLAY]), 1.7, at_most=True)
    replays = figures[REPLAY]
    graph = raphtory(path) if _has("raphtory") else None
    with Ledger.open(path, "r") as ledger:
        timeline = Timeline(ledger)
        _check(timeline, graph, moments[:2])
        _states(timeline, graph, path, moments, setting, section)
        if graph is not None:
            _lookups(timeline, graph, random, number, setting, section)
        _causes(timeline, random, number, replays, setting, section)
    del graph
    _memory(path, setting, section)
    _command(path, number, setting, section)


def _has(module: str) -> bool:
    """Whether a peer is installed: those that are not are left out."""
    return find_spec(module) is not None


def _rows(section: Section, question: str, figures: dict[str, list[float]]) -> None:
    for name, took in figures.items():
        ratio = "" if name == OURS else ratios(took, figures[OURS]).written(times)
        section.rows.append((question, name, Spread.of(took).written(seconds), ratio))


# --- building --------------------------------------------------------------------------------------------------------


def _replay(path: Path, until: int | None = None) -> float:
    with Ledger.open(path, "r") as ledger:
        start = perf_counter()
        fold(ledger.read(until=until), GraphState())
        return perf_counter() - start


def _build(path: Path) -> float:
    path.with_name(path.name + ".index").unlink(missing_ok=True)
    with Ledger.open(path, "r") as ledger:
        start = perf_counter()
        Timeline(ledger).at("end")
        took = perf_counter() - start
    if not path.with_name(path.name + ".index").exists():
        raise RuntimeError("no index was written")
    return took


def _fill(path: Path) -> float:
    start = perf_counter()
    raphtory(path)
    return perf_counter() - start


def raphtory(path: Path) -> Any:
    """A PersistentGraph of the ledger's edges, whoever holds them."""
    from raphtory import PersistentGraph

    graph = PersistentGraph()
    for came, seq, edge in changes(path):
        if came:
            graph.add_edge(seq, *edge)
        else:
            graph.delete_edge(seq, *edge)
    return graph


def changes(path: Path) -> Iterator[tuple[bool, int, tuple[str, str]]]:
    """(whether it came, seq, edge) for every first owner and last owner of an edge."""
    owners: dict[tuple[str, str], set[int | None]] = {}
    held: dict[int | None, set[tuple[str, str]]] = {}
    with Ledger.open(path, "r") as ledger:
        for event in ledger.entries():
            if type(event) is EdgeConnected:
                edge = (event.from_topic, event.to_topic)
                held.setdefault(event.owner, set()).add(edge)
                if not owners.setdefault(edge, set()):
                    yield True, event.seq, edge
                owners[edge].add(event.owner)
                continue
            ended: Iterable[tuple[str, str]] = ()
            owner = getattr(event, "owner", None)
            if hasattr(event, "from_topic"):
                ended = [(event.from_topic, event.to_topic)]
                held[owner].discard(ended[0])
            elif hasattr(event, "reason"):
                owner = event.session
                ended = held.pop(owner, ())
            for edge in ended:
                owners[edge].discard(owner)
                if not owners[edge]:
                    yield False, event.seq, edge


# --- states ----------------------------------------------------------------------------------------------------------


def _each(moments: list[int], ask: Callable[[int], object]) -> Contender:
    def turn() -> float:
        start = perf_counter()
        for moment in moments:
            ask(moment)
        return (perf_counter() - start) / len(moments)

    return turn


def _listed(graph: Any, moment: int) -> list[tuple[str, str]]:
    edges = graph.at(moment).edges
    return list(zip(edges.src.name.collect(), edges.dst.name.collect(), strict=True))


def _networkx(path: Path, moment: int) -> Any:
    import networkx as nx

    graph = nx.MultiDiGraph()
    with Ledger.open(path, "r") as ledger:
        for event in ledger.entries(until=moment):
            if type(event) is EdgeConnected:
                graph.add_edge(event.from_topic, event.to_topic, key=event.owner or 0)
            elif hasattr(event, "from_topic"):
                graph.remove_edge(event.from_topic, event.to_topic, key=event.owner or 0)
            elif hasattr(event, "reason"):
                gone = [edge for edge in graph.edges(keys=True) if edge[2] == event.session]
                graph.remove_edges_from(gone)
    return graph


def _check(timeline: Timeline, graph: Any, moments: list[int]) -> None:
    for moment in moments:
        state = fold(timeline.ledger.read(until=moment), GraphState())
        expected = {edge: set(owners) for edge, owners in state.ownership.edges()}
        if {edge: set(owners) for edge, owners in timeline.lifetimes.edges_at(moment).items()} != expected:
            raise RuntimeError(f"the edges at {moment} are not those of a replay")
        if timeline.at(moment).digest() != state.digest():
            raise RuntimeError(f"the state at {moment} is not that of a replay")
        if graph is not None and set(_listed(graph, moment)) != set(expected):
            raise RuntimeError(f"Raphtory has other edges at {moment}")


def _states(timeline: Timeline, graph: Any, path: Path, moments: list[int], setting: Setting, section: Section) -> None:
    lifetimes = timeline.lifetimes
    contenders: dict[str, Contender] = {OURS: _each(moments, lifetimes.edges_at)}
    if graph is not None:
        contenders[RAPHTORY] = _each(moments, lambda moment: _listed(graph, moment))
    if _has("networkx"):
        contenders[NETWORKX] = _each(moments[:3], lambda moment: _networkx(path, moment))
    figures = take_turns("all edges at a moment", contenders, setting.rounds, once={NETWORKX})
    _rows(section, "all edges with their owners", figures)
    if graph is not None:
        section.aim("all edges, speed beside Raphtory", ratios(figures[RAPHTORY], figures[OURS]), 20.0)
    figures = take_turns(
        "a snapshot at a moment",
        {
            OURS: _each(moments, lambda moment: timeline.at(moment).snapshot()),
            REPLAY: _each(
                moments[:5], lambda moment: fold(timeline.ledger.read(until=moment), GraphState()).snapshot()
            ),
        },
        setting.rounds,
    )
    _rows(section, "a whole snapshot", figures)
    section.aim("a snapshot, speed beside replay", ratios(figures[REPLAY], figures[OURS]), 10.0)


def _lookups(timeline: Timeline, graph: Any, random: Random, number: int, setting: Setting, section: Section) -> None:
    lifetimes = timeline.lifetimes
    edges = lifetimes.edges()
    asked = [(random.choice(edges), random.randrange(1, number)) for _ in range(LOOKUPS)]
    views = {seq: graph.at(seq) for _, seq in asked}

    def ours() -> float:
        start = perf_counter()
        for edge, seq in asked:
            lifetimes.has_edge(edge, seq)
        return (perf_counter() - start) / len(asked)

    def theirs() -> float:
        start = perf_counter()
        for edge, seq in asked:
            views[seq].has_edge(*edge)
        return (perf_counter() - start) / len(asked)

    if any(lifetimes.has_edge(edge, seq) != views[seq].has_edge(*edge) for edge, seq in asked):
        raise RuntimeError("Raphtory and the lifetimes differ about an edge")
    figures = take_turns("one edge at a moment", {OURS: ours, RAPHTORY: theirs}, setting.rounds)
    _rows(section, "one edge", figures)
    section.aim("one edge, speed beside Raphtory", ratios(figures[RAPHTORY], figures[OURS]), 1.0)


def _causes(
    timeline: Timeline, random: Random, number: int, replays: list[float], setting: Setting, section: Section
) -> None:
    edges = timeline.lifetimes.edges()
    asked = [(" -> ".join(random.choice(edges)), random.randrange(1, number)) for _ in range(20)]
    moments = list(range(len(asked)))
    figures = take_turns(
        "causes",
        {
            "why": _each(moments, lambda place: timeline.why(*asked[place])),
            "when": _each(moments, lambda place: timeline.when(f"edge {asked[place][0]}")),
        },
        setting.rounds,
    )
    for name, took in figures.items():
        share = ratios(took, replays)
        section.rows.append((f"{name} an edge", OURS, Spread.of(took).written(seconds), ""))
        section.aim(f"{name} an edge, in hundredths of a replay", _scaled(share), 1.0, at_most=True)


def _scaled(share: Spread, by: float = 100.0) -> Spread:
    return Spread(share.median * by, share.low * by, share.high * by)


# --- memory and a command --------------------------------------------------------------------------------------------


def _memory(path: Path, setting: Setting, section: Section) -> None:
    def grown(who: str) -> float:
        command = [sys.executable, "-m", "benchmarks.programs.growth", who, str(path)]
        return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)

    present = (OURS, RAPHTORY) if _has("raphtory") else (OURS,)
    contenders: dict[str, Contender] = {who: partial(grown, who) for who in present}
    figures = take_turns("memory", contenders, 1 if setting.quick else min(setting.rounds, 3))
    for who, sizes in figures.items():
        section.rows.append(("memory", who, Spread.of(sizes).written(lambda size: f"{size / 2**20:.0f} MiB"), ""))
    if RAPHTORY in figures:
        section.aim("memory beside Raphtory's", ratios(figures[OURS], figures[RAPHTORY]), 1.0, at_most=True)


def _command(path: Path, number: int, setting: Setting, section: Section) -> None:
    asked = ["show", str(path), "--at", str(number // 2), "--json"]
    command = [sys.executable, "-c", "from ezmsg.ledger.tools.cli import main; main()", *asked]

    def show() -> float:
        start = perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        return perf_counter() - start

    took = take_turns("a command", {OURS: show}, 1 if setting.quick else min(setting.rounds, 3))[OURS]
    section.rows.append(("a command", OURS, Spread.of(took).written(seconds), ""))
    section.aim("a command, in seconds", Spread.of(took), 1.0, at_most=True)
