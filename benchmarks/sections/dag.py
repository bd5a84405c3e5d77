"""DAG: how fast a graph grows edge by edge, each tested for a cycle."""

from collections.abc import Callable
from importlib import import_module
from time import perf_counter
from typing import Any, NamedTuple

from ezmsg.core.dag import DAG as EzmsgDAG

from benchmarks.harness import Contender, Section, Setting, Spread, ratios, seconds, take_turns, times
from benchmarks.workload import Edges, layered
from ezmsg.ledger.projections.graph.dag import DAG

ABOUT = """\
A layered graph is built in random order, one edge at a time, and each edge is tested for a cycle before it is added, as
a graph server has to. There are half as many nodes as edges. ezmsg's own `DAG` copies the graph for each edge; with
networkx, `has_path` is asked before each `add_edge`. What takes minutes is left out, and what takes seconds runs
once."""

COLUMNS = ("edges", "graph", "time to build", "our speed beside it")


class Case(NamedTuple):
    """One size, and which peers can take it."""

    edges: int
    ezmsg: bool
    networkx: bool


CASES = (Case(1_000, True, True), Case(2_000, True, True), Case(20_000, False, True), Case(100_000, False, False))
QUICK_CASES = (Case(50, True, True), Case(100, True, True), Case(200, False, True))

JUDGED = 2_000
"""Edges at which the aim is held against ezmsg: more would take it minutes."""

ONCE_FROM = 10_000
"""Edges from which networkx runs once; ezmsg always does."""


def run(setting: Setting) -> Section:
    """Build every size."""
    section = Section("Cycle test", ABOUT, COLUMNS)
    for case in QUICK_CASES if setting.quick else CASES:
        _measure(case, setting, section)
    return section


def _measure(case: Case, setting: Setting, section: Section) -> None:
    edges = layered(case.edges)
    networkx = _networkx() if case.networkx else None
    contenders: dict[str, Contender] = {"ezmsg-ledger": lambda: _build(edges)}
    if case.ezmsg:
        contenders["ezmsg"] = lambda: _build_ezmsg(edges)
    if networkx is not None:
        contenders["networkx, has_path"] = lambda: _build_networkx(networkx, edges)
    once = {"ezmsg"} | ({"networkx, has_path"} if case.edges >= ONCE_FROM else set())
    figures = take_turns(f"cycle test, {case.edges:,} edges", contenders, setting.rounds, once)
    ours = figures["ezmsg-ledger"]
    for name, took in figures.items():
        ratio = "" if took is ours else ratios(took, ours).written(times)
        section.rows.append((f"{case.edges:,}", name, Spread.of(took).written(seconds), ratio))
    if case.edges == (QUICK_CASES[1].edges if setting.quick else JUDGED):
        what = f"{case.edges:,} edges: speed beside ezmsg"
        section.aim(what, ratios(figures["ezmsg"], ours), 500)


def _networkx() -> Any:
    """The module, or None where the extra ``bench`` is not installed: its rows are left out then."""
    try:
        return import_module("networkx")
    except ImportError:
        return None


# --- the builders ----------------------------------------------------------------------------------------------------


def _build(edges: Edges) -> float:
    dag = DAG()
    took = _timed(dag.add, edges)
    dag.check()
    _require(len(dag) == len(edges))
    return took


def _build_ezmsg(edges: Edges) -> float:
    dag = EzmsgDAG()
    took = _timed(dag.add_edge, edges)
    _require(len(dag.edge_owners) == len(edges))
    return took


def _build_networkx(networkx: Any, edges: Edges) -> float:
    graph = networkx.DiGraph()
    has_node, has_path = graph.has_node, networkx.has_path

    def add(a: str, b: str) -> None:
        if has_node(a) and has_node(b) and has_path(graph, b, a):
            raise RuntimeError(f"{a} -> {b} would close a cycle")
        graph.add_edge(a, b)

    took = _timed(add, edges)
    _require(graph.number_of_edges() == len(edges))
    return took


def _timed(add: Callable[[str, str], object], edges: Edges) -> float:
    start = perf_counter()
    for a, b in edges:
        add(a, b)
    return perf_counter() - start


def _require(complete: bool) -> None:
    if not complete:
        raise RuntimeError("the graph that was built lacks edges")
