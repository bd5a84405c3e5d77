"""Server: many clients at once, large graphs, tools that join, and what a client costs."""

import asyncio
import statistics
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

from ezmsg.core.graphcontext import GraphContext
from ezmsg.core.graphmeta import (
    DynamicSettingsMetadata,
    GraphMetadata,
    InputStreamMetadata,
    OutputStreamMetadata,
    SettingsFieldMetadata,
    SettingsSchemaMetadata,
    SettingsSnapshotValue,
    TaskMetadata,
    UnitMetadata,
)
from ezmsg.core.netprotocol import Address, read_str
from ezmsg.core.processclient import ProcessControlClient

from benchmarks.harness import Section, Setting, Spread, count, ratios, say, seconds, take_turns, times
from benchmarks.programs.peers import STOCK, Peer
from benchmarks.workload import chain, layered
from ezmsg.ledger.log import Ledger
from ezmsg.ledger.runtime.live import LiveGraph
from ezmsg.ledger.runtime.recorder.process import Recorder

ABOUT = """\
Unmodified ezmsg clients against a server in a process of its own; ours records to a disk at level `interval`.

*Growth*: one session connects edge after edge; the time of one connect among the first and among the last. *Sessions at
once*: each connects a chain of its own and clears it; then the same while subscribers listen at the ends of the chains,
each of which applies every change above it before the connect returns. *Bytes*: what the ledger grows by for each edge;
what comes in one turn of the server's loop shares a commit line. *Snapshot*: what `snapshot()` takes a client,
its own unpickling included: the first of a server that has just got all that is in it (ezmsg's own server
keeps nothing of the last one: each is its first), and one after an edge has
changed (the median of several). *Settings*: a process reports a value and waits for the answer, as a unit does before
it sees a settings message. *Idle connections*: what the server's memory grows by for each.
*Tools joining*: streams of the topology feed that ask for all of a long ledger at the same time, and single connects of
another client meanwhile; ezmsg's own server keeps the last 10,000 entries, of which a stream gets 1,024."""

COLUMNS = ("case", "server", "figure", "at most", "our speed beside it")

OURS, OTHER = "ezmsg-ledger, interval", "ezmsg 3.9's own"


class Size(NamedTuple):
    """How much of everything."""

    growth: int = 20_000
    sessions: int = 50
    edges: int = 100
    subscribers: int = 50
    snapshot_edges: int = 3_000
    components: int = 500
    updates: int = 1_000
    idle: int = 5_000
    entries: int = 100_000
    tools: int = 10


QUICK = Size(60, 3, 4, 2, 20, 5, 10, 20, 200, 2)

CHANGES = 5
"""Snapshots in a round, each after a change: one takes so little that what else happens shows."""

FIRST = 1_000
"""Connects at either end of the growth that are compared."""


class Server(NamedTuple):
    """A running server."""

    address: Address
    pid: int
    ledger: Path | None = None


def run(setting: Setting) -> Section:
    """Measure all cases."""
    section = Section("Server", ABOUT, COLUMNS)
    size = QUICK if setting.quick else Size()
    _growth(setting, size, section)
    _sessions(setting, size, section, 0)
    _sessions(setting, size, section, size.subscribers)
    _bytes(setting, size, section)
    _snapshots(setting, size, section)
    _settings(setting, size, section)
    _idle(setting, size, section)
    _tools(setting, size, section)
    return section


@contextmanager
def servers(folder: Path) -> Iterator[Mapping[str, Server]]:
    """Both servers, new and running, by name."""
    with tempfile.TemporaryDirectory(dir=folder) as name, ExitStack() as running:
        recorder = running.enter_context(Recorder(Path(name, "server.ledger")))
        peer = running.enter_context(Peer(STOCK))
        assert recorder.pid is not None
        yield {
            OURS: Server(Address.from_string(recorder.address), recorder.pid, Path(name, "server.ledger")),
            OTHER: Server(Address.from_string(peer.address), peer.pid),
        }


def _compare(
    case: str, setting: Setting, section: Section, act: Callable[[Server], Awaitable[float]], aim: float, once: bool
) -> None:
    """A case in which what counts is one duration, on both servers in turns; ``aim``: our speed at least."""
    with servers(setting.folder) as running:
        turns = {name: lambda server=server: asyncio.run(_float(act(server))) for name, server in running.items()}
        figures = take_turns(case, turns, setting.rounds, {OTHER} if once else ())
    speed = ratios(figures[OTHER], figures[OURS])
    for name, found in figures.items():
        ratio = "" if name == OURS else ratios(found, figures[OURS]).written(times)
        section.rows.append((case, name, Spread.of(found).written(seconds), seconds(max(found)), ratio))
    section.aim(f"{case}: speed beside ezmsg's own server", speed, aim)


async def _float(act: Awaitable[float]) -> float:
    return await act


# --- edges -----------------------------------------------------------------------------------------------------------


def _growth(setting: Setting, size: Size, section: Section) -> None:
    edges = layered(size.growth)
    few = min(FIRST, size.growth // 3)

    async def grow(server: Server) -> list[float]:
        took: list[float] = []
        async with GraphContext(server.address, auto_start=False) as context:
            for edge in edges:
                start = perf_counter()
                await context.connect(*edge)
                took.append(perf_counter() - start)
        return took

    say(f"growth: {size.growth:,} edges")
    with servers(setting.folder) as running:
        took = asyncio.run(grow(running[OURS]))
    ends = took[:few], took[-few:]
    for name, part in zip(("first", "last"), ends, strict=True):
        p50, p99 = statistics.median(part), statistics.quantiles(part, n=100)[98]
        case = f"growth to {size.growth:,} edges, p50 of the {name} {few:,} (at most: p99)"
        section.rows.append((case, OURS, seconds(p50), seconds(p99), ""))
    grown = Spread.of([statistics.median(ends[1]) / statistics.median(ends[0])])
    section.aim(f"growth to {size.growth:,} edges: last p50 beside the first", grown, 2, at_most=True)


def _sessions(setting: Setting, size: Size, section: Section, subscribers: int) -> None:
    async def start(server: Server) -> float:
        async with AsyncExitStack() as stack:
            listening = await stack.enter_async_context(GraphContext(server.address, auto_start=False))
            for number in range(subscribers):
                await listening.subscriber(f"S{number}/{size.edges}")
            contexts = [
                await stack.enter_async_context(GraphContext(server.address, auto_start=False))
                for _ in range(size.sessions)
            ]

            async def wire(number: int, context: GraphContext) -> None:
                for place in range(size.edges):
                    await context.connect(f"S{number}/{place}", f"S{number}/{place + 1}")
                await context.revert()

            begin = perf_counter()
            await asyncio.gather(*(wire(number, context) for number, context in enumerate(contexts)))
            return perf_counter() - begin

    live = f", {subscribers} subscribers" if subscribers else ""
    case = f"{size.sessions} sessions at once, {size.edges} connects and a clear each{live}"
    _compare(case, setting, section, start, 3, once=True)


def _bytes(setting: Setting, size: Size, section: Section) -> None:
    """What an edge event takes in the file when many clients wire up at once, and when one does."""

    async def wire(server: Server, sessions: int) -> float:
        assert server.ledger is not None
        async with AsyncExitStack() as stack:
            contexts = [
                await stack.enter_async_context(GraphContext(server.address, auto_start=False)) for _ in range(sessions)
            ]

            async def connect(number: int, context: GraphContext) -> None:
                for place in range(size.edges):
                    await context.connect(f"S{number}/{place}", f"S{number}/{place + 1}")

            before = server.ledger.stat().st_size
            await asyncio.gather(*(connect(number, context) for number, context in enumerate(contexts)))
            return (server.ledger.stat().st_size - before) / (sessions * size.edges)

    for sessions in (1, size.sessions):
        case = f"bytes per edge event, {sessions} {'sessions' if sessions > 1 else 'session'} at once"
        say(case)
        with servers(setting.folder) as running:
            found = [asyncio.run(wire(running[OURS], sessions)) for _ in range(setting.rounds)]
        section.rows.append((case, OURS, Spread.of(found).written(count), count(max(found)), ""))
        if sessions > 1:
            section.aim(f"{case}: beside 200", ratios(found, [200.0]), 1, at_most=True)


# --- snapshots and settings ------------------------------------------------------------------------------------------


def system(components: int) -> GraphMetadata:
    """The metadata of a system of units with four settings and two streams each."""
    return GraphMetadata(1, "SYSTEM", {f"SYSTEM/U{number}": _unit(f"SYSTEM/U{number}") for number in range(components)})


def _unit(address: str) -> UnitMetadata:
    fields = [SettingsFieldMetadata(f"f{place}", "float", False, 1.0, None, None, None, None) for place in range(4)]
    return UnitMetadata(
        address=address,
        name=address.rpartition("/")[2],
        component_type="lab.Unit",
        settings_type="lab.Settings",
        initial_settings=(bytes(60), {f"f{place}": 1.0 for place in range(4)}),
        dynamic_settings=DynamicSettingsMetadata(True, f"{address}/INPUT_SETTINGS", "lab.Settings"),
        settings_schema=SettingsSchemaMetadata("dataclass", "lab.Settings", fields),
        streams={
            "IN": InputStreamMetadata("IN", f"{address}/IN", "lab.Message"),
            "OUT": OutputStreamMetadata("OUT", f"{address}/OUT", "lab.Message"),
        },
        tasks=[TaskMetadata("task", "IN", ["OUT"])],
        main=None,
        threads=[],
    )


@asynccontextmanager
async def _new(path: Path) -> AsyncIterator[Server]:
    """A new server of ours."""
    with Recorder(path) as recorder:
        assert recorder.pid is not None
        yield Server(Address.from_string(recorder.address), recorder.pid, path)


def _snapshots(setting: Setting, size: Size, section: Section) -> None:
    async def take(server: Server) -> float:
        async with GraphContext(server.address, auto_start=False) as context:
            start = perf_counter()
            await context.snapshot()
            return perf_counter() - start

    async def fill(context: GraphContext) -> None:
        for number in range(size.snapshot_edges):  # pairs: in a longer chain ezmsg's own server takes minutes
            await context.connect(f"A{number}", f"B{number}")
        await context.register_metadata(system(size.components))

    async def measure(running: Mapping[str, Server]) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
        first: dict[str, list[float]] = {name: [] for name in running}
        later: dict[str, list[float]] = {name: [] for name in running}
        async with AsyncExitStack() as stack:
            contexts = {}
            for name, server in running.items():
                contexts[name] = await stack.enter_async_context(GraphContext(server.address, auto_start=False))
                await fill(contexts[name])
            for number in range(setting.rounds):
                with tempfile.TemporaryDirectory(dir=setting.folder) as folder:
                    path = Path(folder, "new.ledger")
                    async with _new(path) as new, GraphContext(new.address, auto_start=False) as context:
                        await fill(context)
                        first[OURS].append(await take(new))
                first[OTHER].append(await take(running[OTHER]))
                for name, server in running.items():
                    took = []
                    for change in range(CHANGES):
                        await contexts[name].connect(f"C{number}", f"D{change}")
                        took.append(await take(server))
                    later[name].append(statistics.median(took))
        return first, later

    case = f"snapshot, {size.snapshot_edges:,} edges, {size.components} components"
    say(case)
    with servers(setting.folder) as running:
        measured = asyncio.run(measure(running))
    for kind, figures in zip(("the first", "after a change"), measured, strict=True):
        for name, found in figures.items():
            ratio = "" if name == OURS else ratios(found, figures[OURS]).written(times)
            row = (f"{case}: {kind}", name, Spread.of(found).written(seconds), seconds(max(found)), ratio)
            section.rows.append(row)
        speed = ratios(figures[OTHER], figures[OURS])
        least = 1.5 if kind == "the first" else 2
        section.aim(f"{case}, {kind}: speed beside ezmsg's own server", speed, least)


def _settings(setting: Setting, size: Size, section: Section) -> None:
    async def report(server: Server) -> list[float]:
        client, took = ProcessControlClient(server.address), []
        await client.connect()
        await client.register(["SYSTEM/U"])
        for number in range(size.updates):
            value = SettingsSnapshotValue(bytes(60), {"gain": float(number)}, {"gain": float(number)})
            start = perf_counter()
            await client.report_settings_update("SYSTEM/U", value)
            took.append(perf_counter() - start)
        await client.close()
        return took

    case = "settings update, p50 (at most: p99)"
    say(case)
    with servers(setting.folder) as running:
        rounds = [{name: asyncio.run(report(each)) for name, each in running.items()} for _ in range(setting.rounds)]
    medians = {name: [statistics.median(each[name]) for each in rounds] for name in running}
    for name, found in medians.items():
        p99 = statistics.median(statistics.quantiles(each[name], n=100)[98] for each in rounds)
        ratio = "" if name == OURS else ratios(found, medians[OURS]).written(times)
        section.rows.append((case, name, Spread.of(found).written(seconds), seconds(p99), ratio))
    beside = ratios(medians[OURS], medians[OTHER])
    section.aim("settings update: p50 beside ezmsg's own server", beside, 1.15, at_most=True)


# --- connections -----------------------------------------------------------------------------------------------------


def resident(pid: int) -> int:
    """Bytes of memory that a process holds (Linux)."""
    return int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * 4096


def _allow_files(number: int) -> None:
    """Raise the limit of open files of this process, and of those that it starts."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = number if hard == resource.RLIM_INFINITY else min(number, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _idle(setting: Setting, size: Size, section: Section) -> None:
    if sys.platform != "linux":
        return
    _allow_files(size.idle + 512)

    async def connect(server: Server) -> float:
        before = resident(server.pid)
        writers = []
        for _ in range(size.idle):
            reader, writer = await asyncio.open_connection(*server.address)
            await read_str(reader)
            writers.append(writer)
        grown = resident(server.pid) - before
        for writer in writers:
            writer.close()
        return grown / size.idle

    case = f"{size.idle:,} idle connections, bytes each"
    say(case)
    with servers(setting.folder) as running:
        figures = {name: asyncio.run(connect(server)) for name, server in running.items()}
    for name, grown in figures.items():
        section.rows.append((case, name, count(grown), count(grown), ""))
    section.aim(f"{case}: beside 20 kB", Spread.of([figures[OURS] / 20_000]), 1, at_most=True)


# --- tools -----------------------------------------------------------------------------------------------------------


def _tools(setting: Setting, size: Size, section: Section) -> None:
    async def measure(server: Server) -> tuple[float, list[float], list[float]]:
        async with GraphContext(server.address, auto_start=False) as context:

            async def connects(until: "asyncio.Future[None] | None") -> list[float]:
                took = []
                while len(took) < 100 or (until is not None and not until.done()):
                    start = perf_counter()
                    await context.connect("X", f"Y{len(took)}")
                    took.append(perf_counter() - start)
                return took

            quiet = await connects(None)
            await context.revert()
            begin = perf_counter()
            tools = [await _tool(server.address, size) for _ in range(size.tools)]
            joined = asyncio.ensure_future(_all(tools))
            busy = await connects(joined)
            await joined
            return perf_counter() - begin, quiet, busy

    case = f"{size.tools} tools joining together, {size.entries:,} entries"
    say(case)
    with tempfile.TemporaryDirectory(dir=setting.folder) as name:
        path = Path(name, "long.ledger")
        with Ledger.open(path, durability="none") as ledger:
            live = LiveGraph(ledger)
            session = live.open_session()
            edges = chain(500)
            while live.state.topology < size.entries:
                for edge in edges[: size.entries - live.state.topology]:
                    live.connect(*edge, session)
                for edge in edges[: size.entries - live.state.topology]:
                    live.disconnect(*edge, session)
            live.close()
        with Recorder(path) as recorder:
            assert recorder.pid is not None
            server = Server(Address.from_string(recorder.address), recorder.pid)
            took, quiet, busy = asyncio.run(measure(server))
    section.rows.append((case, OURS, seconds(took), seconds(took), ""))
    for when, figures in (("before", quiet), ("meanwhile", busy)):
        p50, p99 = statistics.median(figures), statistics.quantiles(figures, n=100)[98]
        section.rows.append((f"{case}: connects {when}, p50 (at most: p99)", OURS, seconds(p50), seconds(p99), ""))
    section.aim(f"{case}: p99 of connects meanwhile beside 20 ms", Spread.of([p99 / 0.02]), 1, at_most=True)


async def _tool(address: Address, size: Size) -> asyncio.subprocess.Process:
    """A tool that joins, in a process of its own: ten in one would be slower than the server."""
    command = ("-m", "benchmarks.programs.tool", str(address), str(size.entries - 1))
    return await asyncio.create_subprocess_exec(sys.executable, *command)


async def _all(processes: Sequence[asyncio.subprocess.Process]) -> None:
    codes = [await process.wait() for process in processes]
    if any(codes):
        raise RuntimeError(f"a tool did not get all: {codes}")
